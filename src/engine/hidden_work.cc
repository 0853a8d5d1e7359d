#include "engine/hidden_work.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "base/check.h"
#include "engine/request_encoder.h"
#include "generate/model_decoder.h"
#include "generate/sampler.h"
#include "vl3/context_exceeded.h"
#include "vl3/error.h"
#include "vl3/visual_stream.h"

namespace vl3 {
namespace {

constexpr int64_t kChunk = 128;  // rows of the language model at a time: as a prompt beside running answers

void check_context(EngineThread& thread, int64_t tokens) {
  const int64_t most = thread.engine().model().config().text.max_position_embeddings;
  if (tokens > most) throw ContextExceeded(tokens, 0, most);
}

// The rows of a prompt through the language model; see() gets the hidden states of each chunk, [1, n, H].
class PromptRun {
 public:
  PromptRun(const Engine& engine, Prompt prompt) : engine_(engine), prompt_(std::move(prompt)) {}

  // A unit of work: the next chunk.
  bool step(Context& context, const std::function<void(const Tensor& hidden, int64_t from)>& see) {
    const Model& model = engine_.model().model();
    if (past_.size() == 0) past_ = engine_.model().new_past(context, 1);
    const int64_t from = at_;
    at_ = std::min(from + kChunk, prompt_.length());
    ForwardInput input;
    input.past = &past_;
    if (prompt_.embeds.defined()) {
      const Tensor rows = prompt_.embeds.rows(from, at_);
      input.inputs_embeds = rows.reshape({1, rows.dim(0), rows.dim(1)});
    } else {
      input.ids = {{prompt_.ids.begin() + from, prompt_.ids.begin() + at_}};
    }
    see(model.forward(context, input).last_hidden_state, from);
    return at_ < prompt_.length();
  }

