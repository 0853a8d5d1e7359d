#include "serve/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <utility>

namespace vl3::serve {
namespace {

constexpr size_t kMostLines = 10'000;

const char* name_of(Level level) {
  switch (level) {
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "";
}

// "2026-01-31T12:00:00.123Z"
std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms % 1000);
}

std::string shown(const Json& value) {
  if (!value.is_string()) return value.dump();
  const std::string text = log_text(value.get<std::string>());
  return text.empty() || text.find_first_of(" \"=") != std::string::npos ? Json(text).dump() : text;
}

}  // namespace

std::string log_text(std::string_view text, size_t max_bytes) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (out.size() >= max_bytes) return out + "…";
    const auto byte = static_cast<unsigned char>(text[i]);
    // Bytes above ASCII as well: some begin a line for one reader and not for another.
    if (byte < 0x20 || byte >= 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += text[i];
  }
  return out;
}

std::string log_line(bool json, std::string_view time, Level level, std::string_view event,
                     std::string_view message, Log::Values values) {
  if (json) {
    Json line = {{"time", time}, {"level", name_of(level)}, {"event", event}};
    if (!message.empty()) line["message"] = message;
    for (const auto& [name, value] : values)
      line[name] = value.is_string() ? Json(log_text(value.get<std::string>())) : value;
    return line.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
  }
  std::string line = fmt::format("{} {} {}", time, name_of(level), event);
  for (const auto& [name, value] : values) line += fmt::format(" {}={}", name, shown(value));
  if (!message.empty()) line += fmt::format(": {}", log_text(message, 2000));
  return line + "\n";
}

Log::Log(int descriptor, bool json)
    : descriptor_(descriptor), json_(json), thread_([this] { write_all(); }) {}

Log::~Log() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void Log::add(Level level, std::string_view event, std::string_view message, Values values) {
  std::string line = log_line(json_, now_text(), level, event, message, values);
  const std::scoped_lock lock(mutex_);
  if (lines_.size() >= kMostLines) {
    ++dropped_;
    return;
  }
  lines_.push_back(std::move(line));
  wake_.notify_all();
}

void Log::write_all() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return !lines_.empty() || ending_; });
    if (lines_.empty()) return;
    std::string batch;
    for (; !lines_.empty() && batch.size() < (64 << 10); lines_.pop_front()) batch += lines_.front();
    if (const size_t dropped = std::exchange(dropped_, 0); dropped > 0)
      batch += log_line(json_, now_text(), Level::kWarning, "log", "", {{"dropped_lines", dropped}});
    lock.unlock();
    const bool goes_on = write(batch);
    lock.lock();
    if (!goes_on) return;
  }
}

// In pieces that a pipe which can be written to takes without blocking: one that nobody empties must not keep
// the process from ending. False: the log ends, and nobody takes what is left.
bool Log::write(std::string_view bytes) {
  constexpr size_t kPiece = 4096;  // PIPE_BUF of Linux
  constexpr int kGlance_ms = 100, kPatience_ms = 1000;
  for (int waited_ms = 0; !bytes.empty();) {
    pollfd wait{descriptor_, POLLOUT, 0};
    if (poll(&wait, 1, kGlance_ms) <= 0) {
      waited_ms += kGlance_ms;
      if (ending_ && waited_ms > kPatience_ms) return false;
      continue;
    }
    const ssize_t written = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written <= 0) return true;  // a full disk, a closed pipe: the server goes on without
    bytes.remove_prefix(static_cast<size_t>(written));
    waited_ms = 0;
  }
  return true;
}

}  // namespace vl3::serve
