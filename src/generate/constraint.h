#pragma once
// The hook for constraints, asked and applied.

#include <cstdint>
#include <span>
#include <vector>

#include "vl3/generation.h"

namespace vl3 {

// The tokens that hooks.allowed leaves; empty: all (also where there is no hook). Throws kInvalidArgument
// when nothing is left, and what the hook throws.
std::vector<uint32_t> allowed_tokens(const GenerationHooks& hooks, const ConstraintQuery& query,
                                     int64_t vocab_size);

inline bool allows(std::span<const uint32_t> mask, int64_t id) {
  return mask.empty() || (mask[static_cast<size_t>(id / 32)] >> (id % 32) & 1) != 0;
}

// -inf for what the mask does not allow; nothing for an empty mask.
void ban_disallowed(std::span<const uint32_t> mask, std::span<float> scores);

}  // namespace vl3
