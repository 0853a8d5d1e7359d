#pragma once
// Sets of characters (Unicode scalar values), as ranges.

#include <cstdint>
#include <string_view>
#include <vector>

namespace vl3::grammar {

struct CharRange {
  uint32_t first = 0, last = 0;  // both inside
  bool operator==(const CharRange&) const = default;
};

class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);
  explicit CharSet(std::vector<CharRange> ranges);
  static CharSet of(uint32_t character) { return {{character, character}}; }
  static CharSet all();  // every scalar value: no surrogates

  const std::vector<CharRange>& ranges() const noexcept { return ranges_; }  // in order, none touch
  bool empty() const noexcept { return ranges_.empty(); }
  bool contains(uint32_t character) const noexcept;
  CharSet with(const CharSet& other) const;
  CharSet without(const CharSet& other) const;
  CharSet shared(const CharSet& other) const;
  bool operator==(const CharSet&) const = default;

 private:
  std::vector<CharRange> ranges_;
};

// \d, \w, \s of a regular expression: the ASCII ones, which every dialect has.
CharSet class_of(char letter);
// What \D, \W, \S and negated classes leave out for them: those of Unicode, so that no dialect has any in.
const CharSet& wide_class_of(char letter);

}  // namespace vl3::grammar
