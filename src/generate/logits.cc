#include "generate/logits.h"

#include "base/check.h"
#include "generate/sampler.h"

namespace vl3 {

std::span<const float> Logits::row(int64_t index) const {
  require(index >= 0 && index < rows(), ErrorCode::kInternal, "[generate] row {} of {} rows of logits", index,
          rows());
  return {rows_.data<float>() + index * vocab_size(), static_cast<size_t>(vocab_size())};
}

int64_t Logits::argmax(int64_t index) const { return most_likely(row(index)); }

std::vector<std::pair<int64_t, float>> Logits::top_k(int64_t index, int64_t count) const {
  const std::span<const float> values = row(index);
  std::vector<std::pair<int64_t, float>> top;
  for (const int64_t id : top_indices(values, count)) top.emplace_back(id, values[static_cast<size_t>(id)]);
  return top;
}

}  // namespace vl3
