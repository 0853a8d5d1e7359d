#pragma once
// The network as generation sees it: steps of several sequences, and the prompts of a batch.

#include <memory>
#include <utility>
#include <vector>

#include "generate/decoder.h"
#include "model/adapter_set.h"
#include "model/model_parts.h"
#include "vl3/model.h"

namespace vl3 {

class ModelDecoder final : public CausalDecoder {
 public:
  // model and adapters (null: none) must outlive this. pool: of all caches; null: each has its own.
  explicit ModelDecoder(const ForConditionalGeneration& model, std::shared_ptr<KvPool> pool = nullptr,
                        const AdapterSet* adapters = nullptr)
      : model_(model), pool_(std::move(pool)), adapters_(adapters) {}
  int64_t vocab_size() const override { return model_.config().text.vocab_size; }
  KvCache new_cache(const Context& context) const override {
    return pool_ == nullptr ? vl3::new_cache(model_, context) : vl3::new_cache(model_, context, pool_);
  }
  Logits decode(Context& context, std::span<const Feed> feeds) override;

 private:
  const ForConditionalGeneration& model_;
  std::shared_ptr<KvPool> pool_;
  const AdapterSet* adapters_;
};

// What stands for visual tokens in the keys of the prefix cache: for each row of the batch's image_features
// and video_features a negative number, equal for equal rows.
struct VisualKeys {
  std::vector<int64_t> image_rows, video_rows;
};

// The prompts of a batch: pixels are encoded, where there are any, and visual rows are put in place. keys:
// for Prompt::cache_key; null: prompts are neither looked up nor kept. Throws kInvalidArgument for a sequence
// without tokens.
std::vector<Prompt> make_prompts(Context& context, const ForConditionalGeneration& model,
                                 const ForwardInput& input, const VisualKeys* keys = nullptr);

// A prompt that has been through the model, chunk by chunk; for benchmarks and comparisons.
struct Prefilled {
  KvCache cache;
  Logits last;  // [1, vocabulary]
};
Prefilled prefill(Context& context, CausalDecoder& decoder, const Prompt& prompt);

}  // namespace vl3
