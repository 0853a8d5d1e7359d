#pragma once
// The network as generation sees it: decoding steps, and the prefill that turns a batch into prompts.

#include <vector>

#include "generate/decoder.h"
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

// Runs every sequence of the batch through the model, some thousand tokens at a time, and keeps the logits of
// its last token. Throws kInvalidArgument for a sequence without tokens.
std::vector<Prompt> prefill(Context& context, const ForConditionalGeneration& model,
                            const ForwardInput& input);

}  // namespace vl3
