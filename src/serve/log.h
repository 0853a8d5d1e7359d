#pragma once
// What the server says of itself while it runs: a line per event, text or JSON. Nothing that people asked or
// were answered is in it, nor keys, nor queries of addresses.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/json.h"

namespace vl3::serve {

enum class Level : uint8_t { kInfo, kWarning, kError };

// Thread-safe. Lines are written by a thread of its own: whoever logs does not wait for who reads. When lines
// come faster than they are taken some are dropped, and how many is said.
class Log {
 public:
  Log(int descriptor, bool json);
  ~Log();  // writes what is there still, unless nobody takes it for a second
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  using Values = std::initializer_list<std::pair<const char*, Json>>;
  // event: what happened, e.g. "request"; message: a sentence for people, may be empty.
  void add(Level level, std::string_view event, std::string_view message, Values values = {});

 private:
  void write_all();
  bool write(std::string_view bytes);

  const int descriptor_;
  const bool json_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> lines_;
  size_t dropped_ = 0;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// text as a part of one line that cannot begin another: control characters, line ends of Unicode and bytes
// that are no UTF-8 are escaped as \xNN, and what is longer than so many bytes is cut.
std::string log_text(std::string_view text, size_t max_bytes = 160);

// A line as Log writes it, without its time: for tests, and those who write lines themselves.
std::string log_line(bool json, std::string_view time, Level level, std::string_view event,
                     std::string_view message, Log::Values values);

}  // namespace vl3::serve
