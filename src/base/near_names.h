#pragma once
// What a name that nobody knows was meant to be.

#include <string>
#include <string_view>
#include <vector>

namespace vl3 {

// Insertions, deletions and replacements that make one name of the other.
size_t edit_distance(std::string_view a, std::string_view b);

// The name under which this engine has what other programs call `foreign` ("max_tokens": "max_new_tokens");
// empty where there is none.
std::string_view our_name_of(std::string_view foreign);

// "; did you mean \"fps\"?": our_name_of the name where it is among those known, else the nearest of them
// where at most every third character differs; empty where none comes near.
std::string did_you_mean(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace vl3
