#include "ops/cache_append.h"

#include "base/check.h"
#include "ops/cache_row.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"

namespace vl3::ops {
namespace {

void check(const Tensor& k, const AttentionSequence& s) {
  const int64_t rows = s.q_end - s.q_begin;
  require(s.q_begin >= 0 && rows >= 0 && s.q_end <= k.dim(0) && s.kv.length >= rows,
          ErrorCode::kInvalidArgument, "[cache_append] rows {} to {} of keys {} for {} tokens", s.q_begin,
          s.q_end, to_string(k.shape()), s.kv.length);
  if (rows == 0) return;
  const int64_t row = cache_row_bytes(s.kv.type, k.dim(2));
  require(
      !s.kv.blocks.empty() && s.kv.block_tokens > 0 &&
          s.kv.length <= static_cast<int64_t>(s.kv.blocks.size()) * s.kv.block_tokens &&
          s.kv.token_stride >= row && (s.kv.head_stride >= row || k.dim(1) == 1),
      ErrorCode::kInvalidArgument,
      "[cache_append] {} tokens, {} blocks of {} with strides of {} and {} bytes, for {} heads of {} bytes",
      s.kv.length, s.kv.blocks.size(), s.kv.block_tokens, s.kv.token_stride, s.kv.head_stride, k.dim(1), row);
}

}  // namespace

void cache_append(Context& context, const Tensor& k, const Tensor& v,
                  std::span<const AttentionSequence> sequences) {
  require(k.rank() == 3 && v.shape() == k.shape() && k.dtype() == DType::kF32 && v.dtype() == DType::kF32,
          ErrorCode::kInvalidArgument, "[cache_append] keys {} {} and values {} {} should be f32 [T, Hkv, D]",
          to_string(k.dtype()), to_string(k.shape()), to_string(v.dtype()), to_string(v.shape()));
  check_devices(context, "cache_append", {{"k", k}, {"v", v}});
  for (const AttentionSequence& s : sequences) check(k, s);
  implementation(context, "cache_append", cpu::cache_append)(context, k, v, sequences);
}

}  // namespace vl3::ops
