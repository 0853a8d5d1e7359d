#pragma once

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Patches [V·m·m, D] in merge-block order → visual tokens [V, D], as bilinear interpolation to 1/m of both
// sides gives (align_corners off): the mean of a block's four middle patches for even m, its centre for odd
// m. Differentiable. Reference: VideoLlama3VisionModel.pixel_unshuffle.
Tensor bilinear_merge(Context& context, const Tensor& x, int64_t merge);

}  // namespace vl3::ops
