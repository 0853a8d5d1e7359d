#pragma once
// What a stage of the network costs: arithmetic and bytes, counted from the weights themselves.

#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

// Floating-point operations, two a multiply-add; norms, activations and softmax are not counted.
double encode_flops(const ForConditionalGeneration& model, int64_t frames, int64_t patches_a_frame,
                    int64_t tokens);
double prefill_flops(const ForConditionalGeneration& model, int64_t tokens);  // logits of the last row only
// Bytes read by one step that decodes a token for each of batch sequences of this many tokens.
double decode_bytes(const ForConditionalGeneration& model, CacheType cache, int64_t context, int64_t batch);

// A pass of training over input, whose labels count. Forward: every frame that no other equals, attention of
// each frame and of each sequence by itself, the head for rows with a label. Back: one more product a matrix
// for the gradient of its weights where its part trains (under an adapter: of the adapter's), one for the
// gradient of what came in where something before it trains; attention twice its forward. Layers that run
// again (recompute, attention's scores) are left out: the figure is what the step is worth, whatever the
// memory it was made with.
struct TrainedParts {
  bool vision_encoder = false, projector = false, llm = false;
};
double training_flops(const ForConditionalGeneration& model, const ForwardInput& input,
                      const TrainedParts& trains);

DType vision_dtype(const ForConditionalGeneration& model);

}  // namespace vl3
