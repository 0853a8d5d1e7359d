#include "vl3/engine.h"

#include "base/json.h"
#include "base/model_folder.h"
#include "checkpoint/fingerprint.h"
#include "engine/feature_cache.h"
#include "generate/prefix_tree.h"
#include "model/adapter_set.h"
#include "vl3/scheduler.h"

namespace vl3 {
namespace {

// Null where none is asked for.
std::unique_ptr<FeatureStore> open_store(const std::filesystem::path& folder, const EngineOptions& options) {
  if (options.disk_cache.empty()) return nullptr;
  Json model = {{"checkpoint", fingerprint(model_folder(folder))["files"]}};
  if (!options.adapter.empty()) model["adapter"] = fingerprint(options.adapter)["files"];
  return std::make_unique<FeatureStore>(options.disk_cache, options.disk_cache_bytes, model.dump());
}

// Null where none is asked for.
std::shared_ptr<const AdapterSet> open_adapters(const Config& config,
                                                const std::vector<std::filesystem::path>& folders) {
  if (folders.empty()) return nullptr;
  std::vector<AdapterSet::Entry> entries;
  for (const std::filesystem::path& folder : folders)
    entries.push_back({folder.string(), Adapter::open(folder, config)});
  return std::make_shared<const AdapterSet>(config, std::move(entries));
}

}  // namespace

Engine Engine::open(const std::filesystem::path& folder, EngineOptions options) {
  Engine engine;
  engine.options_ = options;
  engine.model_ = std::make_shared<const ForConditionalGeneration>(
      ForConditionalGeneration::from_pretrained(folder, options.adapter));
  engine.adapters_ = open_adapters(engine.model_->config(), options.request_adapters);
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
    engine.prefixes_ = std::make_shared<PrefixTree>(options.prefix_cache_bytes);
  return engine;
}

Answers Engine::answer(Context& context, const ProcessorRequest& request, const GenerationConfig& settings,
                       GenerationHooks hooks, const Probe* probe) const {
  SchedulerOptions inline_options;
  inline_options.processing_threads = 0;
  Scheduler scheduler(context, *this, inline_options);
  RequestOptions options;
  options.generation = settings;
  options.hooks = std::move(hooks);
  options.probe = probe;
  const RequestId id = scheduler.submit(request, std::move(options));
  scheduler.run(id);
  Answers answers = scheduler.take(id);
  if (features_ != nullptr || prefixes_ != nullptr) {
    const CacheStats stats = cache_stats();
    context.log(LogLevel::kInfo,
                "saved so far: " + std::to_string(stats.pictures) +
                    " pictures and clips not encoded again, " + std::to_string(stats.prompt_tokens) +
                    " prompt tokens not computed again; held: " + std::to_string(stats.bytes >> 20) + " MiB");
  }
  return answers;
}

CacheStats Engine::cache_stats() const {
  CacheStats stats;
  if (features_ != nullptr) {
    stats.asked_pictures = features_->asked();
    stats.pictures = features_->hits();
    stats.bytes += features_->bytes();
  }
  if (prefixes_ != nullptr) {
    stats.prompt_tokens = prefixes_->reused_tokens();
    stats.bytes += prefixes_->bytes();
  }
  return stats;
}

}  // namespace vl3
