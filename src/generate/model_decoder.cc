#include "generate/model_decoder.h"

#include <algorithm>

#include "base/check.h"
#include "generate/generate.h"
#include "model/forward.h"
#include "ops/ops.h"

namespace vl3 {
namespace {

// Long prompts go through the layers in pieces, so that the widest activation stays this many rows.
constexpr int64_t kPrefillTokens = 2048;

// What stands at each row of the packed batch; placeholders take the rows of features in order.
Signature signature_of(const Config& config, const PackedBatch& packed, const PrefixReuse& reuse) {
  Signature signature = packed.ids;
  size_t image = 0, video = 0;
  for (int64_t& id : signature) {
    if (id == config.image_token_id && image < reuse.image_rows.size())
      id = reuse.image_rows[image++];
    else if (id == config.video_token_id && video < reuse.video_rows.size())
      id = reuse.video_rows[video++];
  }
  return signature;
}

// A sequence [begin, end) of the batch on top of what its cache holds; the last token's logits.
void run_prompt(Context& context, const ForConditionalGeneration& model, const ForwardInput& input,
                const Tensor& embeds, int64_t begin, int64_t end, Prompt& prompt) {
  const TextWeights& text = model.weights().text;
  Tensor hidden;
  for (int64_t from = begin + prompt.cache.length(); from < end; from += kPrefillTokens) {
    const int64_t to = std::min(from + kPrefillTokens, end);
    PackedSequences piece;
    for (int64_t i = from; i < to; ++i) piece.positions.push_back(i - begin);
    piece.cu_seqlens_q = piece.cu_seqlens_k = {0, to - from};
    piece.caches = {&prompt.cache};
    hidden = run_language_model(context, text, model.config().text, embeds.rows(from, to), piece, nullptr);
    if (input.probe != nullptr && input.probe->progress) input.probe->progress("prefill", to, embeds.dim(0));
  }
  const Tensor logits = run_head(context, text, hidden.rows(hidden.dim(0) - 1, hidden.dim(0)));
  prompt.last_logits.assign(logits.data<float>(), logits.data<float>() + logits.numel());
}

}  // namespace

Tensor ModelDecoder::decode(Context& context, std::span<const Feed> feeds) {
  PackedSequences sequences;
  sequences.cu_seqlens_q = {0};
  std::vector<int64_t> ids, kept;
  for (const Feed& feed : feeds) {
    require(feed.cache != nullptr && !feed.ids.empty(), ErrorCode::kInvalidArgument,
            "[decode] a feed needs a cache and at least one id");
    for (size_t i = 0; i < feed.ids.size(); ++i) {
      sequences.positions.push_back(feed.cache->length() + static_cast<int64_t>(i));
      ids.push_back(feed.ids[i]);
      if (feed.all_rows || i + 1 == feed.ids.size()) kept.push_back(static_cast<int64_t>(ids.size()) - 1);
    }
    sequences.cu_seqlens_q.push_back(static_cast<int64_t>(ids.size()));
    sequences.caches.push_back(feed.cache);
  }
  sequences.cu_seqlens_k = sequences.cu_seqlens_q;
  const TextWeights& text = model_.weights().text;
  const Tensor embeds = ops::embedding(context, text.embed_tokens, ids);
  const Tensor hidden = run_language_model(context, text, model_.config().text, embeds, sequences, nullptr);
  const bool all = kept.size() == ids.size();
  return run_head(context, text, all ? hidden : ops::gather_rows(context, hidden, kept));
}

std::vector<Prompt> prefill(Context& context, const ForConditionalGeneration& model,
                            const ForwardInput& input, const PrefixReuse* reuse) {
  const EmbeddedBatch batch = embed_batch(context, model.model(), model.weights(), input);
  const PackedBatch& packed = batch.packed;
  Signature signature;
  if (reuse != nullptr && !packed.ids.empty()) signature = signature_of(model.config(), packed, *reuse);
  std::vector<Prompt> prompts;
  for (int64_t b = 0; b < packed.batch; ++b) {
    const int64_t begin = packed.sequences.cu_seqlens_q[static_cast<size_t>(b)];
    const int64_t end = packed.sequences.cu_seqlens_q[static_cast<size_t>(b) + 1];
    require(end > begin, ErrorCode::kInvalidArgument, "[generate] sequence {} of the batch has no tokens", b);
    Prompt prompt{{}, model.new_cache(context), {}};
    if (!packed.ids.empty()) prompt.ids.assign(packed.ids.begin() + begin, packed.ids.begin() + end);
    Signature own;
    if (!signature.empty()) {
      own.assign(signature.begin() + begin, signature.begin() + end);
      KvCache held = reuse->cache.find(own, prompt.cache.type(), context.compute());
      if (held.length() > 0) prompt.cache = std::move(held);
    }
    run_prompt(context, model, input, batch.embeds, begin, end, prompt);
    if (!own.empty()) reuse->cache.add(own, prompt.cache, context.compute());
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

std::vector<GenerationResult> ForConditionalGeneration::generate(Context& context, const ForwardInput& input,
                                                                 const GenerationConfig& settings,
                                                                 const GenerationHooks& hooks) const {
  settings.validate();
  ModelDecoder decoder(*this);
  return vl3::generate(context, decoder, prefill(context, *this, input), settings, hooks);
}

}  // namespace vl3
