#include "forward.h"

#include <nanobind/stl/string.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/near_names.h"
#include "model/forward.h"
#include "model/model_parts.h"
#include "tensors.h"
#include "vl3/error.h"

namespace nb = nanobind;

namespace vl3::python {
namespace {

struct InputField {
  std::string_view name;
  Tensor ForwardInput::*member;
  DType dtype;
};
constexpr InputField kInputs[] = {
    {"input_ids", &ForwardInput::input_ids, DType::kI64},
    {"inputs_embeds", &ForwardInput::inputs_embeds, DType::kF32},
    {"attention_mask", &ForwardInput::attention_mask, DType::kU8},
    {"position_ids", &ForwardInput::position_ids, DType::kI64},
    {"pixel_values", &ForwardInput::pixel_values, DType::kF32},
    {"image_grid_thw", &ForwardInput::image_grid_thw, DType::kI64},
    {"image_merge_sizes", &ForwardInput::image_merge_sizes, DType::kI64},
    {"pixel_values_videos", &ForwardInput::pixel_values_videos, DType::kF32},
    {"video_grid_thw", &ForwardInput::video_grid_thw, DType::kI64},
    {"video_merge_sizes", &ForwardInput::video_merge_sizes, DType::kI64},
    {"video_compression_mask", &ForwardInput::video_compression_mask, DType::kU8},
    {"image_features", &ForwardInput::image_features, DType::kF32},
    {"video_features", &ForwardInput::video_features, DType::kF32},
    {"labels", &ForwardInput::labels, DType::kI64},
};

// "text.layer3.0" → 3; -1 for what is no layer's output.
int64_t layer_of(const std::string& name, std::string_view kind) {
  if (!name.starts_with(kind)) return -1;
  return std::stoll(name.substr(kind.size()));
}

}  // namespace

ForwardInput forward_input(nb::dict inputs) {
  ForwardInput input;
  for (const auto item : inputs) {
    const auto name = nb::cast<std::string>(item.first);
    const InputField* field = nullptr;
    std::vector<std::string_view> known;
    for (const InputField& candidate : kInputs) {
      known.push_back(candidate.name);
      if (candidate.name == name) field = &candidate;
    }
    if (field == nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  "[model] \"" + name + "\" is no input" + did_you_mean(name, known));
    }
    if (item.second.is_none()) continue;
    // A float mask is none of the reference's either; integers of any width are.
    input.*field->member = from_python(item.second, name, field->dtype);
  }
  return input;
}

ForwardResult run_forward(Context& context, const ForConditionalGeneration& model, ForwardInput input,
                          const ForwardWishes& wishes) {
  ForwardResult result;
  const auto layers = static_cast<size_t>(model.config().text.num_hidden_layers);
  EmbeddedBatch batch;
  Tensor image_features, video_features;
  if (wishes.hidden_states) {
    // What goes into the first layer is the first of them, so that it is made here and given to the model.
    batch = embed_batch(context, model.model(), weights_of(model), input);
    image_features = batch.image_features;
    video_features = batch.video_features;
    result.hidden_states.push_back(unpack(context, batch.packed, batch.embeds));
    result.hidden_states.resize(layers + 1);
    ForwardInput embedded;
    embedded.inputs_embeds = result.hidden_states[0];
    embedded.attention_mask = input.attention_mask;
    embedded.position_ids = input.position_ids;
    embedded.labels = input.labels;
    embedded.past = input.past;
    embedded.logits_to_keep = input.logits_to_keep;
    input = std::move(embedded);
  }
  Probe probe;
  probe.attentions = wishes.attentions;
  if (wishes.attentions) result.attentions.resize(layers);
  probe.stage = [&](const std::string& name, const Tensor& value) {
    if (wishes.hidden_states) {
      const int64_t layer = layer_of(name, "text.layer");
      // Of the last layer the value behind the final norm counts, which the output has.
      if (layer >= 0 && layer + 1 < static_cast<int64_t>(layers))
        result.hidden_states[static_cast<size_t>(layer) + 1] = unpack(context, batch.packed, value);
    }
    const int64_t layer = wishes.attentions ? layer_of(name, "text.attention") : -1;
    if (layer >= 0) result.attentions[static_cast<size_t>(layer)].push_back(value);
  };
  if (wishes.hidden_states || wishes.attentions) input.probe = &probe;
  result.output = wishes.head ? model.forward(context, input) : model.model().forward(context, input);
  if (wishes.hidden_states) {
    result.hidden_states.back() = result.output.last_hidden_state;
    result.output.image_hidden_states = image_features;
    result.output.video_hidden_states = video_features;
  }
  return result;
}

nb::dict to_python(const ForwardResult& result) {
  nb::dict out;
  out["loss"] = to_python(result.output.loss);
  out["logits"] = to_python(result.output.logits);
  out["last_hidden_state"] = to_python(result.output.last_hidden_state);
  out["image_hidden_states"] = to_python(result.output.image_hidden_states);
  out["video_hidden_states"] = to_python(result.output.video_hidden_states);
  const auto list_of = [](const std::vector<Tensor>& tensors) {
    nb::list list;
    for (const Tensor& tensor : tensors) list.append(to_python(tensor));
    return list;
  };
  out["hidden_states"] =
      result.hidden_states.empty() ? nb::object(nb::none()) : list_of(result.hidden_states);
  if (result.attentions.empty()) {
    out["attentions"] = nb::none();
  } else {
    nb::list layers;
    for (const std::vector<Tensor>& layer : result.attentions) layers.append(list_of(layer));
    out["attentions"] = layers;
  }
  return out;
}

}  // namespace vl3::python
