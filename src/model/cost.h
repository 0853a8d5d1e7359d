#pragma once
// What the network costs: operations, bytes and memory, for plans, benchmarks and training. Operations and
// the bytes of weights are counted from the weights themselves, memory from the configuration.
//
// Letters: P patches, D and F the vision encoder's width and its layers' middle; T tokens, H and G those of
// the language model, A and K the widths of its queries and of its keys, V the vocabulary.

#include <cstdint>
#include <vector>

#include "vl3/config.h"
#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

// --- operations, two a multiply-add; norms, activations and softmax are not counted

// A picture (a clip of one frame) or a clip.
struct VisualShape {
  int64_t frames = 1, patches_a_frame = 0;
  int64_t tokens = 0;  // that are projected
};
// Attention stays within a frame.
double encode_flops(const ForConditionalGeneration& model, const std::vector<VisualShape>& visuals);
// Prompts of so many tokens each, of which the last one gets logits. Each attends to itself alone, a token to
// those up to it.
double prefill_flops(const ForConditionalGeneration& model, const std::vector<int64_t>& prompts);

// A pass of training over input, whose labels count. Forward: every frame that no other equals, attention of
// each frame and of each sequence by itself, the head for rows with a label. Backward: one more product a
// matrix for the gradient of its weights where its part trains (under an adapter: of the adapter's), one for
// the gradient of what came in where something before it trains; attention twice its forward. Layers that run
// again (recompute, attention's scores) are left out: the figure is what the step is worth, whatever the
// memory it was made with.
struct TrainedParts {
  bool vision_encoder = false, projector = false, llm = false;
};
double training_flops(const ForConditionalGeneration& model, const ForwardInput& input,
                      const TrainedParts& trains);

// --- bytes

// Read by one step that decodes a token for each of batch sequences of `context` tokens.
double decode_bytes(const ForConditionalGeneration& model, CacheType cache, int64_t context, int64_t batch);

// --- memory

// Keys and values of one sequence in a KvCache, which has whole blocks of tokens.
int64_t cache_bytes(const TextConfig& config, CacheType type, int64_t tokens);
// Of `sequences` answers to one prompt: they share its full blocks.
int64_t cache_bytes(const TextConfig& config, CacheType type, int64_t prompt_tokens, int64_t new_tokens,
                    int64_t sequences);

// What operations hold at once, at most, in answering: a group of frames in one layer of the encoder, the
// encoded and projected tokens, a chunk of a prompt in one layer of the language model beside the embeddings
// of all, a row of logits for each sequence. f32; caches and weights are not in it.
struct AnswerShape {
  std::vector<VisualShape> visuals;
  std::vector<int64_t> prompts;  // tokens of each conversation
  int64_t sequences = 1;         // answers, or beams, of each
};
int64_t answer_activation_bytes(const Config& config, const AnswerShape& shape);

// What passes through the network at once in training.
struct PassShape {
  int64_t patches = 0;        // of pictures and frames
  int64_t visual_tokens = 0;  // that reach the language model
  int64_t tokens = 0, targets = 0;
};
PassShape shape_of(const ForwardInput& pass);

struct TrainingShape {
  TrainedParts trains;
  bool recompute = false, lora = false;
};
// Most bytes that a pass keeps for the backward pass and needs on it, f32: the inputs of norms, attention and
// activations, and the inputs of linear layers that train.
//   a vision layer   P (5 D + F), and P (3 D + F) where the vision encoder trains
//   a text layer     T (2 H + A + 2 K + 2 G), and T (2 H + A + G) where the language model trains
// times the layers; with recompute P D or T H a layer and, besides, one layer in full. A part without a
// backward pass takes one layer in full, while it runs. To that come the logits of a piece of the targets
// twice and the gradient of the head, but with lora. What an adapter keeps, T r a layer, is left out, and so
// are the weights that a thread has packed, half a MiB at most. docs/training.md has the same as a table.
int64_t training_activation_bytes(const Config& config, const TrainingShape& training, const PassShape& pass);

// Rows of an activation that the language model's layers take at once; longer prompts go in pieces.
inline constexpr int64_t kTextRowsAtOnce = 2048;
// Patches that the vision encoder takes at once, but for larger frames.
inline constexpr int64_t kVisionRowsAtOnce = 1024;

DType vision_dtype(const ForConditionalGeneration& model);

}  // namespace vl3
