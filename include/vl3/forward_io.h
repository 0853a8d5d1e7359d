#pragma once
// A forward pass from and to named tensors, as files of test data hold them: what `videollama3 forward` does.

#include <string>
#include <utility>
#include <vector>

#include "vl3/checkpoint.h"
#include "vl3/export.h"
#include "vl3/model.h"

namespace vl3 {

// The tensors prefix + "input_ids", "attention_mask", "pixel_values", … that the file has. Throws kFormat for
// a name behind the prefix that is no input.
VL3_API ForwardInput read_forward_input(const SafetensorsFile& file, const std::string& prefix);

// Everything the pass puts out, in the order it comes: "vision.embed.0", "vision.layer0.0", …,
// "vision.out.0", "projector.out.0", "text.layer0.0", …, "text.norm.0", "logits", "loss" (with labels), and
// "hidden.0", … as the reference counts hidden states. Text stages are [B, T, H] with zero rows where there
// is padding; "projector.out" of clips is [V, H] with zero rows where the mask drops tokens.
VL3_API std::vector<std::pair<std::string, Tensor>> forward_all_stages(Context& context,
                                                                       const ForConditionalGeneration& model,
                                                                       ForwardInput input);

}  // namespace vl3
