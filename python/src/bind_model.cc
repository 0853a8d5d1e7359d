#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "bindings.h"
#include "forward.h"
#include "generate.h"
#include "gil.h"
#include "model/model_parts.h"
#include "model/parameters.h"
#include "ops/embedding.h"
#include "runtime.h"
#include "tensors.h"
#include "values.h"
#include "vl3/engine.h"
#include "vl3/error.h"
#include "vl3/model.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vl3::python {
namespace {

// The keys of the reference where it can say what the model is, else those of the original release.
Dict config_of(const ForConditionalGeneration& model) {
  const Config& config = model.config();
  try {
    return dict_of(config.to_json(Layout::kHuggingFace));
  } catch (const Error&) {
    return dict_of(config.to_json(config.layout));
  }
}

int64_t num_parameters(const ForConditionalGeneration& model) {
  ModelWeights shared = weights_of(model);  // the tensors' memory is not copied
  int64_t count = 0;
  visit(shared, model.config(), [&](const std::string&, const Tensor& tensor, Part) {
    if (tensor.defined()) count += tensor.numel();
  });
  return count;
}

nb::typed<nb::tuple, Dict, nb::any> forward(const ForConditionalGeneration& self, Runtime& runtime,
                                            Dict inputs, bool head, bool hidden_states, bool attentions,
                                            int64_t logits_to_keep, std::shared_ptr<PastKeyValues> past,
                                            bool use_cache) {
  ForwardInput input = forward_input(inputs);
  input.logits_to_keep = logits_to_keep;
  const int64_t batch = input.input_ids.defined()       ? input.input_ids.dim(0)
                        : input.inputs_embeds.defined() ? input.inputs_embeds.dim(0)
                                                        : 0;
  if (use_cache && past == nullptr) past = std::make_shared<PastKeyValues>();
  if (past != nullptr && past->size() != 0 && static_cast<int64_t>(past->size()) != batch) {
    throw Error(ErrorCode::kInvalidArgument, "[past_key_values] is of " + std::to_string(past->size()) +
                                                 " sequences, and the batch has " + std::to_string(batch));
  }
  ForwardResult result = runtime.call([&](Context& context) {
    if (past != nullptr && past->size() == 0) *past = self.new_past(context, batch);
    input.past = past.get();
    return run_forward(context, self, std::move(input), {hidden_states, attentions, head});
  });
  return nb::borrow<nb::typed<nb::tuple, Dict, nb::any>>(nb::make_tuple(to_python(result), past));
}

nb::object embed(const ForConditionalGeneration& self, Runtime& runtime, nb::handle ids) {
  const Tensor wanted = from_python(ids, "input_ids", DType::kI64);
  Tensor rows = runtime.call([&](Context& context) {
    const auto span = wanted.span<int64_t>();
    return ops::embedding(context, weights_of(self).text.embed_tokens,
                          std::vector<int64_t>(span.begin(), span.end()));
  });
  Shape shape = wanted.shape();
  shape.push_back(rows.dim(1));
  return to_python(rows.reshape(shape));
}

using Tensors = nb::typed<nb::list, nb::any>;
using Generated = nb::typed<nb::tuple, std::vector<GenerationResult>, Tensors, Tensors>;

Tensors list_of(const std::vector<Tensor>& tensors) {
  nb::list list;
  for (const Tensor& tensor : tensors) list.append(to_python(tensor));
  return nb::borrow<Tensors>(list);
}

// The answers, and the logits and scores of each step where they are asked for.
Generated generate(const ForConditionalGeneration& self, Runtime& runtime, Dict inputs,
                   const GenerationConfig& settings, const Tokenizer* tokenizer, const Callables& callables,
                   bool logits, bool scores) {
  const ForwardInput input = forward_input(inputs);
  GenerationHooks text;
  if (tokenizer != nullptr) text = text_hooks(*tokenizer);
  const Tensor& prompts = input.input_ids.defined() ? input.input_ids : input.inputs_embeds;
  StepScores steps(prompts.defined() ? prompts.dim(0) : 0, settings.num_return_sequences, logits, scores);
  const GenerationHooks hooks = steps.watched_by(hooks_of(std::move(text), callables));
  const std::vector<GenerationResult> results =
      runtime.call([&](Context& context) { return self.generate(context, input, settings, hooks); });
  steps.cut(results);
  return nb::borrow<Generated>(
      nb::make_tuple(nb::cast(results), list_of(steps.logits()), list_of(steps.scores())));
}

void bind_generation(nb::module_& module) {
  nb::class_<GenerationConfig>(module, "Settings", "Settings of generation, checked.")
      .def_static(
          "of_folder",
          [](const std::filesystem::path& folder) {
            GenerationConfig base;
            if (std::filesystem::exists(folder / "config.json")) {
              const Config config = Config::from_pretrained(folder);
              base.eos_token_id = config.text.eos_token_ids;
              base.pad_token_id = config.text.pad_token_id;
            }
            return GenerationConfig::from_pretrained(folder, base);
          },
          "folder"_a, "Of generation_config.json, with the end tokens of config.json where that is there.")
      .def_static(
          "of",
          [](nb::handle settings, const GenerationConfig& base, const std::string& origin) {
            return GenerationConfig::from_json(json_from_python(settings, origin), base, origin);
          },
          "settings"_a, "base"_a, "origin"_a = "generate")
      .def("__init__", [](GenerationConfig* self) { new (self) GenerationConfig(); })
      .def("to_dict", [](const GenerationConfig& self) { return dict_of(self.to_json()); })
      .def_ro("stop_strings", &GenerationConfig::stop_strings)
      .def_ro("num_beams", &GenerationConfig::num_beams)
      .def_ro("num_return_sequences", &GenerationConfig::num_return_sequences);
  nb::class_<GenerationResult>(module, "Result", "One answer.")
      .def_ro("prompt", &GenerationResult::prompt)
      .def_ro("new_ids", &GenerationResult::new_ids)
      .def_ro("sequence_score", &GenerationResult::sequence_score);
  module.def(
      "padded_answers",
      [](const std::vector<GenerationResult>& results, const GenerationConfig& settings) {
        return pad_new_ids(results, settings);
      },
      "results"_a, "settings"_a);
}

void bind_caches(nb::module_& module) {
  nb::class_<PastKeyValues>(module, "Caches", "Keys and values of a batch between two calls of the model.")
      .def("get_seq_length",
           [](const PastKeyValues& self) {
             int64_t longest = 0;
             for (size_t i = 0; i < self.size(); ++i) longest = std::max(longest, self.columns(i));
             return longest;
           })
      .def("fork", [](const PastKeyValues& self) { return std::make_shared<PastKeyValues>(self.fork()); })
      .def("crop", &PastKeyValues::truncate, "max_length"_a);
}

// What the vision encoder takes.
struct Patches {
  Tensor pixel_values, grid_thw, merge_sizes;
  Patches(nb::handle pixels, nb::handle grid, nb::handle merge)
      : pixel_values(from_python(pixels, "pixel_values", DType::kF32)),
        grid_thw(from_python(grid, "grid_thw", DType::kI64)),
        merge_sizes(from_python(merge, "merge_sizes", DType::kI64)) {}
};

nb::object vision(const ForConditionalGeneration& self, Runtime& runtime, nb::handle pixels, nb::handle grid,
                  nb::handle merge) {
  const Patches given(pixels, grid, merge);
  return to_python(runtime.call([&](Context& context) {
    return self.model().vision_model().forward(context, given.pixel_values, given.grid_thw,
                                               given.merge_sizes);
  }));
}

nb::object image_features(const ForConditionalGeneration& self, Runtime& runtime, nb::handle pixels,
                          nb::handle grid, nb::handle merge) {
  const Patches given(pixels, grid, merge);
  return to_python(runtime.call([&](Context& context) {
    return self.model().get_image_features(context, given.pixel_values, given.grid_thw, given.merge_sizes);
  }));
}

}  // namespace

