#include "grammar/char_set.h"

#include <algorithm>

#include "text/unicode.h"

namespace vl3::grammar {
namespace {

constexpr uint32_t kLast = 0x10FFFF;

std::vector<CharRange> normalised(std::vector<CharRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  std::vector<CharRange> joined;
  for (const CharRange& range : ranges) {
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

CharSet made_wide(uint8_t bits, std::vector<CharRange> more) {
  const CharacterTable& table = character_table();
  for (uint32_t c = 0; c <= kLast; ++c) {
    if ((table[c] & bits) != 0) more.push_back({c, c});
  }
  return CharSet(std::move(more));
}

}  // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) : CharSet(std::vector<CharRange>(ranges)) {}

CharSet::CharSet(std::vector<CharRange> ranges) : ranges_(normalised(std::move(ranges))) {}

CharSet CharSet::all() { return {{0, 0xD7FF}, {0xE000, kLast}}; }

bool CharSet::contains(uint32_t character) const noexcept {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), character,
                                      [](uint32_t c, const CharRange& range) { return c < range.first; });
  return after != ranges_.begin() && std::prev(after)->last >= character;
}

CharSet CharSet::with(const CharSet& other) const {
  std::vector<CharRange> both = ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return CharSet(std::move(both));
}

CharSet CharSet::without(const CharSet& other) const {
  std::vector<CharRange> left;
  size_t at = 0;
  for (CharRange range : ranges_) {
    while (at < other.ranges_.size() && other.ranges_[at].last < range.first) ++at;
    bool gone = false;
    for (size_t i = at; i < other.ranges_.size() && other.ranges_[i].first <= range.last; ++i) {
      const CharRange& hole = other.ranges_[i];
      if (hole.first > range.first) left.push_back({range.first, hole.first - 1});
      gone = hole.last >= range.last;
      if (gone) break;
      range.first = std::max(range.first, hole.last + 1);
    }
    if (!gone) left.push_back(range);
  }
  return CharSet(std::move(left));
}

CharSet CharSet::shared(const CharSet& other) const { return without(without(other)); }

CharSet class_of(char letter) {
  switch (letter) {
    case 'd':
      return {{'0', '9'}};
    case 'w':
      return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    default:
      return {{'\t', '\r'}, {' ', ' '}};
  }
}

const CharSet& wide_class_of(char letter) {
  static const CharSet digits = made_wide(kNumber, {});
  static const CharSet words = made_wide(kWord | kLetter | kNumber, {{'_', '_'}});
  // Beside White_Space: what Python and ECMAScript count too.
  static const CharSet spaces = made_wide(kSpace, {{0x1C, 0x1F}, {0xFEFF, 0xFEFF}, {0x180E, 0x180E}});
  return letter == 'd' ? digits : letter == 'w' ? words : spaces;
}

}  // namespace vl3::grammar
