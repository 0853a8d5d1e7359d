#pragma once
// The libraries that decode media: pixels may change with them.

#include <string>

namespace vl3 {

// Names and versions of all of them, as they are loaded, in one line.
std::string media_versions();

}  // namespace vl3
