#include "ops/rows.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {
namespace {

constexpr int64_t kRowsAtOnce = 64;  // that a thread moves

}  // namespace

void put_rows(Context& context, const Tensor& source, const IndexList& targets, const Tensor& y) {
  const int64_t width = source.dim(1);
  const auto numbers = targets.host();
  const float* from = source.data<float>();
  float* to = y.mutable_data<float>();
  context.threads().parallel_for(targets.size(), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      std::copy_n(from + i * width, width, to + numbers[static_cast<size_t>(i)] * width);
  });
}

void gather_rows(Context& context, const Tensor& x, const IndexList& rows, const Tensor& y) {
  const int64_t width = x.dim(1);
  const auto numbers = rows.host();
  const float* from = x.data<float>();
  float* to = y.mutable_data<float>();
  context.threads().parallel_for(rows.size(), kRowsAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i)
      std::copy_n(from + numbers[static_cast<size_t>(i)] * width, width, to + i * width);
  });
}

void scatter_rows(Context& context, const Tensor& base, const IndexList& rows, const Tensor& source,
                  const Tensor& y) {
  std::copy_n(base.data<float>(), base.numel(), y.mutable_data<float>());
  put_rows(context, source, rows, y);
}

void place_rows(Context& context, const Tensor& source, const IndexList& places, const Tensor& y) {
  if (y.numel() > 0) std::memset(y.mutable_raw(), 0, y.bytes());
  put_rows(context, source, places, y);
}

void concat_rows(Context&, std::span<const Tensor> parts, const Tensor& y) {
  float* target = y.mutable_data<float>();
  for (const Tensor& part : parts) target = std::copy_n(part.data<float>(), part.numel(), target);
}

void add_rows(Context& context, const Tensor& source, const IndexList& rows, int64_t skipped,
              const Tensor& target) {
  const int64_t width = source.dim(1);
  const float* from = source.data<float>();
  float* all = target.mutable_data<float>();
  const auto numbers = rows.host();
  for (size_t i = 0; i < numbers.size(); ++i) {  // one after the other: rows may repeat
    float* to = all + numbers[i] * width;
    if (numbers[i] != skipped) kernels_of(context).add(to, from + static_cast<int64_t>(i) * width, width, to);
  }
}

void zero_rows(Context&, const IndexList& rows, const Tensor& target) {
  const int64_t width = target.dim(1);
  float* all = target.mutable_data<float>();
  for (const int64_t row : rows.host()) std::fill_n(all + row * width, width, 0.0f);
}

}  // namespace vl3::ops::cpu
