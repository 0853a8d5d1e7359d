#pragma once
// A word and a list of those that are known.

#include <algorithm>
#include <iterator>
#include <string_view>

namespace vl3 {

template <size_t n>
bool is_one_of(std::string_view word, const std::string_view (&known)[n]) {
  return std::find(std::begin(known), std::end(known), word) != std::end(known);
}

}  // namespace vl3
