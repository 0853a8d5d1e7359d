#include "ops/cpu/matmul_operand.h"

#include <algorithm>

#include "runtime/context_parts.h"
#include "tensor/quantized.h"
#include "vl3/thread_pool.h"

namespace vl3::ops {

Form form_of(const Context& context, const MatmulColumns& product, bool few) {
  const Tensor& w = *product.w;
  if (context.compute() != Compute::kAuto) return Form::kF32;
  if (product.rounded && kernels_of(context).tile_pairs != nullptr) return Form::kBf16Pairs;
  if (w.dtype() == DType::kInt8) return Form::kInt8;
  if (w.dtype() == DType::kInt4) return few ? Form::kInt8Groups : Form::kInt8;
  if (w.dtype() == DType::kBF16 && kernels_of(context).tile_pairs != nullptr) return Form::kBf16Pairs;
  return Form::kF32;
}

Operand::Operand(Context& context, const MatmulRows& rows, std::span<const MatmulColumns> products,
                 bool few_rows)
    : m(rows.m),
      few(few_rows),
      k(rows.k),
      pairs((k + 1) / 2),
      groups(quant_groups(k)),
      parts(quant_parts(k)),
      transposed(rows.transposed),
      f32(rows.data) {
  bool needs[4] = {};
  for (const MatmulColumns& p : products) needs[static_cast<int>(form_of(context, p, few))] = true;
  const auto needed = [&](Form form) { return needs[static_cast<int>(form)]; };
  const KernelSet& kernels = kernels_of(context);
  float* wide = nullptr;
  if (rows.prologue && needed(Form::kF32)) {
    f32_ = context.empty({m, k});
    f32 = wide = f32_.mutable_data<float>();
  }
  if (needed(Form::kBf16Pairs)) bf16_ = context.empty({m, pairs}, DType::kI32);
  if (bf16_.defined() && rows.rounded != nullptr && k % 2 == 0)
    *rows.rounded = Tensor(bf16_.storage(), 0, {m, k}, DType::kBF16);
  const auto allocate = [&](Int8Rows& into, int64_t stride, int64_t starts) {
    into = {stride, starts, context.empty({m, stride}, DType::kU8), context.empty({m, groups}),
            context.empty({m, starts}, DType::kI32)};
  };
  if (needed(Form::kInt8)) allocate(quads_, kernels.quantized_row_bytes(k), groups);
  if (needed(Form::kInt8Groups)) allocate(parts_, parts * kQuantPart, parts);
  for (const MatmulColumns& p : products) {
    if (!is_int8(form_of(context, p, few)) || multipliers_.defined() || k == 0) continue;
    multipliers_ = context.empty({k});
    activation_multipliers(*p.w, multipliers_.mutable_span<float>());
  }
  auto* words = bf16_.defined() ? reinterpret_cast<uint32_t*>(bf16_.mutable_data<int32_t>()) : nullptr;
  bf16 = words;
  if (!rows.prologue && words == nullptr && !needed(Form::kInt8) && !needed(Form::kInt8Groups)) return;

  if (transposed) {
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
        float* target = wide != nullptr ? wide + i * k : scratch.mutable_data<float>() + thread * k;
        rows.prologue(i, target);
        row = target;
      }
      if (words != nullptr) kernels.round_pairs(row, k, words + i * pairs);
      if (needed(Form::kInt8)) quantize(kernels, Form::kInt8, row, i);
      if (needed(Form::kInt8Groups)) quantize(kernels, Form::kInt8Groups, row, i);
    }
  });
}

void Operand::quantize(const KernelSet& kernels, Form form, const float* row, int64_t i) {
  Int8Rows& into = form == Form::kInt8 ? quads_ : parts_;
  const auto quantize_row = form == Form::kInt8 ? kernels.quantize_row : kernels.quantize_parts;
  quantize_row(row, multipliers_.data<float>(), k, into.bytes.mutable_data<uint8_t>() + i * into.stride,
               into.scales.mutable_data<float>() + i * groups,
               into.starts.mutable_data<int32_t>() + i * into.starts_of_row);
}

QuantizedRows Operand::quantized(Form form, int64_t row) const {
  const Int8Rows& from = form == Form::kInt8 ? quads_ : parts_;
  return {from.bytes.data<uint8_t>() + row * from.stride, from.stride,
          from.scales.data<float>() + row * groups, from.starts.data<int32_t>() + row * from.starts_of_row};
}

}  // namespace vl3::ops
