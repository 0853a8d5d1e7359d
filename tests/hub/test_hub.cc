#include "hub/test_hub.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/ascii.h"
#include "hub/content_hash.h"

namespace vl3::hub {
namespace {

using test::WebHost;

constexpr size_t kLarge = 1000;

std::string hash_of(const std::string& bytes, size_t digits) {
  ContentHash hash(std::string(digits, '0'), static_cast<int64_t>(bytes.size()));
  hash.add(std::string_view(bytes));
  return hash.hex();
}

std::string field_of(const std::string& head, const std::string& name) {
  const std::string lower = ascii_lower(head), wanted = "\r\n" + name + ": ";
  const size_t at = lower.find(wanted);
  if (at == std::string::npos) return {};
  const size_t begin = at + wanted.size();
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string unquoted(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
    i += 2;
  }
  return result;
}

std::string refusal(int status, const std::string& code, const std::string& message) {
  return WebHost::reply(
      "{}", (code.empty() ? "" : "X-Error-Code: " + code + "\r\n") + "X-Error-Message: " + message + "\r\n",
      std::to_string(status) + " No");
}

// A body as a fault wants it: cut, stopped, slow.
void say_body(const std::string& body, const Fault& fault, const WebHost::Say& say, const WebHost& host) {
  const int64_t size = static_cast<int64_t>(body.size());
  int64_t end = size;
  if (fault.cut_after >= 0) end = std::min(end, fault.cut_after);
  if (fault.stall_after >= 0) end = std::min(end, fault.stall_after);
  const int64_t step = fault.bytes_per_s > 0 ? std::max<int64_t>(1, fault.bytes_per_s / 50) : size + 1;
  for (int64_t at = 0; at < end; at += step) {
    if (!say(body.substr(static_cast<size_t>(at), static_cast<size_t>(std::min(step, end - at))))) return;
    if (fault.bytes_per_s > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  while (fault.stall_after >= 0 && !host.stopping())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace

std::string sha256_of(const std::string& bytes) { return hash_of(bytes, 64); }
std::string git_id_of(const std::string& bytes) { return hash_of(bytes, 40); }

TestHub::TestHub() {
  for (auto* host : {&hub_, &cdn_}) {
    const std::string name = host == &hub_ ? "hub" : "cdn";
    *host = std::make_unique<WebHost>(
        [this, name](const std::string& head, const Say& say) { answer(name, head, say); },
        WebHost::Told::kHead);
  }
}

TestHub::~TestHub() {
  hub_.reset();
  cdn_.reset();
}

void TestHub::put(const std::string& repository, std::map<std::string, std::string> files,
                  const std::string& revision) {
  Snapshot snapshot;
  std::string all = repository;
  for (auto& [path, bytes] : files) {
    all += path + bytes;
    File file{bytes, git_id_of(bytes), sha256_of(bytes), bytes.size() >= kLarge};
    snapshot.files[path] = std::move(file);
  }
  snapshot.commit = git_id_of(all);
  const std::lock_guard lock(mutex_);
  models_[repository][snapshot.commit] = snapshot;
  models_[repository][revision] = std::move(snapshot);
}

std::string TestHub::commit(const std::string& repository, const std::string& revision) const {
  const std::lock_guard lock(mutex_);
  return models_.at(repository).at(revision).commit;
}

void TestHub::close(const std::string& repository, const std::string& how, const std::string& token) {
  const std::lock_guard lock(mutex_);
  closed_[repository] = {how, token};
}

void TestHub::add(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(fault);
}

std::vector<Asked> TestHub::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

void TestHub::forget() {
  const std::lock_guard lock(mutex_);
  asked_.clear();
}

size_t TestHub::count(const std::string& host, const std::string& part) const {
  const std::vector<Asked> all = asked();
  return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const Asked& one) {
    return one.host == host && one.target.find(part) != std::string::npos;
  }));
}

Fault TestHub::take_fault(const Asked& asked) {
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->host != asked.host || fault->method != asked.method ||
        asked.target.find(fault->part) == std::string::npos)
      continue;
    if (fault->skip-- > 0) continue;
    const Fault taken = *fault;
    if (--fault->times <= 0) faults_.erase(fault);
    return taken;
  }
  Fault none;
  none.host.clear();
  return none;
}

