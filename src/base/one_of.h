#pragma once
// A word and a list of those that are known.

#include <algorithm>
#include <iterator>
#include <string_view>

namespace vl3 {

// known: an array or a container of strings.
template <class Words>
bool is_one_of(std::string_view word, const Words& known) {
  return std::find(std::begin(known), std::end(known), word) != std::end(known);
}

}  // namespace vl3
