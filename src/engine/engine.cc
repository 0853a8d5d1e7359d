#include "vl3/engine.h"

#include <algorithm>

#include "base/clock.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/thread_pool.h"
#include "checkpoint/fingerprint.h"
#include "engine/feature_cache.h"
#include "generate/generate.h"
#include "generate/model_decoder.h"
#include "vl3/forward_input.h"

namespace vl3 {
namespace {

// A number for every row of features, the same for the same row of the same content.
void append_row_numbers(const FeatureCache::Result& features, std::vector<int64_t>& numbers) {
  constexpr int64_t kMostRows = int64_t{1} << 24;
  for (size_t i = 0; i < features.serials.size(); ++i) {
    for (int64_t row = 0; row < features.rows[i]; ++row)
      numbers.push_back(-(features.serials[i] * kMostRows + row));
  }
}

// Null where none is asked for.
std::unique_ptr<FeatureStore> open_store(const std::filesystem::path& folder, const EngineOptions& options) {
  if (options.disk_cache.empty()) return nullptr;
  Json model = {{"checkpoint", fingerprint(model_folder(folder))["files"]}};
  if (!options.adapter.empty()) model["adapter"] = fingerprint(options.adapter)["files"];
  return std::make_unique<FeatureStore>(options.disk_cache, options.disk_cache_bytes, model.dump());
}

}  // namespace

Engine Engine::open(const std::filesystem::path& folder, EngineOptions options) {
  Engine engine;
  engine.options_ = options;
  engine.model_ = std::make_shared<const ForConditionalGeneration>(
      ForConditionalGeneration::from_pretrained(folder, options.adapter));
  engine.processor_ = std::make_shared<const Processor>(Processor::from_pretrained(folder));
  GenerationConfig base;
  const TextConfig& text = engine.model_->config().text;
  base.eos_token_id = text.eos_token_ids;
  base.pad_token_id = text.pad_token_id;
  engine.settings_ = GenerationConfig::from_pretrained(folder, base);
  engine.weight_bytes_ = engine.model_->weight_bytes();
  if (options.feature_cache_bytes > 0 || !options.disk_cache.empty())
    engine.features_ =
        std::make_shared<FeatureCache>(options.feature_cache_bytes, open_store(folder, options));
  // Angles that depend on the length of the sequence make no prefix that another prompt could use.
  if (options.prefix_cache_bytes > 0 && text.rope.type != "dynamic")
    engine.prefixes_ = std::make_shared<PrefixCache>(options.prefix_cache_bytes);
  return engine;
}

Answers Engine::answer(Context& context, const ProcessorRequest& request, const GenerationConfig& settings,
                       GenerationHooks hooks, const Probe* probe) const {
  OpenClips opened;
  const Plan planned = plan(nullptr, request, settings, &opened);
  const std::string complaint = planned.complaint();
  require(complaint.empty(), ErrorCode::kLimitExceeded, "[plan] {}", complaint);

  Answers answers;
  const double started = now_s();
  ProcessHooks decoding;
  decoding.opened = &opened;
  decoding.cancelled = [&context] { return context.cancelled(); };
  if (probe != nullptr && probe->progress) {
    decoding.decoded = [probe](int64_t done, int64_t total) { probe->progress("decode", done, total); };
  }
  ProcessorOutput inputs = processor_->process(context.threads(), request, options_.limits, decoding);
  context.check_cancelled();
  answers.timings.process_s = now_s() - started;

  ForwardInput forward = forward_input(*processor_, model_->config(), inputs);
  forward.reuse_static_frames = options_.reuse_static_frames;
  forward.probe = probe;

  const Tokenizer& tokenizer = processor_->tokenizer();
  GenerationHooks with_text = text_hooks(tokenizer);
  with_text.on_token = [&, outer = hooks.on_token](const StreamEvent& event) {
    if (answers.timings.first_token_s == 0) answers.timings.first_token_s = now_s() - started;
    return !outer || outer(event);
  };
  if (hooks.make_text) with_text.make_text = hooks.make_text;
  if (hooks.special_token) with_text.special_token = hooks.special_token;
  const double generating = now_s();
  answers.results = generate(context, forward, settings, with_text);
  answers.timings.generate_s = now_s() - generating;
  if (features_ != nullptr || prefixes_ != nullptr) {
    const Savings saved = savings();
    context.log(LogLevel::kInfo,
                "saved so far: " + std::to_string(saved.pictures) +
                    " pictures and clips not encoded again, " + std::to_string(saved.prompt_tokens) +
                    " prompt tokens not computed again; held: " + std::to_string(saved.bytes >> 20) + " MiB");
  }
  answers.inputs = std::move(inputs);
  return answers;
}

std::vector<GenerationResult> Engine::generate(Context& context, ForwardInput& input,
                                               const GenerationConfig& settings,
                                               const GenerationHooks& hooks) const {
  settings.validate();
  std::vector<int64_t> image_rows, video_rows;
  if (features_ != nullptr && input.pixel_values.defined()) {
    const auto pictures = features_->features(
        context, model_->model(), {input.pixel_values, input.image_grid_thw, input.image_merge_sizes, {}},
        input.probe);
    input.image_features = pictures.features;
    input.pixel_values = {};
    append_row_numbers(pictures, image_rows);
  }
  if (features_ != nullptr && input.pixel_values_videos.defined()) {
    const auto clips =
        features_->features(context, model_->model(),
                            {input.pixel_values_videos, input.video_grid_thw, input.video_merge_sizes,
                             input.video_compression_mask, input.reuse_static_frames},
                            input.probe);
    input.video_features = clips.features;
    input.pixel_values_videos = {};
    append_row_numbers(clips, video_rows);
  }
  // Visual tokens have names only where the cache of features gave them.
  const bool named = !input.pixel_values.defined() && !input.pixel_values_videos.defined();
  std::vector<Prompt> prompts;
  if (prefixes_ != nullptr && named) {
    const PrefixReuse reuse{*prefixes_, std::move(image_rows), std::move(video_rows)};
    prompts = prefill(context, *model_, input, &reuse);
  } else {
    prompts = prefill(context, *model_, input);
  }
  ModelDecoder decoder(*model_);
  return vl3::generate(context, decoder, std::move(prompts), settings, hooks);
}

Savings Engine::savings() const {
  Savings savings;
  if (features_ != nullptr) {
    savings.pictures = features_->hits();
    savings.bytes += features_->bytes();
  }
  if (prefixes_ != nullptr) {
    savings.prompt_tokens = prefixes_->reused_tokens();
    savings.bytes += prefixes_->bytes();
  }
  return savings;
}

}  // namespace vl3
