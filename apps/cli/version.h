#pragma once
// What --version tells: what the library tells of itself, and the program's own libraries.

#include <string>

namespace vl3::cli {

// "videollama3 0.1.0 (commit …)" and a line a feature.
std::string version_text();

}  // namespace vl3::cli
