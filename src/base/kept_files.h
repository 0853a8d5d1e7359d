#pragma once
// Folders in which what was made is kept for later, up to so many bytes.

#include <cstdint>
#include <filesystem>
#include <vector>

namespace vl3 {

// What is kept or removed together.
struct KeptFiles {
  std::filesystem::file_time_type used;
  uint64_t bytes = 0;
  std::vector<std::filesystem::path> paths;  // removed in this order
};

// Removes what was used longest ago until the rest has at most max_bytes. Files that are gone already, or
// cannot be removed, are passed over: other processes trim as well.
void remove_longest_unused(std::vector<KeptFiles> kept, uint64_t max_bytes);

}  // namespace vl3
