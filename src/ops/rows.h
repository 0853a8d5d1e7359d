#pragma once
// Operations that move rows. All are differentiable in their f32 operands.

#include <span>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Rows of table [V, D] (f32, bf16, f16, int8 or int4) → [ids, D] f32. Throws kInvalidArgument, with the id,
// outside [0, V). The row of padding_id is read like any other, but gets no gradient from here: reference
// torch.nn.Embedding.
Tensor embedding(Context& context, const Tensor& table, std::span<const int64_t> ids,
                 int64_t padding_id = -1);

// Rows of x [T, D] f32 → [rows, D]. Throws kInvalidArgument outside [0, T).
Tensor gather_rows(Context& context, const Tensor& x, std::span<const int64_t> rows);

// A copy of base [T, D] f32 with rows replaced, in order, by those of source [rows, D]. Rows must be
// distinct.
Tensor scatter_rows(Context& context, const Tensor& base, std::span<const int64_t> rows,
                    const Tensor& source);

// Rows of source [rows, D] f32 → [total, D]: row i at places[i], zeros elsewhere. Places must be distinct.
// Throws kInvalidArgument outside [0, total).
Tensor place_rows(Context& context, const Tensor& source, std::span<const int64_t> places, int64_t total);

// Tensors of one width, one below the other.
Tensor concat_rows(Context& context, std::span<const Tensor> parts);

// Patches [V·m·m, D] in merge-block order → visual tokens [V, D], as bilinear interpolation to 1/m of both
// sides gives (align_corners off): the mean of a block's four middle patches for even m, its centre for odd
// m. Reference: VideoLlama3VisionModel.pixel_unshuffle.
Tensor bilinear_merge(Context& context, const Tensor& x, int64_t merge);

}  // namespace vl3::ops