void TestHub::answer(const std::string& host, const std::string& head, const Say& say) {
  const size_t from = head.find(' ') + 1;
  Asked asked{host, head.substr(0, from - 1), head.substr(from, head.find(' ', from) - from), {}, {}, {}};
  const std::string bearer = field_of(head, "authorization");
  asked.token = bearer.starts_with("Bearer ") ? bearer.substr(7) : bearer;
  asked.range = field_of(head, "range");
  asked.if_range = field_of(head, "if-range");
  std::unique_lock lock(mutex_);
  asked_.push_back(asked);
  const Fault fault = take_fault(asked);
  lock.unlock();
  if (fault.status != 0) {
    say(WebHost::reply(fault.body, fault.fields, std::to_string(fault.status) + " Fault"));
    return;
  }
  if (!fault.location.empty()) {
    say(WebHost::reply("", "Location: " + fault.location + "\r\n", "302 Found"));
    return;
  }
  if (host == "cdn" && !asked.token.empty()) {
    say(WebHost::reply("a token came here", "", "400 Bad Request"));
    return;
  }
  constexpr std::string_view kApi = "/api/models/";
  if (host == "hub" && asked.target.starts_with(kApi))
    return serve_api(asked, asked.target.substr(kApi.size()), say);
  serve_file(asked, fault, say);
}

std::string TestHub::refused(const Asked& asked, const std::string& repository, bool file) const {
  const auto closed = closed_.find(repository);
  const std::string how = closed != closed_.end() ? closed->second.first : "";
  const bool reader = closed != closed_.end() && !asked.token.empty() && asked.token == closed->second.second;
  if (!asked.token.empty() && asked.token.find("good") == std::string::npos)
    return refusal(401, "", "Invalid credentials in Authorization header");
  if (models_.count(repository) == 0 || (how == "private" && !reader))
    return asked.token.empty() ? refusal(401, "RepoNotFound", "Invalid username or password.")
                               : refusal(404, "RepoNotFound", "Repository not found");
  if (how == "disabled") return refusal(403, "", "Access to this resource is disabled.");
  if (how == "gated" && !reader && file)
    return refusal(asked.token.empty() ? 401 : 403, "GatedRepo", "restricted");
  return {};
}

const TestHub::Snapshot* TestHub::find(const std::string& repository, const std::string& revision) const {
  const auto model = models_.find(repository);
  if (model == models_.end()) return nullptr;
  const auto snapshot = model->second.find(revision);
  return snapshot == model->second.end() ? nullptr : &snapshot->second;
}

void TestHub::serve_api(const Asked& asked, const std::string& rest, const Say& say) {
  const std::lock_guard lock(mutex_);
  const bool tree = rest.find("/tree/") != std::string::npos;
  const std::string verb = tree ? "/tree/" : "/revision/";
  const size_t at = rest.find(verb);
  const std::string repository = rest.substr(0, at);
  if (const std::string no = refused(asked, repository, false); !no.empty()) {
    say(no);
    return;
  }
  const std::string tail = at == std::string::npos ? "main" : rest.substr(at + verb.size());
  const Snapshot* snapshot = find(repository, unquoted(tail.substr(0, tail.find('?'))));
  if (snapshot == nullptr) {
    say(refusal(404, "RevisionNotFound", "Invalid rev id"));
    return;
  }
  if (tree) return serve_tree(*snapshot, asked.target, say);
  say(WebHost::reply(nlohmann::json{{"id", repository}, {"sha", snapshot->commit}}.dump()));
}

void TestHub::serve_tree(const Snapshot& snapshot, const std::string& target, const Say& say) const {
  if (!listed_.empty()) {
    say(WebHost::reply(listed_));
    return;
  }
  auto entries = nlohmann::json::array();
  for (const auto& [path, file] : snapshot.files) {
    nlohmann::json entry = {
        {"type", "file"}, {"oid", file.git_id}, {"size", file.bytes.size()}, {"path", path}};
    if (file.large) entry["lfs"] = {{"oid", file.sha256}, {"size", file.bytes.size()}, {"pointerSize", 128}};
    entries.push_back(std::move(entry));
  }
  const size_t cursor = target.find("&cursor=");
  const size_t begin = cursor == std::string::npos ? 0 : std::stoul(target.substr(cursor + 8));
  const size_t end = std::min(entries.size(), begin + page_);
  auto page = nlohmann::json::array();
  for (size_t i = begin; i < end; ++i) page.push_back(entries[i]);
  std::string link;
  if (end < entries.size())
    link = "Link: <" + hub_->url(target.substr(0, cursor)) + "&cursor=" + std::to_string(end) +
           ">; rel=\"next\"\r\n";
  say(WebHost::reply(page.dump(), link));
}

