#include "bench/work.h"

#include "model/parameters.h"
#include "ops/cache_row.h"

namespace vl3 {
namespace {

struct PartSize {
  double matrix_elements = 0;  // multiply-adds a row
  double bytes = 0;
};

PartSize size_of_part(const ForConditionalGeneration& model, Part wanted) {
  ModelWeights weights = model.weights();  // the tensors' memory is not copied
  PartSize size;
  visit(weights, model.config(), [&](const std::string&, const Tensor& tensor, Part part) {
    const bool table =
        tensor.raw() == weights.text.embed_tokens.raw() || tensor.raw() == weights.text.lm_head.raw();
    if (part != wanted || table) return;
    size.bytes += static_cast<double>(tensor.bytes());
    if (tensor.rank() >= 2) size.matrix_elements += static_cast<double>(tensor.numel());
  });
  return size;
}

}  // namespace

double encode_flops(const ForConditionalGeneration& model, int64_t frames, int64_t patches_a_frame,
                    int64_t tokens) {
  const VisionConfig& vision = model.config().vision;
  const double patches = static_cast<double>(frames * patches_a_frame);
  const double products = size_of_part(model, Part::kVisionEncoder).matrix_elements * patches;
  const double attention = 2.0 * static_cast<double>(vision.num_hidden_layers * vision.hidden_size) *
                           static_cast<double>(patches_a_frame) * patches;
  const double projector =
      size_of_part(model, Part::kProjector).matrix_elements * static_cast<double>(tokens);
  return 2 * (products + attention + projector);
}

double prefill_flops(const ForConditionalGeneration& model, int64_t tokens) {
  const TextConfig& text = model.config().text;
  const double rows = static_cast<double>(tokens);
  const double products = size_of_part(model, Part::kLanguageModel).matrix_elements * rows;
  const double attention =  // of each token with those up to it
      2.0 * static_cast<double>(text.num_hidden_layers * text.num_attention_heads * text.head_dim) * rows *
      rows / 2;
  return 2 * (products + attention + static_cast<double>(model.weights().text.lm_head.numel()));
}

double decode_bytes(const ForConditionalGeneration& model, CacheType cache, int64_t context, int64_t batch) {
  const TextConfig& text = model.config().text;
  const double weights = size_of_part(model, Part::kLanguageModel).bytes +
                         static_cast<double>(model.weights().text.lm_head.bytes());
  const double token = 2.0 * static_cast<double>(text.num_hidden_layers * text.num_key_value_heads *
                                                 ops::cache_row_bytes(cache, text.head_dim));
  return weights + token * static_cast<double>(context * batch);
}

DType vision_dtype(const ForConditionalGeneration& model) {
  const VisionWeights& vision = model.weights().vision;
  return vision.layers.empty() ? vision.patch_embedding.weight.dtype()
                               : vision.layers[0].q_proj.weight.dtype();
}

}  // namespace vl3
