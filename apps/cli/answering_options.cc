#include "answering_options.h"

#include <filesystem>
#include <set>

#include "base/check.h"
#include "hub_models.h"
#include "sandbox/sandboxed_decoder.h"
#include "size_option.h"

namespace vl3::cli {
namespace {

constexpr double kGiB = 1073741824.0;
constexpr const char* kMedia = "Pictures and clips";
constexpr const char* kLimits = "Limits";

// "NAME=MODEL" → both; throws kInvalidArgument.
std::pair<std::string, std::string> named_folder(const std::string& text) {
  const size_t sign = text.find('=');
  require(sign != std::string::npos && sign > 0 && sign + 1 < text.size(), ErrorCode::kInvalidArgument,
          "[--lora] \"{}\" is not NAME=MODEL", text);
  return {text.substr(0, sign), text.substr(sign + 1)};
}

std::shared_ptr<MediaDecoder> make_decoder(serve::Metrics& metrics) {
  using Event = sandbox::SandboxEvent;
  sandbox::SandboxOptions options;
  options.on_event = [&metrics](const Event& event) {
    if (event.kind == Event::Kind::kDecoded) return metrics.media_decode_seconds.observe(event.seconds);
    metrics.decoder_restarts.add();
    if (event.kind == Event::Kind::kCrashed) metrics.media_rejects.decoder_crashed.add();
  };
  return std::make_shared<sandbox::SandboxedDecoder>(std::move(options));
}

}  // namespace

void AnsweringOptions::add_model_and_adapters_to(CLI::App& command) {
  add_model_to(command, model);
  compute.add_to(command, "auto");
  command.add_option("--model-name", names, "what requests call the model (default: the name of its folder)")
      ->type_name("NAME")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kModelAndMachine);
  add_adapter_to(command, adapter);
  takes_model(command.add_option("--lora", adapters,
                                 "LoRA adapter of its own name, which requests may name as their model"),
              ModelParts::kNamed)
      ->type_name("NAME=MODEL")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kModelAndMachine);
}

void AnsweringOptions::add_media_to(CLI::App& command) {
  command
      .add_option("--media-root", media_root,
                  "folder under which requests may name files (file:///…); without it none are read")
      ->type_name("FOLDER")
      ->group(kMostUsed);
  command
      .add_option("--allow-media-address", media_addresses,
                  "block of addresses (10.1.0.0/16) to download from beside the public ones")
      ->type_name("CIDR")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kMedia);
  command
      .add_flag(
          "--no-sandbox", no_sandbox,
          "decode pictures and clips in this process itself: a file that breaks a decoder breaks it all")
      ->group(kMedia);
  command.add_option("--max-image", max_image_bytes, "largest picture that is downloaded, bytes (64M)")
      ->transform(size_in_bytes())
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(kMedia);
  command.add_option("--max-video", max_video_bytes, "largest clip that is downloaded, bytes (1G)")
      ->transform(size_in_bytes())
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(kMedia);
}

void AnsweringOptions::add_memory_to(CLI::App& command) {
  command.add_option("--max-running", max_running, "requests that are answered at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(kMostUsed);
  command
      .add_option("--kv-cache", kv_cache_gib,
                  "GiB of keys and values of all running requests (default: half of the free memory)")
      ->transform(size_in_gib())
      ->group(kLimits);
  command
      .add_option("--cache-size", cache_gib,
                  "GiB of prompts, pictures and clips that are kept for later requests; 0: none")
      ->transform(size_in_gib(true))
      ->capture_default_str()
      ->group(kLimits);
}

serve::ModelNames AnsweringOptions::served() const {
  serve::ModelNames all{names, {}};
  if (const std::string own = called_name(model); names.empty()) all.names = {own.empty() ? "model" : own};
  std::set<std::string> taken, folders;
  const auto take = [&](const char* option, const std::string& name) {
    require(!name.empty(), ErrorCode::kInvalidArgument, "[{}] a name is empty", option);
    require(taken.insert(name).second, ErrorCode::kInvalidArgument,
            "[{}] \"{}\" is a name already: requests could not tell the two apart", option, name);
  };
  for (const std::string& name : all.names) take("--model-name", name);
  for (const std::string& text : adapters) {
    const auto& [name, folder] = named_folder(text);
    take("--lora", name);
    require(folders.insert(folder).second, ErrorCode::kInvalidArgument,
            "[--lora] {}: the adapter has another name already", text);
    all.adapters.push_back(name);
  }
  return all;
}

EngineOptions AnsweringOptions::engine() const {
  served();  // refused before a model is read
  EngineOptions options;
  options.adapter = adapter;
  for (const std::string& text : adapters)
    options.request_adapters.emplace_back(checkpoint_folder(named_folder(text).second));
  // Prompts take most of it: a picture's rows are few beside the keys and values of its tokens.
  options.prefix_cache_bytes = static_cast<int64_t>(cache_gib * kGiB * 0.75);
  options.feature_cache_bytes = static_cast<int64_t>(cache_gib * kGiB * 0.25);
  return options;
}

serve::ApiOptions AnsweringOptions::api(const Engine& opened) const {
  serve::ApiOptions options;
  options.models = served();
  options.scheduler.max_running = max_running;
  if (kv_cache_gib > 0) {
    options.scheduler.kv_cache_bytes = static_cast<int64_t>(kv_cache_gib * kGiB);
  } else {
    // A plan of anything knows what is free.
    ProcessorRequest request;
    request.conversations.push_back(Json::array({{{"role", "user"}, {"content", "hello"}}}));
    const Plan plan = opened.plan(nullptr, request, opened.default_settings(), nullptr, false);
    options.scheduler.kv_cache_bytes = plan.available_bytes / 2;
  }
  return options;
}

serve::MediaIntakeOptions AnsweringOptions::media(serve::Metrics& metrics) const {
  serve::MediaIntakeOptions options;
  options.metrics = &metrics;
  options.root = media_root;
  options.allow_addresses = media_addresses;
  options.max_image_bytes = max_image_bytes;
  options.max_video_bytes = max_video_bytes;
  if (!no_sandbox) options.decoder = make_decoder(metrics);
  return options;
}

}  // namespace vl3::cli
