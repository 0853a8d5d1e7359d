#include "vl3/forward_io.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "model/packed_batch.h"

namespace vl3 {
namespace {

struct InputField {
  const char* name;
  Tensor ForwardInput::*member;
};
constexpr InputField kInputs[] = {
    {"input_ids", &ForwardInput::input_ids},
    {"inputs_embeds", &ForwardInput::inputs_embeds},
    {"attention_mask", &ForwardInput::attention_mask},
    {"position_ids", &ForwardInput::position_ids},
    {"pixel_values", &ForwardInput::pixel_values},
    {"image_grid_thw", &ForwardInput::image_grid_thw},
    {"image_merge_sizes", &ForwardInput::image_merge_sizes},
    {"pixel_values_videos", &ForwardInput::pixel_values_videos},
    {"video_grid_thw", &ForwardInput::video_grid_thw},
    {"video_merge_sizes", &ForwardInput::video_merge_sizes},
    {"video_compression_mask", &ForwardInput::video_compression_mask},
    {"image_features", &ForwardInput::image_features},
    {"video_features", &ForwardInput::video_features},
    {"labels", &ForwardInput::labels},
};

// Rows of kept visual tokens in their places among all of them.
Tensor spread(const Tensor& kept, const Tensor& mask) {
  Tensor all = Tensor::zeros({mask.numel(), kept.dim(1)}, DType::kF32);
  for (int64_t i = 0, row = 0; i < mask.numel(); ++i) {
    if (mask.raw()[i] == std::byte{0}) continue;
    std::memcpy(all.rows(i, i + 1).mutable_raw(), kept.rows(row, row + 1).raw(), all.rows(i, i + 1).bytes());
    ++row;
  }
  return all;
}

}  // namespace

ForwardInput read_forward_input(const SafetensorsFile& file, const std::string& prefix) {
  ForwardInput input;
  for (const std::string& name : file.names()) {
    if (!name.starts_with(prefix)) continue;
    std::string_view key = std::string_view(name).substr(prefix.size());
    if (key.starts_with('.')) key.remove_prefix(1);  // the prefix may come without its dot
    const auto* field =
        std::find_if(std::begin(kInputs), std::end(kInputs), [&](const auto& f) { return key == f.name; });
    require(field != std::end(kInputs), ErrorCode::kFormat, "[{}] \"{}\" is not an input of the model",
            file.path().string(), name);
    input.*field->member = file.get(name);
  }
  require(input.input_ids.defined() || input.inputs_embeds.defined(), ErrorCode::kFormat,
          "[{}] has neither \"{}input_ids\" nor \"{}inputs_embeds\"", file.path().string(), prefix, prefix);
  return input;
}

std::vector<std::pair<std::string, Tensor>> forward_all_stages(Context& context,
                                                               const ForConditionalGeneration& model,
                                                               ForwardInput input) {
  const PackedBatch packed = pack(input);
  const bool clips_only = input.pixel_values_videos.defined() && !input.pixel_values.defined();
  const std::string clip_projection = clips_only ? "projector.out.0" : "projector.out.1";
  const bool pruned = input.pixel_values_videos.defined() && input.video_compression_mask.defined();
  std::vector<std::pair<std::string, Tensor>> result;
  Probe probe;
  probe.stage = [&](const std::string& name, const Tensor& value) {
    if (name.starts_with("text.")) {
      result.emplace_back(name, unpack(context, packed, value));
    } else if (pruned && name == clip_projection) {
      result.emplace_back(name, spread(value, input.video_compression_mask));
    } else {
      result.emplace_back(name, value);
    }
  };
  input.probe = &probe;
  const ForwardOutput output = model.forward(context, input);
  if (output.video_hidden_states.defined())
    result.emplace_back("video_hidden_states", output.video_hidden_states);
  if (output.image_hidden_states.defined())
    result.emplace_back("image_hidden_states", output.image_hidden_states);
  result.emplace_back("logits", output.logits);
  if (output.loss.defined()) result.emplace_back("loss", output.loss);
  return result;
}

}  // namespace vl3
