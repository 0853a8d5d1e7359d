#pragma once

#include "ops/index_list.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Rows of table [V, D] (f32, bf16, f16, int8 or int4) → [ids, D] f32. Throws kInvalidArgument, with the id,
// outside [0, V). Differentiable in an f32 table. The row of padding_id is read like any other, but gets no
// gradient from here: reference torch.nn.Embedding.
Tensor embedding(Context& context, const Tensor& table, const IndexList& ids, int64_t padding_id = -1);

}  // namespace vl3::ops
