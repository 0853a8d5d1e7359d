#pragma once
// The formats of strings that schemas name.

#include <string_view>

namespace vl3::grammar {

// A regular expression of the whole string; empty for a format that is not known.
std::string_view regex_of_format(std::string_view format);

}  // namespace vl3::grammar
