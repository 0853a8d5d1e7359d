// Will it fit? Sizes follow from headers and the configuration; what the network costs of them model/cost.h
// says.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/json.h"
#include "model/cost.h"
#include "ops/ops.h"
#include "vl3/engine.h"
#include "vl3/thread_pool.h"
#include "vl3/visual_stream.h"

namespace vl3 {
namespace {

constexpr int64_t kWord = sizeof(float);
// A clip's prompt also says the time of every frame.
constexpr int64_t kTokensPerFrame = 10;

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

// Tokens of a conversation's text. Marks of media count as the text they are.
int64_t text_tokens(const Processor& processor, const ProcessorRequest& request, const Json& messages) {
  const auto pieces = processor.prompt_pieces(request, messages);
  std::vector<TextSpan> spans;
  for (const auto& piece : pieces)
    spans.push_back({piece.text, request.special_tokens_in_messages || !piece.from_message});
  return static_cast<int64_t>(processor.tokenizer().encode(spans).size());
}

// Pixels and patches that are there at once: of a clip the groups that wait, are made and are encoded, and a
// frame as it is decoded and as it is resized; of pictures those that are decoded together, as patches and as
// pixels.
int64_t pixel_bytes(const std::vector<MediaPlan>& media, int64_t patch_words) {
  constexpr int64_t kGroups = static_cast<int64_t>(VisualStream::kAhead) + 2;
  int64_t patches = 0, largest = 0, pixels = 0;
  for (const MediaPlan& m : media) {
    const int64_t a_frame = m.patches / std::max<int64_t>(m.frames, 1);
    const int64_t together = m.video ? kGroups * std::max(VisualStream::kGroupPatches, a_frame)
                                     : 2 * std::max(VisualStream::kPicturePatches, a_frame);
    patches += m.patches;
    largest = std::max(largest, together);
    pixels = std::max(pixels, 2 * m.height * m.width * 3);
  }
  return std::min(patches, largest) * patch_words * kWord + pixels;
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
                  OpenMedia* opened, bool measure) const {
  const Config& config = model_->config();
  Plan plan;
  plan.media = processor_->plan(request, options_.limits, opened);
  plan.weight_bytes = weight_bytes_;
  plan.context_tokens = config.text.max_position_embeddings;
  plan.available_bytes = options_.max_memory_bytes > 0 ? options_.max_memory_bytes : free_memory_bytes();

  std::vector<int64_t> prompts, shortest;  // tokens of each conversation, before and after compression
  for (const Json& messages : request.conversations)
    prompts.push_back(text_tokens(*processor_, request, messages));
  shortest = prompts;
  AnswerShape shape;
  for (const MediaPlan& m : plan.media) {
    const int64_t times = m.video ? m.frames * kTokensPerFrame : 0;
    plan.patches += m.patches;
    prompts[m.conversation] += times + m.tokens;
    shortest[m.conversation] += times + m.min_tokens;
    shape.visuals.push_back({m.frames, m.patches / std::max<int64_t>(m.frames, 1), m.tokens});
  }
  for (const int64_t tokens : prompts) plan.prompt_tokens = std::max(plan.prompt_tokens, tokens);
  for (const int64_t tokens : shortest) plan.min_prompt_tokens = std::max(plan.min_prompt_tokens, tokens);
  plan.new_tokens = settings.new_token_limit(1);
  plan.pixel_bytes = pixel_bytes(plan.media, config.vision.patch_width());
  shape.prompts = prompts;
  shape.sequences = std::max(settings.num_beams, settings.num_return_sequences);
  plan.activation_bytes = answer_activation_bytes(config, shape);
  const CacheType type = model_->cache_type(context);
  for (const int64_t tokens : prompts)
    plan.cache_bytes += cache_bytes(config.text, type, tokens, plan.new_tokens, shape.sequences);
  plan.encode_flops = encode_flops(*model_, shape.visuals);
  plan.prefill_flops = prefill_flops(*model_, prompts);
  if (context != nullptr && measure)
    plan.estimated_s = (plan.encode_flops + plan.prefill_flops) / measured_flops_per_s(*context);
  return plan;
}

}  // namespace vl3
