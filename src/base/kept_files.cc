#include "base/kept_files.h"

#include <algorithm>
#include <system_error>

namespace vl3 {

void remove_longest_unused(std::vector<KeptFiles> kept, uint64_t max_bytes) {
  uint64_t total = 0;
  for (const KeptFiles& files : kept) total += files.bytes;
  std::sort(kept.begin(), kept.end(), [](const KeptFiles& a, const KeptFiles& b) { return a.used < b.used; });
  for (size_t i = 0; i < kept.size() && total > max_bytes; ++i) {
    std::error_code gone;
    for (const auto& path : kept[i].paths) std::filesystem::remove(path, gone);
    total -= kept[i].bytes;
  }
}

}  // namespace vl3
