#include "vl3/engine.h"

#include <algorithm>

#include "base/clock.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/thread_pool.h"
#include "checkpoint/fingerprint.h"
#include "engine/feature_cache.h"
#include "engine/request_encoder.h"
#include "generate/generate.h"
#include "generate/model_decoder.h"

namespace vl3 {
namespace {

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
  OpenMedia opened;
  const Plan planned = plan(&context, request, settings, &opened, false);
  const std::string complaint = planned.complaint();
  require(complaint.empty(), ErrorCode::kLimitExceeded, "[plan] {}", complaint);

  settings.validate();

  Answers answers;
  const double started = now_s();
  ProcessHooks decoding;
  decoding.opened = &opened;
  decoding.cancelled = [&context] { return context.cancelled(); };
  if (probe != nullptr && probe->progress) {
    decoding.decoded = [probe](int64_t done, int64_t total) { probe->progress("decode", done, total); };
  }
  RequestEncoder encoder(context, *model_,
                         processor_->stream(request, options_.limits, decoding, context.threads().size()),
                         features_.get(), options_.reuse_static_frames, probe);
  while (encoder.encode_next(context)) {
  }
  EncodedRequest encoded = encoder.finish(context);
  answers.timings.process_s = encoder.media_s();
  answers.timings.generate_s = now_s() - started - answers.timings.process_s;

  const Tokenizer& tokenizer = processor_->tokenizer();
  GenerationHooks with_text = text_hooks(tokenizer);
  with_text.on_token = [&, outer = hooks.on_token](const StreamEvent& event) {
    if (answers.timings.first_token_s == 0) answers.timings.first_token_s = now_s() - started;
    return !outer || outer(event);
  };
  if (hooks.make_text) with_text.make_text = hooks.make_text;
  if (hooks.special_token) with_text.special_token = hooks.special_token;
  const double generating = now_s();
  answers.results = generate(context, encoded, settings, with_text);
  answers.timings.generate_s += now_s() - generating;
  if (features_ != nullptr || prefixes_ != nullptr) {
    const Savings saved = savings();
    context.log(LogLevel::kInfo,
                "saved so far: " + std::to_string(saved.pictures) +
                    " pictures and clips not encoded again, " + std::to_string(saved.prompt_tokens) +
                    " prompt tokens not computed again; held: " + std::to_string(saved.bytes >> 20) + " MiB");
  }
  answers.inputs = std::move(encoded.inputs);
  return answers;
}

std::vector<GenerationResult> Engine::generate(Context& context, EncodedRequest& request,
                                               const GenerationConfig& settings,
                                               const GenerationHooks& hooks) const {
  std::vector<Prompt> prompts;
  // Visual tokens have names only where the cache of features gave them.
  if (prefixes_ != nullptr && request.named) {
    const PrefixReuse reuse{*prefixes_, std::move(request.image_rows), std::move(request.video_rows)};
    prompts = prefill(context, *model_, request.forward, &reuse);
  } else {
    prompts = prefill(context, *model_, request.forward);
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