void bind_model(nb::module_& module) {
  bind_generation(module);
  bind_caches(module);
  nb::class_<ForConditionalGeneration>(module, "Model", "The whole network with its head.")
      .def_static(
          "open",
          [](const std::filesystem::path& folder, const std::optional<std::filesystem::path>& adapter) {
            return ForConditionalGeneration::from_pretrained(folder,
                                                             adapter.value_or(std::filesystem::path()));
          },
          "folder"_a, "adapter"_a = nb::none(), nb::call_guard<WithoutGil>())
      .def_prop_ro("config", &config_of)
      .def_prop_ro(
          "weights_dtype",
          [](const ForConditionalGeneration& self) { return std::string(to_string(self.weights_dtype())); })
      .def_prop_ro("weight_bytes", &ForConditionalGeneration::weight_bytes)
      .def_prop_ro("num_parameters", &num_parameters)
      .def("forward", &forward, "runtime"_a, "inputs"_a, "head"_a = true, "hidden_states"_a = false,
           "attentions"_a = false, "logits_to_keep"_a = 0, "caches"_a = nb::none(), "use_cache"_a = false)
      .def(
          "generate",
          [](const ForConditionalGeneration& self, Runtime& runtime, Dict inputs,
             const GenerationConfig& settings, const Tokenizer* tokenizer, nb::handle on_token,
             nb::handle bend_scores, nb::handle allowed, nb::handle ends, bool logits, bool scores) {
            return generate(self, runtime, inputs, settings, tokenizer,
                            {on_token, bend_scores, allowed, ends}, logits, scores);
          },
          "runtime"_a, "inputs"_a, "settings"_a, "tokenizer"_a = nb::none(), "on_token"_a = nb::none(),
          "bend_scores"_a = nb::none(), "allowed"_a = nb::none(), "ends"_a = nb::none(), "logits"_a = false,
          "scores"_a = false)
      .def("embed", &embed, "runtime"_a, "ids"_a)
      .def_prop_ro(
          "embedding_table",
          [](const ForConditionalGeneration& self) { return to_python(weights_of(self).text.embed_tokens); })
      .def("vision", &vision, "runtime"_a, "pixel_values"_a, "grid_thw"_a, "merge_sizes"_a)
      .def("image_features", &image_features, "runtime"_a, "pixel_values"_a, "grid_thw"_a, "merge_sizes"_a);
}

}  // namespace vl3::python
