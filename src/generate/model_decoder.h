#pragma once
// The network as generation sees it: decoding steps, and the prefill that turns a batch into prompts.

#include <vector>

#include "generate/decoder.h"
#include "generate/prefix_cache.h"
#include "vl3/model.h"

namespace vl3 {

class ModelDecoder final : public CausalDecoder {
 public:
  explicit ModelDecoder(const ForConditionalGeneration& model) : model_(model) {}  // which must outlive this
  int64_t vocab_size() const override { return model_.config().text.vocab_size; }
  Tensor decode(Context& context, std::span<const Feed> feeds) override;

 private:
  const ForConditionalGeneration& model_;
};

// Prompts that need not go through the model again.
struct PrefixReuse {
  PrefixCache& cache;
  // For each row of the batch's image_features and video_features, a negative number that stands for what it
  // shows: equal numbers, equal rows.
  std::vector<int64_t> image_rows, video_rows;
};

// Runs every sequence of the batch through the model, some thousand tokens at a time, and keeps the logits of
// its last token. reuse: may be null. Throws kInvalidArgument for a sequence without tokens.
std::vector<Prompt> prefill(Context& context, const ForConditionalGeneration& model,
                            const ForwardInput& input, const PrefixReuse* reuse = nullptr);

}  // namespace vl3
