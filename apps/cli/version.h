#pragma once
// What --version tells: which build this is and what it can do.

#include <string>
#include <vector>

namespace vl3::cli {

// The commit it was built from, "-modified" behind it where files differed; "" without one.
const char* build_commit() noexcept;

// What a build may have or lack, a line of --version each.
struct Feature {
  std::string name;   // "kernels", "FFmpeg", …
  std::string value;  // as text
};

// In the order in which they are shown. What becomes optional at build time belongs here.
std::vector<Feature> features();

// "videollama3 0.1.0 (commit …)" and a line a feature.
std::string version_text();

}  // namespace vl3::cli
