#pragma once
// New keys and values go where a cache keeps them.

#include <span>

#include "ops/attention.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// k, v [T, Hkv, D] f32, dense, rotated: for every sequence the rows [q_begin, q_end) become the last keys and
// values of its view, that is tokens [kv.length - (q_end - q_begin), kv.length) of its blocks, in the cache's
// type (ops/cache_row.h: f32 as they are, f16 rounded to nearest, int8 divided by the channel's factors,
// rotated and rounded). Other tokens stay as they are. A token belongs to one sequence of the call; rows in
// none are left out. Not differentiable. A stored row depends on its row alone, to the bit.
//
// Throws kInvalidArgument for shapes and strides that do not fit each other, borders outside k, views that
// are no cache's (without blocks), and lengths beyond the blocks; nothing is written then.
void cache_append(Context& context, const Tensor& k, const Tensor& v,
                  std::span<const AttentionSequence> sequences);

}  // namespace vl3::ops
