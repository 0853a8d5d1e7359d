#pragma once
// How much memory a training takes: weights and their optimizer exactly, activations by a formula.

#include <cstdint>

#include "vl3/config.h"
#include "vl3/model.h"
#include "vl3/train.h"

namespace vl3 {

// What passes through the network at once.
struct PassShape {
  int64_t patches = 0;        // of pictures and frames
  int64_t visual_tokens = 0;  // that reach the language model
  int64_t tokens = 0, targets = 0;
};
PassShape shape_of(const ForwardInput& pass);

// Most bytes that a pass keeps for the way back and needs on it, f32. With D, F the widths of the vision
// encoder and its layers, P patches, H, G those of the language model, A and K the widths of its queries and
// of its keys, T tokens, an operation's result being kept until the way back has passed it:
//   a vision layer   P (12 D + 2 F)                 where the vision encoder trains
//   a text layer     T (6 H + 3 A + 3 K + 3 G)      where it or what comes before trains
// times the layers; with recompute P D or T H a layer and, besides, one layer in full. A part without a way
// back takes one layer in full, while it runs. To that come the logits of a piece of the targets twice and
// the gradient of the head, but with lora. What an adapter keeps, T r a layer, is left out, and so are the
// weights that a thread has packed, half a MiB at most.
// tests/train/memory_test.cc compares with what runs took.
int64_t activation_bytes(const Config& config, const TrainConfig& train, const PassShape& pass);

}  // namespace vl3
