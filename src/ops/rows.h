#pragma once
// Operations that move rows. All are differentiable.

#include <span>

#include "ops/index_list.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Rows of x [T, D] f32 → [rows, D]. Throws kInvalidArgument outside [0, T).
Tensor gather_rows(Context& context, const Tensor& x, const IndexList& rows);

// A copy of base [T, D] f32 with rows replaced, in order, by those of source [rows, D]. Rows must be
// distinct.
Tensor scatter_rows(Context& context, const Tensor& base, const IndexList& rows, const Tensor& source);

// Rows of source [rows, D] f32 → [total, D]: row i at places[i], zeros elsewhere. Places must be distinct.
// Throws kInvalidArgument outside [0, total).
Tensor place_rows(Context& context, const Tensor& source, const IndexList& places, int64_t total);

// Tensors of one width, one below the other.
Tensor concat_rows(Context& context, std::span<const Tensor> parts);

}  // namespace vl3::ops
