#pragma once
// Spans of time that replies tell.

#include <string_view>
#include <vector>

namespace vl3::eval {

struct Span {
  double begin_s = 0, end_s = 0;
};

// Pairs of times with "-", "–", "—", "~", "to", "and", "until" or "till" between them, times being seconds
// ("24.3", "24.3 s", "24.3 seconds") or clocks ("0:24", "00:00:24.3"); without any such pair, all its times
// in pairs, the first left out where their count is odd. The earlier time begins a span.
std::vector<Span> spans_in(std::string_view text);

// The overlap of all spans, taken together, with what is wanted, over the length of both together; 0 to 1.
// wanted.end_s is greater than wanted.begin_s.
double overlap_over_union(std::vector<Span> spans, Span wanted);

}  // namespace vl3::eval