void TestHub::serve_bytes(const Asked& asked, const std::string& etag, const std::string& bytes,
                          const Fault& fault, const Say& say) const {
  std::string body = bytes;
  if (fault.corrupt && !body.empty()) body[body.size() / 2] = static_cast<char>(body[body.size() / 2] ^ 0x40);
  for (int i = 0; i < fault.longer; ++i) body += 'x';
  for (int i = fault.longer; i < 0 && !body.empty(); ++i) body.pop_back();
  const std::string tag = "\"" + (fault.etag.empty() ? etag : fault.etag) + "\"";
  std::string status = "200 OK", fields = "ETag: " + tag + "\r\nAccept-Ranges: bytes\r\n";
  if (!asked.range.empty() && !fault.no_ranges && (asked.if_range.empty() || asked.if_range == tag)) {
    const size_t begin = std::stoul(asked.range.substr(6));
    if (begin >= body.size()) {
      say(WebHost::reply("", "Content-Range: bytes */" + std::to_string(body.size()) + "\r\n", "416 No"));
      return;
    }
    fields += "Content-Range: bytes " + std::to_string(begin) + "-" + std::to_string(body.size() - 1) + "/" +
              std::to_string(body.size()) + "\r\n";
    status = "206 Partial Content";
    body = body.substr(begin);
  }
  say("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\nConnection: close\r\n" + fields + "\r\n");
  if (asked.method != "HEAD") say_body(body, fault, say, asked.host == "hub" ? *hub_ : *cdn_);
}

void TestHub::serve_file(const Asked& asked, const Fault& fault, const Say& say) {
  std::unique_lock lock(mutex_);
  if (asked.host == "cdn") {  // /lfs/SHA256?signature=N
    const std::string sha256 = asked.target.size() > 5 ? asked.target.substr(5, 64) : "";
    if (!asked.target.ends_with("?signature=" + std::to_string(signature_))) {
      say(WebHost::reply("<Error/>", "", "403 Forbidden"));
      return;
    }
    for (const auto& [name, snapshots] : models_)
      for (const auto& [revision, snapshot] : snapshots)
        for (const auto& [path, file] : snapshot.files)
          if (file.sha256 == sha256) {
            const std::string bytes = file.bytes;
            lock.unlock();
            return serve_bytes(asked, "cdn-" + sha256.substr(0, 8), bytes, fault, say);
          }
    say(WebHost::reply("", "", "404 Not Found"));
    return;
  }
  const std::string verb = "/resolve/";  // /REPOSITORY/resolve/REVISION/PATH
  const size_t at = asked.target.find(verb);
  const std::string repository = asked.target.substr(1, at == std::string::npos ? at : at - 1);
  if (const std::string no = refused(asked, repository, true); !no.empty()) {
    say(no);
    return;
  }
  const std::string rest = at == std::string::npos ? "" : asked.target.substr(at + verb.size());
  const Snapshot* snapshot = find(repository, unquoted(rest.substr(0, rest.find('/'))));
  const std::string tail = unquoted(rest.substr(rest.find('/') + 1));
  const bool moved = tail.ends_with("?moved");
  const std::string path = moved ? tail.substr(0, tail.size() - 6) : tail;
  if (snapshot == nullptr || snapshot->files.count(path) == 0) {
    say(refusal(404, snapshot == nullptr ? "RevisionNotFound" : "EntryNotFound", "not found"));
    return;
  }
  const File& file = snapshot->files.at(path);
  const std::string etag = file.large ? file.sha256 : file.git_id;
  const std::string about = "X-Repo-Commit: " + snapshot->commit + "\r\nX-Linked-Etag: \"" +
                            (fault.linked_etag.empty() ? etag : fault.linked_etag) + "\"\r\nX-Linked-Size: " +
                            std::to_string(static_cast<int64_t>(file.bytes.size()) + fault.linked_size) +
                            "\r\n";
  if (file.large) {
    say(WebHost::reply("",
                       about + "Location: " + cdn_->url("/lfs/" + file.sha256 + "?signature=") +
                           std::to_string(signature_) + "\r\n",
                       "302 Found"));
  } else if (!moved) {  // relative, as the hub's are
    say(WebHost::reply("", about + "Location: " + asked.target + "?moved\r\n", "307 Temporary Redirect"));
  } else {
    const std::string bytes = file.bytes;
    lock.unlock();
    serve_bytes(asked, etag, bytes, fault, say);
  }
}

}  // namespace vl3::hub
