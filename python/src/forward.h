#pragma once
// Named tensors of Python as the network's input, and its output as named tensors.

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "vl3/model.h"

namespace vl3::python {

// The model's inputs under the reference's names, as tensors that share the arrays' memory where that is
// dense and of the right dtype. Throws kInvalidArgument, with the nearest name, for one that is no input.
ForwardInput forward_input(nanobind::dict inputs);

struct ForwardWishes {
  bool hidden_states = false;
  bool attentions = false;
  bool head = true;  // false: VideoLlama3Model's output, without logits
};

// "logits", "loss", "last_hidden_state", "image_hidden_states", "video_hidden_states", and, where asked for,
// "hidden_states" (one more than layers: embeddings first, the last behind the final norm) and "attentions"
// (a list for each layer of [Hq, Tq, Tk], one a sequence).
struct ForwardResult {
  ForwardOutput output;
  std::vector<Tensor> hidden_states;            // [B, T, H] each
  std::vector<std::vector<Tensor>> attentions;  // of each layer, of each sequence
};
ForwardResult run_forward(Context& context, const ForConditionalGeneration& model, ForwardInput input,
                          const ForwardWishes& wishes);

nanobind::dict to_python(const ForwardResult& result);

}  // namespace vl3::python
