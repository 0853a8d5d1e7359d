#pragma once
// Whether and when a request that failed is made again.

#include <chrono>
#include <functional>
#include <optional>

#include "download/exchange.h"

namespace vl3::download {

// Whether a status may be another one soon: 408, 429 and 5xx.
bool may_change(long status) noexcept;

// How long the other side asks to wait, at most a day: Retry-After in seconds or as a time (which counts from
// the reply's own Date), or, of a 429, the t of RateLimit where its r is 0. None where it does not say.
// now: of this machine, for a reply without a Date.
std::optional<std::chrono::seconds> asked_wait(
    const ReplyHead& head, std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

// How long to wait before the next try, after so many in a row (from 1) that brought nothing: `first`, and
// twice as long after each, at most sixteen times; longer where the last reply asks for it.
std::chrono::milliseconds pause_after(int fruitless, std::chrono::milliseconds first, const ReplyHead& last);

// Sleeps, in pieces. Throws Error kCancelled within a twentieth of a second of cancelled() saying so.
void sleep_unless(std::chrono::milliseconds time, const std::function<bool()>& cancelled);

}  // namespace vl3::download
