#pragma once
// The whole way in one object: a checkpoint folder, and answers about pictures and clips. Programs, servers
// and bindings are thin layers over this.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vl3/context.h"
#include "vl3/export.h"
#include "vl3/generation.h"
#include "vl3/model.h"
#include "vl3/processor.h"

namespace vl3 {

class FeatureCache;
class AdapterSet;
class PrefixTree;

struct EngineOptions {
  std::filesystem::path adapter;  // folder, as vl3/adapter.h has it; empty: none
  // Folders of adapters of the language model alone, any of which a request may name by its index here
  // (RequestOptions::adapter of vl3/scheduler.h); requests with different ones share steps.
  std::vector<std::filesystem::path> request_adapters;
  MediaLimits limits;
  int64_t max_memory_bytes = 0;  // what a request may need beside the weights; 0: what the machine has free
  // Kept from one request to the next, beside what a request needs: encoded pictures and clips, and keys and
  // values of prompts. 0: nothing.
  int64_t feature_cache_bytes = 0, prefix_cache_bytes = 0;
  // A folder in which encoded pictures and clips are kept for later runs, up to so many bytes; empty: none.
  std::filesystem::path disk_cache;
  int64_t disk_cache_bytes = int64_t{4} << 30;
  bool reuse_static_frames = false;  // as in ForwardInput
};

// What a request will take, from headers alone: nothing is decoded.
struct VL3_API Plan {
  std::vector<MediaPlan> media;
  int64_t patches = 0;
  int64_t prompt_tokens = 0;      // of the longest conversation, before compression
  int64_t min_prompt_tokens = 0;  // what compression can bring that down to
  int64_t new_tokens = 0;
  int64_t context_tokens = 0;  // what the model was made for
  int64_t weight_bytes = 0;    // mapped, not allocated
  int64_t pixel_bytes = 0;     // decoded pixels and patches
  int64_t activation_bytes = 0;
  int64_t cache_bytes = 0;      // keys and values of all conversations
  int64_t available_bytes = 0;  // what the machine has free, or the limit that was set
  double encode_flops = 0, prefill_flops = 0;
  double estimated_s =
      0;  // until the first token, by a measured speed of products; 0 where no context was given

  int64_t needed_bytes() const { return pixel_bytes + activation_bytes + cache_bytes; }
  bool fits() const {
    return needed_bytes() <= available_bytes && prompt_tokens + new_tokens <= context_tokens;
  }
  // Why not, with the numbers and what to lower; empty where it fits.
  std::string rejection_reason() const;
  Json to_json() const;
};

struct Timings {
  double process_s = 0;   // waiting for pixels (decoding, resizing, patches) and for ids
  double generate_s = 0;  // encoding, prefill and decoding
  double encode_s = 0;    // of that, in the vision encoder and the projector
  double first_token_s = 0;
};

// What the engine's caches have saved so far.
struct CacheStats {
  int64_t asked_pictures = 0;  // pictures and clips of requests
  int64_t pictures = 0;        // of them, those that were not encoded again
  int64_t prompt_tokens = 0;   // tokens that did not go through the language model again
  int64_t bytes = 0;           // held by both caches
};

struct Answers {
  ProcessorOutput inputs;  // without its pixel tensors, which are let go as soon as they have been encoded
  std::vector<GenerationResult> results;
  Timings timings;
};

class VL3_API Engine {
 public:
  // Throws what opening a checkpoint, a tokenizer and a template throws.
  static Engine open(const std::filesystem::path& folder, EngineOptions options = {});

  const ForConditionalGeneration& model() const noexcept { return *model_; }
  const Processor& processor() const noexcept { return *processor_; }
  // Settings of generation_config.json, with the model's end tokens where that file says none.
  const GenerationConfig& default_settings() const noexcept { return settings_; }
  const EngineOptions& options() const noexcept { return options_; }
  CacheStats cache_stats() const;

  // context: says how keys and values are kept, and (measure) how fast products are, for the estimate of
  // time; null: the model's usual cache, and no estimate. opened: as Processor::plan.
  Plan plan(Context* context, const ProcessorRequest& request, const GenerationConfig& settings,
            OpenMedia* opened = nullptr, bool measure = true) const;

  // One request through a Scheduler (vl3/scheduler.h) of its own, on this thread. Throws kLimitExceeded where
  // the plan does not fit. hooks.make_text is set where it is empty. probe: may be null; its progress is told
  // about "decode" (frames), "encode" (patches) and "prefill" (tokens).
  Answers answer(Context& context, const ProcessorRequest& request, const GenerationConfig& settings,
                 GenerationHooks hooks = {}, const Probe* probe = nullptr) const;

 private:
  friend class Scheduler;  // which uses the caches below
  Engine() = default;
  std::shared_ptr<const ForConditionalGeneration> model_;
  std::shared_ptr<const Processor> processor_;
  GenerationConfig settings_;
  EngineOptions options_;
  std::shared_ptr<FeatureCache> features_;      // null where there is none
  std::shared_ptr<const AdapterSet> adapters_;  // null where there are none
  std::shared_ptr<PrefixTree> prefixes_;
  int64_t weight_bytes_ = 0;
};

}  // namespace vl3
