#include "ops/matmul_operand.h"

#include "base/thread_pool.h"
#include "tensor/quantized.h"

namespace vl3::ops {

Form form_of(const Context& context, const MatmulColumns& product) {
  const Tensor& w = *product.w;
  if (context.compute() != Compute::kAuto) return Form::kF32;
  if (product.rounded && context.kernels().tile_pairs != nullptr) return Form::kPairs;
  if (w.dtype() == DType::kInt8) return Form::kQuads;
  if (w.dtype() == DType::kInt4) return Form::kGroups;
  if (w.dtype() == DType::kBF16 && context.kernels().tile_pairs != nullptr) return Form::kPairs;
  return Form::kF32;
}

Operand::Operand(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products)
    : m(rows.m),
      k(rows.k),
      pairs((k + 1) / 2),
      quad_bytes(context.kernels().quantized_row_bytes(k)),
      groups((k + kInt4Group - 1) / kInt4Group),
      turned(rows.turned),
      f32(rows.data) {
  bool needs[4] = {};
  for (const MatmulColumns& p : products) needs[static_cast<int>(form_of(context, p))] = true;
  const auto needed = [&](Form form) { return needs[static_cast<int>(form)]; };
  float* wide = nullptr;
  if (rows.prologue && needed(Form::kF32)) {
    f32_ = context.empty({m, k});
    f32 = wide = f32_.data<float>();
  }
  if (needed(Form::kPairs)) bf16_ = context.empty({m, pairs}, DType::kI32);
  if (bf16_.defined() && rows.rounded != nullptr && k % 2 == 0)
    *rows.rounded = Tensor(bf16_.storage(), 0, {m, k}, DType::kBF16);
  if (needed(Form::kQuads)) {
    quads_ = context.empty({m, quad_bytes}, DType::kU8);
    quad_scales_ = context.empty({m});
  }
  if (needed(Form::kGroups)) {
    group_bytes_ = context.empty({m, groups * kInt4Group}, DType::kU8);
    group_scales_ = context.empty({m, groups});
    group_sums_ = context.empty({m, groups});
  }
  auto* words = bf16_.defined() ? reinterpret_cast<uint32_t*>(bf16_.data<int32_t>()) : nullptr;
  bf16 = words;
  quads = quads_.defined() ? quads_.data<uint8_t>() : nullptr;
  quad_scales = quads_.defined() ? quad_scales_.data<float>() : nullptr;
  group_bytes = group_bytes_.defined() ? group_bytes_.data<uint8_t>() : nullptr;
  group_scales = group_bytes_.defined() ? group_scales_.data<float>() : nullptr;
  group_sums = group_bytes_.defined() ? group_sums_.data<float>() : nullptr;
  if (!rows.prologue && words == nullptr && quads == nullptr && group_bytes == nullptr) return;

  const KernelSet& kernels = context.kernels();
  if (turned) {
    context.threads().parallel_for(pairs, 4, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const float* first = rows.data + 2 * i * m;
        kernels.interleave_pairs(first, 2 * i + 1 < k ? first + m : nullptr, m, words + i * m);
      }
    });
    return;
  }
  const Tensor scratch =
      rows.prologue && wide == nullptr ? context.empty({context.threads().size(), k}) : Tensor();
  context.threads().parallel_for(m, 4, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = rows.data + i * k;
      if (rows.prologue) {
        float* target = wide != nullptr ? wide + i * k : scratch.data<float>() + thread * k;
        rows.prologue(i, target);
        row = target;
      }
      if (words != nullptr) kernels.round_pairs(row, k, words + i * pairs);
      if (quads != nullptr) {
        quad_scales_.data<float>()[i] = kernels.quantize_row(row, k, quads_.data<uint8_t>() + i * quad_bytes);
      }
      if (group_bytes != nullptr) {
        kernels.quantize_groups(row, k, group_bytes_.data<uint8_t>() + i * groups * kInt4Group,
                                group_scales_.data<float>() + i * groups,
                                group_sums_.data<float>() + i * groups);
      }
    }
  });
}

}  // namespace vl3::ops
