#pragma once
// What a stage of the network costs: arithmetic and bytes, counted from the weights themselves.

#include "bench/bench.h"

namespace vl3 {

// Floating-point operations, two a multiply-add; norms, activations and softmax are not counted.
double encode_flops(const ForConditionalGeneration& model, int64_t frames, int64_t patches_a_frame,
                    int64_t tokens);
double prefill_flops(const ForConditionalGeneration& model, int64_t tokens);  // logits of the last row only
// Bytes read by one step that decodes a token for each of batch sequences of this many tokens.
double decode_bytes(const ForConditionalGeneration& model, CacheType cache, int64_t context, int64_t batch);

DType vision_dtype(const ForConditionalGeneration& model);

}  // namespace vl3
