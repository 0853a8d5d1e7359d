#pragma once
// The first half of a forward pass, shared by forward and generate: everything up to the language model.

#include "model/packed_batch.h"
#include "model/parameters.h"
#include "vl3/model.h"

namespace vl3 {

struct EmbeddedBatch {
  PackedBatch packed;
  Tensor embeds;          // [R, H] with visual rows in place
  Tensor image_features;  // [V, H] or undefined
  Tensor video_features;  // [K, H] or undefined
};

EmbeddedBatch embed_batch(Context& context, const Model& model, const ModelWeights& weights,
                          const ForwardInput& input);

}  // namespace vl3
