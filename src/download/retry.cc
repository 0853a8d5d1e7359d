#include "download/retry.h"

#include <curl/curl.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "base/ascii.h"
#include "base/check.h"
#include "download/reply_fields.h"

namespace vl3::download {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kAskedEvery{50};
constexpr int64_t kLongest_s = 24 * 3600;

seconds at_most_a_day(int64_t count) { return seconds(std::clamp<int64_t>(count, 0, kLongest_s)); }

// "resolvers";r=0;t=55 → 55; none where something is left.
std::optional<uint64_t> seconds_of_limit(std::string_view limit) {
  std::optional<uint64_t> rest, until;
  for (std::string_view parts = limit; !parts.empty();) {
    const size_t end = parts.find(';');
    const std::string_view part = trimmed(parts.substr(0, end), " \t");
    if (part.starts_with("r=")) rest = byte_count(part.substr(2));
    if (part.starts_with("t=")) until = byte_count(part.substr(2));
    parts = end == std::string_view::npos ? std::string_view() : parts.substr(end + 1);
  }
  return rest == 0 ? until : std::nullopt;
}

// Seconds since 1970 of a date in one of HTTP's three forms.
std::optional<time_t> time_of(const std::string& date) {
  const time_t time = curl_getdate(date.c_str(), nullptr);
  return time < 0 ? std::nullopt : std::optional(time);
}

}  // namespace

bool may_change(long status) noexcept { return status >= 500 || status == 408 || status == 429; }

std::optional<seconds> asked_wait(const ReplyHead& head, std::chrono::system_clock::time_point now) {
  if (head.status == 429)
    if (const auto limit = seconds_of_limit(head.value("ratelimit")))
      return at_most_a_day(static_cast<int64_t>(*limit));
  const std::string after = head.value("retry-after");
  if (const auto count = byte_count(after)) return at_most_a_day(static_cast<int64_t>(*count));
  const auto until = time_of(after);
  if (!until) return {};
  const time_t from = time_of(head.value("date")).value_or(std::chrono::system_clock::to_time_t(now));
  return at_most_a_day(*until - from);
}

milliseconds pause_after(int fruitless, milliseconds first, const ReplyHead& last) {
  constexpr int kMostDoublings = 4;
  const milliseconds own = first * (1 << std::clamp(fruitless - 1, 0, kMostDoublings));
  return std::max<milliseconds>(own, asked_wait(last).value_or(seconds(0)));
}

void sleep_unless(milliseconds time, const std::function<bool()>& cancelled) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[download] cancelled");
    const auto left = std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    std::this_thread::sleep_for(std::min(left, kAskedEvery));
  }
}

}  // namespace vl3::download
