#include "vl3/model.h"

#include <algorithm>

#include "base/check.h"
#include "model/adapters.h"
#include "model/forward.h"
#include "model/key_value_factors.h"
#include "model/language_model.h"
#include "model/model_parts.h"
#include "model/packed_batch.h"
#include "model/projector.h"
#include "model/token_merge.h"
#include "model/vision_encoder.h"
#include "ops/ops.h"
#include "runtime/context_parts.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

struct Loaded {
  Config config;
  std::shared_ptr<const ModelWeights> weights;
};

Loaded load(const std::filesystem::path& folder, const std::filesystem::path& adapter = {}) {
  const Checkpoint checkpoint = Checkpoint::open(folder);
  auto weights = std::make_shared<ModelWeights>();
  visit(*weights, checkpoint.config(),
        [&](const std::string& name, Tensor& tensor, Part) { tensor = checkpoint.get(name); });
  if (!adapter.empty()) attach(Adapter::open(adapter, checkpoint.config()), checkpoint.config(), *weights);
  if (checkpoint.config().tie_word_embeddings) weights->text.lm_head = weights->text.embed_tokens;
  return {checkpoint.config(), std::move(weights)};
}

// The same stages under the names that tell clips (1) from pictures (0) where a batch has both.
Probe numbered(const Probe* probe, int kind) {
  Probe result;
  if (probe == nullptr) return result;
  result.progress = probe->progress;
  result.attentions = probe->attentions;
  if (!probe->stage) return result;
  result.stage = [probe, kind](const std::string& name, const Tensor& value) {
    probe->stage(name + "." + std::to_string(kind), value);
  };
  return result;
}

}  // namespace

VisionModel::VisionModel(std::shared_ptr<const Config> config, std::shared_ptr<const ModelWeights> weights)
    : config_(std::move(config)), weights_(std::move(weights)) {}

VisionModel VisionModel::from_pretrained(const std::filesystem::path& folder) {
  Loaded loaded = load(folder);
  return {std::make_shared<const Config>(std::move(loaded.config)), std::move(loaded.weights)};
}

Tensor VisionModel::forward(Context& context, const Tensor& pixel_values, const Tensor& grid_thw,
                            const Tensor& merge_sizes, const Probe* probe) const {
  const auto grids = read_grids(grid_thw, merge_sizes, pixel_values.dim(0));
  return encode_vision(context, weights_->vision, config_->vision, pixel_values, grids, {}, probe);
}

Model::Model(Config config, std::shared_ptr<const ModelWeights> weights)
    : config_(std::make_shared<const Config>(std::move(config))), weights_(std::move(weights)) {}

Model Model::from_pretrained(const std::filesystem::path& folder) {
  Loaded loaded = load(folder);
  return {std::move(loaded.config), std::move(loaded.weights)};
}

Tensor Model::get_image_features(Context& context, const Tensor& pixel_values, const Tensor& grid_thw,
                                 const Tensor& merge_sizes, const Tensor& keep, const Probe* probe,
                                 bool reuse_static_frames) const {
  const auto grids = read_grids(grid_thw, merge_sizes, pixel_values.dim(0));
  const Tensor tokens = encode_vision(context, weights_->vision, config_->vision, pixel_values, grids,
                                      {keep, reuse_static_frames}, probe);
  const Tensor features = project(context, weights_->projector, tokens);
  if (probe != nullptr && probe->stage) probe->stage("projector.out", features);
  return features;
}

EmbeddedBatch embed_batch(Context& context, const Model& model, const ModelWeights& weights,
                          const ForwardInput& input) {
  EmbeddedBatch result{pack(input), {}, input.image_features, input.video_features};
  const PackedBatch& packed = result.packed;
  if (input.inputs_embeds.defined()) {
    const Tensor all =
        input.inputs_embeds.reshape({packed.batch * packed.columns, input.inputs_embeds.dim(2)});
    result.embeds = ops::gather_rows(context, all, packed.cells);
  } else {
    result.embeds = ops::embedding(context, weights.text.embed_tokens, packed.ids,
                                   model.config().text.pad_token_id.value_or(-1));
  }
  if (input.pixel_values.defined()) {
    require(!input.image_features.defined(), ErrorCode::kInvalidArgument,
            "[forward] give pixel_values or image_features, not both");
    const Probe probe = numbered(input.probe, 0);
    result.image_features = model.get_image_features(context, input.pixel_values, input.image_grid_thw,
                                                     input.image_merge_sizes, {}, &probe);
  }
  if (input.pixel_values_videos.defined()) {
    require(!input.video_features.defined(), ErrorCode::kInvalidArgument,
            "[forward] give pixel_values_videos or video_features, not both");
    const Probe probe = numbered(input.probe, input.pixel_values.defined() ? 1 : 0);
    result.video_features = model.get_image_features(context, input.pixel_values_videos, input.video_grid_thw,
                                                     input.video_merge_sizes, input.video_compression_mask,
                                                     &probe, input.reuse_static_frames);
  }
  const bool images = result.image_features.defined(), videos = result.video_features.defined();
  require(!(images || videos) || !packed.ids.empty(), ErrorCode::kInvalidArgument,
          "[forward] visual features need input_ids, which say where they go");
  require(!(images && videos) || model.config().image_token_id != model.config().video_token_id,
          ErrorCode::kUnsupported,
          "[forward] this checkpoint has one token, {}, for pictures and clips: a batch can hold one kind",
          model.config().image_token_id);
  if (images) {
    result.embeds = merge_visual_tokens(context, result.embeds, packed.ids, model.config().image_token_id,
                                        result.image_features, "image");
  }
  if (videos) {
    result.embeds = merge_visual_tokens(context, result.embeds, packed.ids, model.config().video_token_id,
                                        result.video_features, "video");
  }
  return result;
}

