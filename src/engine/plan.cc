// Will it fit? Sizes follow from headers and the configuration; the formulas mirror what the stages allocate.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>

#include "base/json.h"
#include "base/thread_pool.h"
#include "ops/ops.h"
#include "vl3/engine.h"

namespace vl3 {
namespace {

constexpr int64_t kWord = sizeof(float);
constexpr int64_t kRowsAtOnce = 2048;  // of a layer's activations: see the prefill and the vision encoder

// What can be allocated without swapping: the system's own estimate, within the limit of the control group.
int64_t free_memory_bytes() {
  int64_t available = INT64_MAX;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    if (line.starts_with("MemAvailable:")) available = std::strtoll(line.c_str() + 13, nullptr, 10) * 1024;
  }
  int64_t limit = 0, used = 0;
  std::ifstream max_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  if (max_file >> limit && used_file >> used)
    available = std::min(available, std::max<int64_t>(limit - used, 0));
  return available;
}

double linear_flops(const VisionConfig& v) {
  const double d = static_cast<double>(v.hidden_size), f = static_cast<double>(v.intermediate_size);
  return 2 * (static_cast<double>(v.patch_width()) * d +
              static_cast<double>(v.num_hidden_layers) * (4 * d * d + 2 * d * f));
}

double linear_flops(const TextConfig& t) {
  const double h = static_cast<double>(t.hidden_size), f = static_cast<double>(t.intermediate_size);
  const double q = static_cast<double>(t.num_attention_heads * t.head_dim);
  const double kv = static_cast<double>(t.num_key_value_heads * t.head_dim);
  return 2 * static_cast<double>(t.num_hidden_layers) * (2 * h * q + 2 * h * kv + 3 * h * f);
}

// Products per second, by a short run of the real thing.
double measured_flops_per_s(Context& context) {
  constexpr int64_t kRows = 256, kWidth = 1024;
  const Tensor x = Tensor::zeros({kRows, kWidth}, DType::kF32),
               w = Tensor::zeros({kWidth, kWidth}, DType::kBF16);
  double best = 1e9;
  for (int i = 0; i < 4; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ops::linear(context, x, w);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return 2.0 * kRows * kWidth * kWidth / best;
}

std::string gib(int64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / 1073741824.0);
}

// Tokens of a conversation's text, from above: every byte of it, and what a template may add to a message.
int64_t text_tokens(const Json& messages) {
  constexpr int64_t kPerMessage = 8;
  int64_t tokens = kPerMessage;
  for (const Json& message : messages) {
    tokens += kPerMessage;
    const Json* content = message.is_object() && message.contains("content") ? &message["content"] : nullptr;
    if (content == nullptr) continue;
    if (content->is_string()) tokens += static_cast<int64_t>(content->get_ref<const std::string&>().size());
    if (!content->is_array()) continue;
    for (const Json& part : *content) {
      const Json* text = part.is_string()                            ? &part
                         : part.is_object() && part.contains("text") ? &part["text"]
                                                                     : nullptr;
      if (text != nullptr && text->is_string())
        tokens += static_cast<int64_t>(text->get_ref<const std::string&>().size());
    }
  }
  return tokens;
}

}  // namespace

std::string Plan::rejection_reason() const {
  if (min_prompt_tokens + new_tokens > context_tokens) {
    return fmt::format(
        "the prompt has {} to {} tokens and {} new ones are wanted, but the model's context holds {}: lower "
        "the size of "
        "pictures (longest_edge), the number of frames (fps, max_frames) or max_new_tokens",
        min_prompt_tokens, prompt_tokens, new_tokens, context_tokens);
  }
  if (needed_bytes() <= available_bytes) return {};
  return fmt::format(
      "{} are needed beside the weights (pixels {}, activations {}, cache {}) and {} are free: lower the "
      "size of pictures "
      "(longest_edge), the number of frames (fps, max_frames) or max_new_tokens",
      gib(needed_bytes()), gib(pixel_bytes), gib(activation_bytes), gib(cache_bytes), gib(available_bytes));
}

