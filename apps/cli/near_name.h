#pragma once
// Which name somebody may have meant who typed another.

#include <string>
#include <string_view>
#include <vector>

namespace vl3::cli {

// The candidate nearest to typed: by the fewest letters to insert, leave out, replace or swap with their
// neighbour, at most a third of them (case and leading dashes do not count), else one that holds all of
// typed's words ("max-tokens" in "max-new-tokens") or begins with it. "" where none is near; of several
// alike, the first.
std::string near_name(std::string_view typed, const std::vector<std::string>& candidates);

}  // namespace vl3::cli
