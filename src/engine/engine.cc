#include "vl3/engine.h"

#include <algorithm>
#include <chrono>

#include "base/json.h"
#include "base/thread_pool.h"

namespace vl3 {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Ids as the model knows its placeholders: an original checkpoint has one of its own for pictures and frames.
void translate_placeholders(const Processor& processor, const Config& config, Tensor& input_ids) {
  for (int64_t& id : input_ids.span<int64_t>()) {
    if (id == processor.image_token_id())
      id = config.image_token_id;
    else if (id == processor.video_token_id())
      id = config.video_token_id;
  }
}

}  // namespace

Engine Engine::open(const std::filesystem::path& folder, EngineOptions options) {
  Engine engine;
  engine.options_ = options;
  engine.model_ =
      std::make_shared<const ForConditionalGeneration>(ForConditionalGeneration::from_pretrained(folder));
  engine.processor_ = std::make_shared<const Processor>(Processor::from_pretrained(folder));
  GenerationConfig base;
  const TextConfig& text = engine.model_->config().text;
  base.eos_token_id = text.eos_token_ids;
  base.pad_token_id = text.pad_token_id;
  engine.settings_ = GenerationConfig::from_pretrained(folder, base);
  engine.weight_bytes_ = engine.model_->weight_bytes();
  return engine;
}

Answers Engine::answer(Context& context, const ProcessorRequest& request, const GenerationConfig& settings,
                       GenerationHooks hooks, const Probe* probe) const {
  const Plan planned = plan(nullptr, request, settings);
  const std::string complaint = planned.complaint();
  require(complaint.empty(), ErrorCode::kLimitExceeded, "[plan] {}", complaint);

  Answers answers;
  const double started = now_s();
  ProcessHooks decoding;
  decoding.cancelled = [&context] { return context.cancelled(); };
  if (probe != nullptr && probe->progress) {
    decoding.decoded = [probe](int64_t done, int64_t total) { probe->progress("decode", done, total); };
  }
  ProcessorOutput inputs = processor_->process(context.threads(), request, options_.limits, decoding);
  context.check_cancelled();
  answers.timings.process_s = now_s() - started;

  ForwardInput forward;
  forward.input_ids = inputs.input_ids.clone();
  translate_placeholders(*processor_, model_->config(), forward.input_ids);
  forward.attention_mask = inputs.attention_mask;
  forward.pixel_values = std::move(inputs.images.pixel_values);
  forward.image_grid_thw = inputs.images.image_grid_thw;
  forward.image_merge_sizes = inputs.images.image_merge_sizes;
  forward.pixel_values_videos = std::move(inputs.videos.pixel_values_videos);
  forward.video_grid_thw = inputs.videos.video_grid_thw;
  forward.video_merge_sizes = inputs.videos.video_merge_sizes;
  forward.video_compression_mask = inputs.videos.video_compression_mask;
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
  answers.results = model_->generate(context, forward, settings, with_text);
  answers.timings.generate_s = now_s() - generating;
  answers.inputs = std::move(inputs);
  return answers;
}

}  // namespace vl3