 private:
  const Engine& engine_;
  Prompt prompt_;
  PastKeyValues past_;
  int64_t at_ = 0;
};

std::vector<float> last_row(const Tensor& hidden) {
  const int64_t width = hidden.dim(2);
  const std::span<const float> all = hidden.span<float>();
  return {all.end() - width, all.end()};
}

std::vector<float> last_of(EngineThread& thread, Prompt prompt, const Cancelled& cancelled) {
  check_context(thread, prompt.length());
  std::vector<float> last;
  PromptRun run(thread.engine(), std::move(prompt));
  run_on_engine(thread, cancelled, [&](Context& context) {
    return run.step(context, [&](const Tensor& hidden, int64_t) { last = last_row(hidden); });
  });
  return last;
}

// Pictures and clips decoded and encoded, a group of frames at a time.
EncodedRequest encode(EngineThread& thread, ProcessorRequest request, const Cancelled& cancelled) {
  ProcessHooks hooks;
  hooks.cancelled = cancelled;
  const auto encoder = std::make_unique<RequestEncoder>(
      thread.engine().model(),
      thread.engine().processor().stream(std::move(request), thread.engine().options().limits, hooks, 1),
      nullptr, thread.engine().options().reuse_static_frames);
  run_on_engine(thread, cancelled, [&](Context& context) {
    encoder->begin(context);
    return false;
  });
  // Whoever waits for a decoder waits here and not on the engine's thread.
  constexpr std::chrono::milliseconds kGlance{2};
  EncodedRequest encoded;
  for (bool more = true; more;) {
    while (encoder->patches() > 0 && !encoder->ready()) {
      if (cancelled && cancelled()) fail(ErrorCode::kCancelled, "[engine] cancelled");
      std::this_thread::sleep_for(kGlance);
    }
    run_on_engine(thread, cancelled, [&](Context& context) {
      more = encoder->patches() > 0 && encoder->encode_next(context);
      if (!more) encoded = encoder->finish(context);
      return false;
    });
  }
  return encoded;
}

// The mean of rows [from, from + count) of features [n, H].
VisualVector mean_of(const Tensor& features, int64_t from, int64_t count) {
  const int64_t width = features.dim(1);
  VisualVector vector;
  vector.tokens = count;
  std::vector<double> sum(static_cast<size_t>(width));
  const float* row = features.span<float>().data() + from * width;
  for (int64_t i = 0; i < count; ++i, row += width) {
    for (int64_t x = 0; x < width; ++x) sum[static_cast<size_t>(x)] += row[x];
  }
  for (const double total : sum)
    vector.mean.push_back(static_cast<float>(total / static_cast<double>(count)));
  return vector;
}

std::vector<std::vector<VisualVector>> of_pictures(const EncodedRequest& encoded) {
  std::vector<std::vector<VisualVector>> all;
  const ImageFeatures& images = encoded.inputs.images;
  if (!images.image_grid_thw.defined()) return all;
  const auto grids = images.image_grid_thw.span<int64_t>(), merges = images.image_merge_sizes.span<int64_t>();
  int64_t row = 0;
  for (size_t i = 0; i < merges.size(); ++i) {
    const int64_t count = grids[3 * i] * grids[3 * i + 1] * grids[3 * i + 2] / (merges[i] * merges[i]);
    all.push_back({mean_of(encoded.forward.image_features, row, count)});
    row += count;
  }
  return all;
}

std::vector<std::vector<VisualVector>> of_clips(const EncodedRequest& encoded, bool per_frame) {
  std::vector<std::vector<VisualVector>> all;
  int64_t row = 0;
  for (const ClipReport& clip : encoded.inputs.videos.clips) {
    std::vector<VisualVector> vectors;
    const int64_t first = row;
    for (size_t frame = 0; frame < clip.kept.size(); ++frame) {
      if (per_frame) {
        vectors.push_back(mean_of(encoded.forward.video_features, row, clip.kept[frame]));
        vectors.back().frame = clip.frames.indices[frame];
        vectors.back().timestamp = clip.frames.timestamps[frame];
      }
      row += clip.kept[frame];
    }
    if (!per_frame) vectors.push_back(mean_of(encoded.forward.video_features, first, row - first));
    all.push_back(std::move(vectors));
  }
  return all;
}

}  // namespace

void run_on_engine(EngineThread& thread, const Cancelled& cancelled, std::function<bool(Context&)> unit) {
  const auto promise = std::make_shared<std::promise<void>>();  // of both threads: either may be the last
  std::future<void> done = promise->get_future();
  const bool taken = thread.post([promise, &cancelled, &unit](Context& context) {
    try {
      if (cancelled && cancelled()) fail(ErrorCode::kCancelled, "[engine] cancelled");
      if (unit(context)) return true;
      promise->set_value();
    } catch (...) {
      promise->set_exception(std::current_exception());
    }
    return false;
  });
  require(taken, ErrorCode::kCancelled, "[engine] is ending and takes no more work");
  done.get();
}

std::vector<float> last_hidden_state(EngineThread& thread, const std::vector<int64_t>& ids,
                                     const Cancelled& cancelled) {
  Prompt prompt;
  prompt.ids = ids;
  return last_of(thread, std::move(prompt), cancelled);
}

std::vector<float> last_hidden_state(EngineThread& thread, ProcessorRequest request,
                                     const Cancelled& cancelled, int64_t* prompt_tokens) {
  const EncodedRequest encoded = encode(thread, std::move(request), cancelled);
  check_context(thread, static_cast<int64_t>(encoded.forward.ids[0].size()));
  std::vector<Prompt> prompts;
  run_on_engine(thread, cancelled, [&](Context& context) {
    prompts = make_prompts(context, thread.engine().model(), encoded.forward);
    return false;
  });
  *prompt_tokens = prompts[0].length();
  return last_of(thread, std::move(prompts[0]), cancelled);
}

VisualVectors visual_vectors(EngineThread& thread, ProcessorRequest request, bool per_frame,
                             const Cancelled& cancelled) {
  const EncodedRequest encoded = encode(thread, std::move(request), cancelled);
  return {of_pictures(encoded), of_clips(encoded, per_frame)};
}

std::vector<TokenLogprob> prompt_logprobs(EngineThread& thread, const std::vector<int64_t>& ids, int64_t top,
                                          const Cancelled& cancelled) {
  check_context(thread, static_cast<int64_t>(ids.size()));
  std::vector<TokenLogprob> all;
  std::vector<KvCache> caches;
  size_t at = 0;
  run_on_engine(thread, cancelled, [&](Context& context) {
    ModelDecoder decoder(thread.engine().model());
    if (caches.empty()) caches.push_back(decoder.new_cache(context));
    const size_t count = std::min(ids.size() - at, static_cast<size_t>(kChunk));
    CausalDecoder::Feed feed;
    feed.cache = &caches[0];
    feed.ids = std::span(ids).subspan(at, count);
    feed.want = CausalDecoder::Want::kAll;
    const Logits logits = decoder.decode(context, {&feed, 1});
    for (size_t row = 0; row < count && at + row + 1 < ids.size(); ++row)
      all.push_back(token_logprob(logits.row(static_cast<int64_t>(row)), ids[at + row + 1], top));
    at += count;
    return at < ids.size();
  });
  return all;
}

}  // namespace vl3
