#include "eval/spans.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/ascii.h"
#include "eval/plain_text.h"

namespace vl3::eval {
namespace {

struct Time {
  double seconds = 0;
  size_t begin = 0, end = 0;  // in the text, its unit included
};

bool digit_at(std::string_view text, size_t i) { return i < text.size() && is_digit(text[i]); }

// The end of digits with a fraction that begin at i.
size_t number_end(std::string_view text, size_t i) {
  while (digit_at(text, i)) ++i;
  if (i < text.size() && text[i] == '.' && digit_at(text, i + 1)) {
    ++i;
    while (digit_at(text, i)) ++i;
  }
  return i;
}

// Behind a number: its unit, if that is seconds.
size_t unit_end(std::string_view text, size_t end) {
  size_t at = end;
  while (at < text.size() && is_space(text[at])) ++at;
  size_t word = at;
  while (word < text.size() && is_word(text[word])) ++word;
  const std::string unit = ascii_lower(text.substr(at, word - at));
  for (const char* known : {"s", "sec", "secs", "second", "seconds"}) {
    if (unit == known) return word;
  }
  return end;
}

Time time_at(std::string_view text, size_t begin) {
  constexpr double kLongest_s = 1e9;  // so that sums of them stay numbers
  const auto value = [&](size_t from, size_t to) {
    return std::min(kLongest_s, std::strtod(std::string(text.substr(from, to - from)).c_str(), nullptr));
  };
  size_t end = number_end(text, begin);
  double seconds = value(begin, end);
  // Two digits behind each colon, and no more than hours, minutes and seconds.
  for (int colons = 0; colons < 2; ++colons) {
    const bool clock = end < text.size() && text[end] == ':' && digit_at(text, end + 1) &&
                       digit_at(text, end + 2) && !digit_at(text, end + 3);
    if (!clock) break;
    const size_t from = end + 1;
    end = number_end(text, from);
    seconds = 60 * seconds + value(from, end);
  }
  return {seconds, begin, unit_end(text, end)};
}

std::vector<Time> times_in(std::string_view text) {
  std::vector<Time> times;
  for (size_t i = 0; i < text.size();) {
    const bool begins = digit_at(text, i) || (text[i] == '.' && digit_at(text, i + 1));
    if (!begins) {
      ++i;
      continue;
    }
    times.push_back(time_at(text, i));
    i = times.back().end;
  }
  return times;
}

bool joins(std::string_view between) {
  const std::string word = ascii_lower(trimmed(between, " \t\r\n"));
  for (const char* known : {"-", "–", "—", "~", "to", "and", "until", "till"}) {
    if (word == known) return true;
  }
  return false;
}

Span span_of(const Time& a, const Time& b) {
  return {std::min(a.seconds, b.seconds), std::max(a.seconds, b.seconds)};
}

}  // namespace

std::vector<Span> spans_in(std::string_view text) {
  const std::vector<Time> times = times_in(text);
  std::vector<Span> spans;
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    if (!joins(text.substr(times[i].end, times[i + 1].begin - times[i].end))) continue;
    spans.push_back(span_of(times[i], times[i + 1]));
    ++i;
  }
  if (!spans.empty()) return spans;
  for (size_t i = times.size() % 2; i + 1 < times.size(); i += 2)
    spans.push_back(span_of(times[i], times[i + 1]));
  return spans;
}

double overlap_over_union(std::vector<Span> spans, Span wanted) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin_s < b.begin_s; });
  double covered = 0, overlap = 0;
  const auto add = [&](const Span& span) {
    covered += span.end_s - span.begin_s;
    overlap += std::max(0.0, std::min(span.end_s, wanted.end_s) - std::max(span.begin_s, wanted.begin_s));
  };
  Span open;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].begin_s <= open.end_s) {
      open.end_s = std::max(open.end_s, spans[i].end_s);
      continue;
    }
    if (i > 0) add(open);
    open = spans[i];
  }
  if (!spans.empty()) add(open);
  return overlap / (covered + (wanted.end_s - wanted.begin_s) - overlap);
}

}  // namespace vl3::eval
