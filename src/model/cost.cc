#include "model/cost.h"

#include <algorithm>

#include "model/frame_plan.h"
#include "model/model_parts.h"
#include "model/packed_batch.h"
#include "model/parameters.h"
#include "model/vision_encoder.h"
#include "ops/cache_row.h"

namespace vl3 {
namespace {

// Products a multiply-add of the forward pass stands for in training.
double passes(bool weights, bool inputs) { return 1.0 + (weights ? 1 : 0) + (inputs ? 1 : 0); }

struct PartSize {
  double matrix_elements = 0;   // multiply-adds a row
  double adapter_elements = 0;  // likewise, beside them
  double bytes = 0;

  bool adapted() const { return adapter_elements > 0; }
  double elements() const { return matrix_elements + adapter_elements; }
  // Multiply-adds a row of training: under an adapter, that alone trains.
  double trained(bool trains, bool inputs) const {
    return matrix_elements * passes(trains && !adapted(), inputs) + adapter_elements * passes(trains, inputs);
  }
};

PartSize size_of_part(const ForConditionalGeneration& model, Part wanted) {
  ModelWeights weights = weights_of(model);  // the tensors' memory is not copied
  PartSize size;
  visit(weights, model.config(), [&](const std::string&, const Tensor& tensor, Part part) {
    const bool table = tensor.address() == weights.text.embed_tokens.address() ||
                       tensor.address() == weights.text.lm_head.address();
    if (part != wanted || table) return;
    size.bytes += static_cast<double>(tensor.bytes());
    if (tensor.rank() >= 2) size.matrix_elements += static_cast<double>(tensor.numel());
  });
  visit_linears(weights, model.config(), [&](const std::string&, const LinearWeights& layer, Part part) {
    if (part != wanted || layer.low_rank == nullptr) return;
    for (const Tensor* half : {&layer.low_rank->a, &layer.low_rank->b}) {
      size.adapter_elements += static_cast<double>(half->numel());
      size.bytes += static_cast<double>(half->bytes());
    }
  });
  return size;
}

}  // namespace

double encode_flops(const ForConditionalGeneration& model, const std::vector<VisualShape>& visuals) {
  const VisionConfig& vision = model.config().vision;
  double patches = 0, squares = 0, tokens = 0;  // squares: of the patches of every frame
  for (const VisualShape& visual : visuals) {
    const auto a_frame = static_cast<double>(visual.patches_a_frame),
               frames = static_cast<double>(visual.frames);
    patches += frames * a_frame;
    squares += frames * a_frame * a_frame;
    tokens += static_cast<double>(visual.tokens);
  }
  const double products = size_of_part(model, Part::kVisionEncoder).elements() * patches;
  const double attention = 2.0 * static_cast<double>(vision.num_hidden_layers * vision.hidden_size) * squares;
  const double projector = size_of_part(model, Part::kProjector).elements() * tokens;
  return 2 * (products + attention + projector);
}

double prefill_flops(const ForConditionalGeneration& model, const std::vector<int64_t>& prompts) {
  const TextConfig& text = model.config().text;
  double rows = 0, pairs = 0;  // of a token with one up to it
  for (const int64_t tokens : prompts) {
    rows += static_cast<double>(tokens);
    pairs += static_cast<double>(tokens) * static_cast<double>(tokens) / 2;
  }
  const double products = size_of_part(model, Part::kLanguageModel).elements() * rows;
  const double attention =
      2.0 * static_cast<double>(text.num_hidden_layers * text.num_attention_heads * text.head_dim) * pairs;
  const double head =
      static_cast<double>(weights_of(model).text.lm_head.numel()) * static_cast<double>(prompts.size());
  return 2 * (products + attention + head);
}

double decode_bytes(const ForConditionalGeneration& model, CacheType cache, int64_t context, int64_t batch) {
  const TextConfig& text = model.config().text;
  const double weights = size_of_part(model, Part::kLanguageModel).bytes +
                         static_cast<double>(weights_of(model).text.lm_head.bytes());
  const double token = 2.0 * static_cast<double>(text.num_hidden_layers * text.num_key_value_heads *
                                                 ops::cache_row_bytes(cache, text.head_dim));
  return weights + token * static_cast<double>(context * batch);
}

namespace {

// Of pictures or of clips: patches and, frame by frame, patches squared of what is encoded, and merged
// tokens.
struct VisualWork {
  double patches = 0, squares = 0, tokens = 0;

  void add(const Tensor& pixels, const Tensor& grid_thw, const Tensor& merge_sizes, const Tensor& keep) {
    if (!pixels.defined()) return;
    const std::vector<Grid> grids = read_grids(grid_thw, merge_sizes, pixels.dim(0));
    const FramePlan plan = plan_frames(pixels, grids, {keep});
    for (const FramePlan::Frame& frame : plan.frames) {
      const auto count = static_cast<double>(frame.grid.patches());
      patches += count;
      squares += count * count;
    }
    tokens += static_cast<double>(plan.rows.size());
  }
};

}  // namespace

double training_flops(const ForConditionalGeneration& model, const ForwardInput& input,
                      const TrainedParts& trains) {
  VisualWork seen;
  seen.add(input.pixel_values, input.image_grid_thw, input.image_merge_sizes, {});
  seen.add(input.pixel_values_videos, input.video_grid_thw, input.video_merge_sizes,
           input.video_compression_mask);
  const VisionConfig& vision = model.config().vision;
  const double embedding = static_cast<double>(weights_of(model).vision.patch_embedding.weight.numel());
  PartSize encoder = size_of_part(model, Part::kVisionEncoder);
  encoder.matrix_elements -= embedding;
  const PartSize text_size = size_of_part(model, Part::kLanguageModel);
  const double frames = 2.0 * static_cast<double>(vision.num_hidden_layers * vision.hidden_size);
  double work = seen.patches * embedding * passes(trains.vision_encoder && !encoder.adapted(), false) +
                seen.patches * encoder.trained(trains.vision_encoder, trains.vision_encoder) +
                seen.squares * frames * (trains.vision_encoder ? 3 : 1);
  work +=
      seen.tokens * size_of_part(model, Part::kProjector).trained(trains.projector, trains.vision_encoder);

  const PackedBatch packed = pack(input);
  const TextConfig& text = model.config().text;
  const bool back = trains.llm || (seen.tokens > 0 && (trains.projector || trains.vision_encoder));
  double pairs = 0;  // of a token with one up to it
  for (int64_t i = 0; i < packed.sequences.num_sequences(); ++i) {
    const auto& ends = packed.sequences.cu_seqlens_q;
    const double length =
        static_cast<double>(ends[static_cast<size_t>(i) + 1] - ends[static_cast<size_t>(i)]);
    pairs += length * length / 2;
  }
  work += static_cast<double>(packed.rows()) * text_size.trained(trains.llm, back);
  work += 2.0 * static_cast<double>(text.num_hidden_layers * text.num_attention_heads * text.head_dim) *
          pairs * (back ? 3 : 1);
  const auto targets =
      static_cast<double>(static_cast<int64_t>(packed.targets.size()) -
                          std::count(packed.targets.begin(), packed.targets.end(), kIgnoredLabel));
  work += targets * static_cast<double>(weights_of(model).text.lm_head.numel()) *
          passes(trains.llm && !text_size.adapted(), back);
  return 2 * work;
}

DType vision_dtype(const ForConditionalGeneration& model) {
  const VisionWeights& vision = weights_of(model).vision;
  return vision.layers.empty() ? vision.patch_embedding.weight.dtype()
                               : vision.layers[0].q_proj.weight.dtype();
}

}  // namespace vl3
