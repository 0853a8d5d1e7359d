#pragma once
// Regular expressions, of the dialect that docs/structured_output.md describes: what Python, ECMAScript and
// Rust agree on.

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "grammar/char_nfa.h"

namespace vl3::grammar {

struct RegexNode {
  enum class Kind : uint8_t { kSet, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kSequence;
  CharSet set;                              // of kSet
  int64_t min = 0, max = 0;                 // of kRepeat; max -1: no limit
  std::vector<RegexNode> parts;             // kRepeat has one
  bool from_start = false, to_end = false;  // of the alternatives on top: ^ and $
};

// The alternatives on top. Throws kInvalidArgument (what is wrong, and at which byte) and kUnsupported (by
// name: lookaround, backreferences, word boundaries, flags, …); origin begins the message.
std::vector<RegexNode> parse_regex(std::string_view text, std::string_view origin);

// kWhole: all of a text has to match. kSearch: some of it, but where ^ and $ say otherwise.
enum class RegexMatch : uint8_t { kWhole, kSearch };
CharNfa regex_nfa(std::string_view text, RegexMatch match, std::string_view origin, Budget& budget);

}  // namespace vl3::grammar