namespace {

// Everything but the head: the packed hidden states beside the padded outputs.
struct Hidden {
  PackedBatch packed;
  Tensor rows;  // [R, H]
  ForwardOutput output;
};

Hidden run_model(Context& context, const Model& model, const ModelWeights& weights,
                 const ForwardInput& input) {
  EmbeddedBatch batch = embed_batch(context, model, weights, input);
  const Probe probe = numbered(input.probe, 0);
  Hidden hidden{std::move(batch.packed), {}, {}};
  hidden.rows = run_language_model(context, weights.text, model.config().text, batch.embeds,
                                   hidden.packed.sequences, &probe);
  note_columns(input, hidden.packed);
  hidden.output.image_hidden_states = batch.image_features;
  hidden.output.video_hidden_states = batch.video_features;
  hidden.output.last_hidden_state = unpack(context, hidden.packed, hidden.rows);
  return hidden;
}

// Logits of the last columns of every sequence: [B, columns, vocabulary], zero where nothing was computed.
Tensor logits_of(Context& context, const TextWeights& weights, const Hidden& hidden, int64_t columns) {
  const PackedBatch& packed = hidden.packed;
  std::vector<int64_t> rows, targets, borders;
  const std::vector<int64_t>& begins = packed.sequences.cu_seqlens_q;
  for (int64_t i = 0; i < packed.rows(); ++i) {
    while (i >= begins[borders.size()]) borders.push_back(static_cast<int64_t>(rows.size()));
    const int64_t cell = packed.cells[static_cast<size_t>(i)];
    const int64_t column = cell % packed.columns - (packed.columns - columns);
    if (column < 0) continue;
    rows.push_back(i);
    targets.push_back(cell / packed.columns * columns + column);
  }
  while (borders.size() < begins.size()) borders.push_back(static_cast<int64_t>(rows.size()));
  const Tensor kept = run_head(context, weights, ops::gather_rows(context, hidden.rows, rows),
                               borders);  // [rows, vocabulary]
  const Tensor logits = ops::place_rows(context, kept, targets, packed.batch * columns);
  return logits.reshape({packed.batch, columns, kept.dim(1)});
}

}  // namespace

ForwardOutput Model::forward(Context& context, const ForwardInput& input) const {
  return run_model(context, *this, *weights_, input).output;
}

ForConditionalGeneration::ForConditionalGeneration(Config config, std::shared_ptr<const ModelWeights> weights)
    : model_(std::move(config), std::move(weights)), factors_(std::make_shared<KeyValueFactors>()) {}

ForConditionalGeneration ForConditionalGeneration::from_pretrained(const std::filesystem::path& folder,
                                                                   const std::filesystem::path& adapter) {
  Loaded loaded = load(folder, adapter);
  return {std::move(loaded.config), std::move(loaded.weights)};
}

DType ForConditionalGeneration::weights_dtype() const {
  const TextWeights& text = weights_of(*this).text;
  return text.layers.empty() ? text.embed_tokens.dtype() : text.layers[0].q_proj.weight.dtype();
}

int64_t ForConditionalGeneration::weight_bytes() const {
  ModelWeights shared = weights_of(*this);  // the tensors' memory is not copied
  int64_t bytes = 0;
  visit(shared, config(), [&](const std::string&, const Tensor& tensor, Part) {
    bytes += static_cast<int64_t>(tensor.bytes());
  });
  visit_linears(shared, config(), [&](const std::string&, const LinearWeights& layer, Part) {
    if (layer.low_rank) bytes += static_cast<int64_t>(layer.low_rank->a.bytes() + layer.low_rank->b.bytes());
  });
  return bytes;
}

CacheType ForConditionalGeneration::cache_type(const Context* context) const {
  if (context != nullptr && context->cache()) return *context->cache();
  const bool exact =
      (context != nullptr && context->compute() == Compute::kF32) || weights_dtype() == DType::kF32;
  return exact ? CacheType::kF32 : CacheType::kF16;
}

ForwardOutput ForConditionalGeneration::forward(Context& context, const ForwardInput& input) const {
  Hidden hidden = run_model(context, model_, weights_of(*this), input);
  const int64_t all = hidden.packed.columns;
  const int64_t columns = input.logits_to_keep <= 0 ? all : std::min(input.logits_to_keep, all);
  ForwardOutput output = hidden.output;
  if (input.labels.defined()) {
    output.loss = ops::linear_cross_entropy(context, hidden.rows, weights_of(*this).text.lm_head,
                                            hidden.packed.targets, input.loss_divisor);
  }
  if (tape_of(context) == nullptr)
    output.logits = logits_of(context, weights_of(*this).text, hidden, columns);
  return output;
}

}  // namespace vl3
