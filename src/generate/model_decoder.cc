#include "generate/model_decoder.h"

#include <algorithm>

#include "base/check.h"
#include "generate/generate.h"
#include "generate/loop.h"
#include "model/forward.h"
#include "model/model_parts.h"
#include "ops/ops.h"

namespace vl3 {
namespace {

// What stands at each row of the packed batch; placeholders take the rows of features in order.
std::vector<int64_t> cache_keys(const Config& config, const PackedBatch& packed, const VisualKeys& visual) {
  std::vector<int64_t> keys = packed.ids;
  size_t image = 0, video = 0;
  for (int64_t& id : keys) {
    if (id == config.image_token_id && image < visual.image_rows.size())
      id = visual.image_rows[image++];
    else if (id == config.video_token_id && video < visual.video_rows.size())
      id = visual.video_rows[video++];
  }
  return keys;
}

// The rows of all feeds, one below the other: ids of neighbours are looked up together.
Tensor embed(Context& context, const TextWeights& text, std::span<const CausalDecoder::Feed> feeds) {
  std::vector<Tensor> parts;
  std::vector<int64_t> ids;
  const auto flush = [&] {
    if (!ids.empty()) parts.push_back(ops::embedding(context, text.embed_tokens, ids));
    ids.clear();
  };
  for (const CausalDecoder::Feed& feed : feeds) {
    if (!feed.embeds.defined()) {
      ids.insert(ids.end(), feed.ids.begin(), feed.ids.end());
      continue;
    }
    flush();
    parts.push_back(feed.embeds);
  }
  flush();
  return parts.size() == 1 ? parts[0] : ops::concat_rows(context, parts);
}

bool has_visual_input(const ForwardInput& input) {
  return input.pixel_values.defined() || input.pixel_values_videos.defined() ||
         input.image_features.defined() || input.video_features.defined();
}

// Positions that a caller gives are those that generation counts, or are refused: another first one, a gap or
// a jump would hold for the prompt alone, not for the tokens that follow it.
void require_counted_positions(const PackedBatch& packed) {
  const std::vector<int64_t>& ends = packed.sequences.cu_seqlens_q;
  for (size_t b = 0; b + 1 < ends.size(); ++b) {
    for (int64_t i = 0; i < ends[b + 1] - ends[b]; ++i) {
      const int64_t position = packed.sequences.positions[static_cast<size_t>(ends[b] + i)];
      require(position == i, ErrorCode::kUnsupported,
              "[generate] position_ids of row {}: token {} that is not masked is at {}; generation counts "
              "from 0 on, without gaps",
              b, i, position);
    }
  }
}

}  // namespace

Logits ModelDecoder::decode(Context& context, std::span<const Feed> feeds) {
  PackedSequences sequences;
  sequences.cu_seqlens_q = {0};
  std::vector<int64_t> kept, kept_of{0};  // rows that get logits, and how many up to each feed
  int64_t rows = 0;
  for (const Feed& feed : feeds) {
    const int64_t count = feed.rows();
    require(feed.cache != nullptr && count > 0, ErrorCode::kInvalidArgument,
            "[decode] a feed needs a cache and at least one row");
    for (int64_t i = 0; i < count; ++i) {
      sequences.positions.push_back(feed.cache->length() + i);
      if (feed.want == Want::kAll || (feed.want == Want::kLast && i + 1 == count)) kept.push_back(rows + i);
    }
    kept_of.push_back(static_cast<int64_t>(kept.size()));
    rows += count;
    sequences.cu_seqlens_q.push_back(rows);
    sequences.caches.push_back(feed.cache);
    if (adapters_ != nullptr) sequences.adapter_of.push_back(feed.adapter);
  }
  sequences.adapters = adapters_;
  sequences.cu_seqlens_k = sequences.cu_seqlens_q;
  const TextWeights& text = weights_of(model_).text;
  const Tensor hidden = run_language_model(context, text, model_.config().text, embed(context, text, feeds),
                                           sequences, nullptr);
  if (kept.empty()) return {};
  const bool all = static_cast<int64_t>(kept.size()) == rows;
  return Logits(run_head(context, text, all ? hidden : ops::gather_rows(context, hidden, kept), kept_of));
}

std::vector<Prompt> make_prompts(Context& context, const ForConditionalGeneration& model,
                                 const ForwardInput& input, const VisualKeys* keys) {
  // Text alone is fed as ids, chunk by chunk.
  const bool has_ids = input.input_ids.defined() || !input.ids.empty();
  const bool plain = has_ids && !input.inputs_embeds.defined() && !has_visual_input(input);
  EmbeddedBatch batch;
  if (plain)
    batch.packed = pack(input);
  else
    batch = embed_batch(context, model.model(), weights_of(model), input);
  const PackedBatch& packed = batch.packed;
  if (input.position_ids.defined()) require_counted_positions(packed);
  std::vector<int64_t> all_keys;
  if (keys != nullptr && !packed.ids.empty()) all_keys = cache_keys(model.config(), packed, *keys);
  std::vector<Prompt> prompts;
  for (int64_t b = 0; b < packed.batch; ++b) {
    const int64_t begin = packed.sequences.cu_seqlens_q[static_cast<size_t>(b)];
    const int64_t end = packed.sequences.cu_seqlens_q[static_cast<size_t>(b) + 1];
    require(end > begin, ErrorCode::kInvalidArgument, "[generate] sequence {} of the batch has no tokens", b);
    Prompt prompt;
    const auto rows_of = [&](const std::vector<int64_t>& all) {
      return std::vector<int64_t>(all.begin() + begin, all.begin() + end);
    };
    if (!packed.ids.empty()) prompt.ids = rows_of(packed.ids);
    if (!all_keys.empty()) prompt.cache_key = rows_of(all_keys);
    if (!plain) prompt.embeds = batch.embeds.rows(begin, end);
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

Prefilled prefill(Context& context, CausalDecoder& decoder, const Prompt& prompt) {
  const int64_t chunk = LoopOptions().step_tokens;
  Prefilled result{decoder.new_cache(context), {}};
  for (int64_t from = 0, to = 0; from < prompt.length(); from = to) {
    // As a scheduler's chunks, none leaves a rest of few rows.
    to = from + chunk + ops::kFewRows >= prompt.length() ? prompt.length() : from + chunk;
    CausalDecoder::Feed feed;
    feed.cache = &result.cache;
    if (prompt.embeds.defined())
      feed.embeds = prompt.embeds.rows(from, to);
    else
      feed.ids = std::span<const int64_t>(prompt.ids)
                     .subspan(static_cast<size_t>(from), static_cast<size_t>(to - from));
    feed.want = to == prompt.length() ? CausalDecoder::Want::kLast : CausalDecoder::Want::kNone;
    result.last = decoder.decode(context, {&feed, 1});
  }
  return result;
}

std::vector<GenerationResult> ForConditionalGeneration::generate(Context& context, const ForwardInput& input,
                                                                 const GenerationConfig& settings,
                                                                 const GenerationHooks& hooks) const {
  settings.validate();
  ModelDecoder decoder(*this);
  return vl3::generate(context, decoder, make_prompts(context, *this, input), settings, hooks, input.probe);
}

}  // namespace vl3