Json Plan::to_json() const {
  Json list = Json::array();
  for (const MediaPlan& m : media) {
    list.push_back({{"name", m.name},
                    {"kind", m.video ? "video" : "image"},
                    {"height", m.height},
                    {"width", m.width},
                    {"frames", m.frames},
                    {"patches", m.patches},
                    {"tokens", m.tokens},
                    {"min_tokens", m.min_tokens},
                    {"notes", m.notes}});
  }
  return {{"media", list},
          {"patches", patches},
          {"prompt_tokens", prompt_tokens},
          {"min_prompt_tokens", min_prompt_tokens},
          {"new_tokens", new_tokens},
          {"context_tokens", context_tokens},
          {"weight_bytes", weight_bytes},
          {"pixel_bytes", pixel_bytes},
          {"activation_bytes", activation_bytes},
          {"cache_bytes", cache_bytes},
          {"needed_bytes", needed_bytes()},
          {"available_bytes", available_bytes},
          {"encode_flops", encode_flops},
          {"prefill_flops", prefill_flops},
          {"estimated_s", estimated_s},
          {"fits", rejection_reason().empty()},
          {"rejection_reason", rejection_reason()}};
}

Plan Engine::plan(Context* context, const ProcessorRequest& request, const GenerationConfig& settings,
                  OpenClips* opened) const {
  const Config& config = model_->config();
  const VisionConfig& v = config.vision;
  const TextConfig& t = config.text;
  Plan plan;
  plan.media = processor_->plan(request, options_.limits, opened);
  plan.weight_bytes = weight_bytes_;
  plan.context_tokens = t.max_position_embeddings;
  plan.available_bytes = options_.max_memory_bytes > 0 ? options_.max_memory_bytes : free_memory_bytes();

  // A clip's prompt also says the time of every frame.
  constexpr int64_t kTokensPerFrame = 10;
  std::vector<int64_t> prompts, shortest;  // tokens of each conversation, before and after compression
  for (const Json& messages : request.conversations) prompts.push_back(text_tokens(messages));
  shortest = prompts;
  int64_t largest_frame = 0, visual_tokens = 0;
  double encode_attention = 0;
  for (const MediaPlan& m : plan.media) {
    const int64_t per_frame = m.patches / std::max<int64_t>(m.frames, 1);
    const int64_t times = m.video ? m.frames * kTokensPerFrame : 0;
    plan.patches += m.patches;
    largest_frame = std::max(largest_frame, per_frame);
    visual_tokens += m.tokens;
    prompts[m.conversation] += times + m.tokens;
    shortest[m.conversation] += times + m.min_tokens;
    plan.pixel_bytes += m.patches * v.patch_width() * kWord + 2 * m.height * m.width * 3;
    encode_attention += 4.0 * static_cast<double>(v.num_hidden_layers * v.hidden_size) *
                        static_cast<double>(m.patches) * static_cast<double>(per_frame);
  }
  for (const int64_t tokens : prompts) plan.prompt_tokens = std::max(plan.prompt_tokens, tokens);
  for (const int64_t tokens : shortest) plan.min_prompt_tokens = std::max(plan.min_prompt_tokens, tokens);
  plan.new_tokens = settings.new_token_limit(1);

  const int64_t conversations = static_cast<int64_t>(request.conversations.size());
  const int64_t total = std::accumulate(prompts.begin(), prompts.end(), int64_t{0}),
                sequences = std::max(settings.num_beams, settings.num_return_sequences);
  const int64_t frame_rows = std::max<int64_t>(largest_frame, std::min<int64_t>(plan.patches, 1024));
  const int64_t vision_rows = frame_rows * (6 * v.hidden_size + v.intermediate_size);
  const int64_t text_rows =
      std::min(plan.prompt_tokens, kRowsAtOnce) *
      (4 * t.hidden_size + 4 * t.num_attention_heads * t.head_dim + 3 * t.intermediate_size);
  plan.activation_bytes =
      kWord * (std::max(vision_rows, text_rows) + visual_tokens * (v.hidden_size + 2 * t.hidden_size) +
               2 * total * t.hidden_size + (conversations * sequences + 2) * t.vocab_size);
  plan.cache_bytes = kWord * 2 * t.num_hidden_layers * t.num_key_value_heads * t.head_dim *
                     (total + conversations * sequences * (plan.new_tokens + 64));
  const double tokens = static_cast<double>(total);
  plan.encode_flops = static_cast<double>(plan.patches) * linear_flops(v) + encode_attention;
  plan.prefill_flops =
      tokens * linear_flops(t) +
      2.0 * tokens * tokens * static_cast<double>(t.num_hidden_layers * t.num_attention_heads * t.head_dim);
  if (context != nullptr)
    plan.estimated_s = (plan.encode_flops + plan.prefill_flops) / measured_flops_per_s(*context);
  return plan;
}

}  // namespace vl3
