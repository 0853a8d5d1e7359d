#pragma once
// Stage 6: embeddings of the ids, with visual rows in the places that the placeholders hold for them.

#include <span>
#include <string_view>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

// embeds [T, H] with the rows whose id is placeholder replaced by features [K, H], in order.
// Throws kInvalidArgument, with both counts, when there are not exactly K of them. what: "image" or "video".
Tensor merge_visual_tokens(Context& context, const Tensor& embeds, std::span<const int64_t> ids,
                           int64_t placeholder, const Tensor& features, std::string_view what);

}  // namespace vl3
