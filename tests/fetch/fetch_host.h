#pragma once
// A host of the web whose files and faults a test chooses.

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/ascii.h"
#include "support/web_host.h"

namespace vl3::test {

// The value of a field of a request's head; empty where there is none.
inline std::string field_of(const std::string& head, const std::string& name) {
  size_t at = head.find("\r\n");
  while (at != std::string::npos && at + 2 < head.size()) {
    const size_t end = head.find("\r\n", at + 2);
    const std::string line = head.substr(at + 2, end - at - 2);
    const size_t colon = line.find(':');
    if (colon != std::string::npos && ascii_lower(line.substr(0, colon)) == ascii_lower(name))
      return std::string(trimmed(line.substr(colon + 1), " "));
    at = end;
  }
  return {};
}

// Files with ETags, in the way that servers of files answer; and what a test puts before them.
class FetchHost {
 public:
  struct File {
    std::string bytes, etag, last_modified, more_fields;
  };
  // What to do with a request in place of answering it; false: answer it after all.
  using Fault = std::function<bool(const std::string& head, const WebHost::Say& say)>;

  FetchHost()
      : host_([this](const std::string& head, const WebHost::Say& say) { answer(head, say); },
              WebHost::Told::kHead) {}

  void put(const std::string& target, File file) {
    const std::lock_guard lock(mutex_);
    files_[target] = std::move(file);
  }
  // Of the requests that come, each fault takes one, in order.
  void fail_next(Fault fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
  }
  // Content from `first` on, of which `count` bytes come before the connection is closed.
  Fault cut_after(const std::string& target, size_t count) {
    return [this, target, count](const std::string& head, const WebHost::Say& say) {
      const std::string whole = reply_to(target, head);
      say(whole.substr(0, whole.find("\r\n\r\n") + 4 + count));
      return true;
    };
  }
  // The same, and then nothing, with an open connection.
  Fault stall_after(const std::string& target, size_t count) {
    return [this, target, count](const std::string& head, const WebHost::Say& say) {
      const std::string whole = reply_to(target, head);
      say(whole.substr(0, whole.find("\r\n\r\n") + 4 + count));
      while (!stop_ && !host_.stopping() && !released_)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return true;
    };
  }
  void release() { released_ = true; }  // whoever stalls
  ~FetchHost() { stop_ = true; }

  std::string url(const std::string& target) const { return host_.url(target); }
  uint16_t port() const { return host_.port(); }
  std::vector<std::string> requests() const { return host_.requests(); }
  std::string last_request() const { return host_.requests().back(); }

 private:
  std::string reply_to(const std::string& target, const std::string& head) {
    File file;
    {
      const std::lock_guard lock(mutex_);
      const auto found = files_.find(target);
      if (found == files_.end()) return WebHost::reply("no such file", "", "404 Not Found");
      file = found->second;
    }
    std::string fields = file.more_fields;
    if (!file.etag.empty()) fields += "ETag: " + file.etag + "\r\n";
    if (!file.last_modified.empty()) fields += "Last-Modified: " + file.last_modified + "\r\n";
    const auto same = [&](const std::string& said) {
      return !said.empty() && (said == file.etag || said == file.last_modified);
    };
    if (same(field_of(head, "If-None-Match")) || same(field_of(head, "If-Modified-Since")))
      return "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n" + fields + "\r\n";
    const std::string range = field_of(head, "Range"), if_range = field_of(head, "If-Range");
    if (range.starts_with("bytes=") && (if_range.empty() || same(if_range))) {
      const size_t first = std::stoul(range.substr(6));
      if (first >= file.bytes.size()) return WebHost::reply("", fields, "416 Range Not Satisfiable");
      fields += "Content-Range: bytes " + std::to_string(first) + "-" +
                std::to_string(file.bytes.size() - 1) + "/" + std::to_string(file.bytes.size()) + "\r\n";
      return WebHost::reply(file.bytes.substr(first), fields, "206 Partial Content");
    }
    return WebHost::reply(file.bytes, fields);
  }

  void answer(const std::string& head, const WebHost::Say& say) {
    const size_t from = head.find(' ') + 1;
    const std::string target = head.substr(from, head.find(' ', from) - from);
    Fault fault;
    {
      const std::lock_guard lock(mutex_);
      if (!faults_.empty()) {
        fault = std::move(faults_.front());
        faults_.erase(faults_.begin());
      }
    }
    if (fault && fault(head, say)) return;
    say(reply_to(target, head));
  }

  std::mutex mutex_;
  std::map<std::string, File> files_;
  std::vector<Fault> faults_;
  std::atomic<bool> stop_ = false, released_ = false;
  WebHost host_;  // last: its threads use the rest
};

}  // namespace vl3::test
