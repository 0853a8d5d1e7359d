#include "ops/bilinear_merge.h"

#include <algorithm>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

// Which patches of a block a token is the mean of.
std::vector<int64_t> middle_of(int64_t merge) {
  std::vector<int64_t> middle;
  const int64_t first = (merge - 1) / 2, last = merge / 2;
  for (int64_t i = first; i <= last; ++i) {
    for (int64_t j = first; j <= last; ++j) middle.push_back(i * merge + j);
  }
  return middle;
}

}  // namespace

void bilinear_merge(Context& context, const Tensor& x, int64_t merge, const Tensor& y) {
  const int64_t block = merge * merge, width = x.dim(1);
  const std::vector<int64_t> middle = middle_of(merge);
  const float share = 1.0f / static_cast<float>(middle.size());
  const float* all = x.data<float>();
  float* result = y.mutable_data<float>();
  context.threads().parallel_for(y.dim(0), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t v = begin; v < end; ++v) {
      float* target = result + v * width;
      std::fill_n(target, width, 0.0f);
      for (const int64_t patch : middle) {
        const float* source = all + (v * block + patch) * width;
        for (int64_t d = 0; d < width; ++d) target[d] += share * source[d];
      }
    }
  });
}

void bilinear_merge_backward(Context& context, const Tensor& dy, int64_t merge, const Tensor& dx) {
  const int64_t block = merge * merge, width = dx.dim(1);
  const std::vector<int64_t> middle = middle_of(merge);
  const float share = 1.0f / static_cast<float>(middle.size());
  const float* gradient = dy.data<float>();
  float* result = dx.mutable_data<float>();
  context.threads().parallel_for(dx.dim(0) / block, 16, [&](int64_t begin, int64_t end, int) {
    std::fill(result + begin * block * width, result + end * block * width, 0.0f);
    for (int64_t v = begin; v < end; ++v) {
      for (const int64_t patch : middle) {
        const float* from = gradient + v * width;
        float* to = result + (v * block + patch) * width;
        for (int64_t d = 0; d < width; ++d) to[d] = share * from[d];
      }
    }
  });
}

}  // namespace vl3::ops::cpu
