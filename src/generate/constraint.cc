#include "generate/constraint.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace vl3 {

std::vector<uint32_t> allowed_tokens(const GenerationHooks& hooks, const ConstraintQuery& query,
                                     int64_t vocab_size) {
  if (!hooks.allowed) return {};
  std::vector<uint32_t> mask(static_cast<size_t>((vocab_size + 31) / 32), 0);
  if (!hooks.allowed(query, mask)) return {};
  if (vocab_size % 32 != 0) mask.back() &= (uint32_t{1} << (vocab_size % 32)) - 1;  // no ids there
  require(std::any_of(mask.begin(), mask.end(), [](uint32_t word) { return word != 0; }),
          ErrorCode::kInvalidArgument,
          "[generate] the constraint on prompt {} allows no token after {} tokens of the answer",
          query.prompt, query.new_ids.size());
  return mask;
}

void ban_disallowed(std::span<const uint32_t> mask, std::span<float> scores) {
  if (mask.empty()) return;
  for (size_t i = 0; i < scores.size(); ++i) {
    if ((mask[i / 32] >> (i % 32) & 1) == 0) scores[i] = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace vl3
