#include "request_options.h"

#include <algorithm>

#include "base/check.h"
#include "base/json.h"
#include "size_option.h"
#include "vl3/structured_output.h"

namespace vl3::cli {

void RequestOptions::add_to(CLI::App& command) {
  add_model_to(command, model);
  command.add_option("prompt", prompt, "the question, in quotes")->type_name("QUESTION");
  command
      .add_option("--image", images,
                  "picture (PNG, JPEG, AVIF, HEIC, …: --version); more files may follow (a word that is no "
                  "file is the question), also http(s) addresses; - for standard input")
      ->allow_extra_args(false)
      ->type_name("FILE");
  command.add_option("--video", videos, "clip, or folder of pictures that are its frames; likewise")
      ->allow_extra_args(false)
      ->type_name("FILE");
  command.add_option("--system", system, "system message")->type_name("TEXT");
  command
      .add_option("--request", request_file,
                  "request as JSON (docs/tools.md) in place of a question; - for standard input")
      ->type_name("FILE")
      ->group(kOutput);
  add_media_to(command);
  for (const SettingInfo& setting : generation_settings()) {
    std::string flag(setting.name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    const std::string name(setting.name);
    command
        .add_option_function<std::string>(
            "--" + flag, [this, name](const std::string& value) { settings.emplace_back(name, value); },
            std::string(setting.help))
        ->type_name(std::string(setting.type))
        ->group("Generation");
  }
  command.get_option("--max-new-tokens")
      ->description("most new tokens (default: the checkpoint's, else 512)");
  put_under(command, kMostUsed,
            {"--image", "--video", "--system", "--fps", "--max-frames", "--max-new-tokens", "--do-sample",
             "--temperature"});
}

void RequestOptions::take_media(bool chats) {
  for (std::vector<std::string>* files : {&images, &videos}) {
    for (std::string& file : *files) {
      if (!names_standard_input(file)) continue;
      require(standard_input == nullptr, ErrorCode::kInvalidArgument,
              "[standard input] can be read once only, and is asked for again as {}", file);
      require(!chats, ErrorCode::kInvalidArgument,
              "[standard input] is a picture or clip, so that a chat has nothing to read: add a question");
      require(!names_standard_input(request_file), ErrorCode::kInvalidArgument,
              "[standard input] cannot be a request and a picture or clip at once");
      const bool picture = files == &images;
      standard_input = std::make_shared<StandardInputFile>(
          picture ? static_cast<uint64_t>(std::max<int64_t>(0, engine.limits.max_file_bytes)) : UINT64_MAX);
      file = standard_input->path();
    }
  }
  for (const auto* typed : {&images, &videos}) {
    for (const std::string& one : *typed) addresses.trust(one);
  }
  with_names([&] { check_media_options(images, videos, engine.limits); });
}

void RequestOptions::fetch(ProcessorRequest& request, const Context& context) const {
  addresses.open(request, engine.limits, [&] { return context.cancelled(); });
}

std::string RequestOptions::shown(const std::string& text) const {
  return standard_input == nullptr ? text : standard_input->shown(text);
}

void RequestOptions::add_media_to(CLI::App& command) {
  add_clips_to(command);
  add_pictures_to(command);
  add_limits_to(command);
  add_disk_cache_to(command);
  addresses.add_to(command);
  add_adapter_to(command, engine.adapter);
  command
      .add_option("--max-memory", max_memory_gib,
                  "GiB a request may need beside the weights (default: what is free)")
      ->transform(size_in_gib())
      ->group("Limits");
}

void RequestOptions::add_clips_to(CLI::App& command) {
  const std::string clips = "Clips";
  command
      .add_option("--fps", fps, "frames to look at per second (default: what the checkpoint says, else 1)")
      ->group(clips);
  command.add_option("--num-frames", num_frames, "frames to look at in all, in place of --fps")->group(clips);
  command.add_flag("--all-frames", all_frames, "look at every frame")->group(clips);
  command.add_option("--min-frames", min_frames, "fewest frames with --fps")->group(clips);
  command.add_option("--max-frames", max_frames, "most frames with --fps")->group(clips);
  command.add_option("--start-time", start_time, "look from this second on")->group(clips);
  command.add_option("--end-time", end_time, "look up to this second")->group(clips);
  command
      .add_option("--rotate", rotate,
                  "clips that lie on their side: auto turns them as their container says, off (the default) "
                  "takes them as stored, as the reference does")
      ->check(CLI::IsMember({"auto", "off"}))
      ->group(clips);
  command
      .add_option("--pictures-rate", pictures_rate,
                  "frames per second of clips that are folders or lists of pictures (default: none, taken "
                  "for 1), and of "
                  "streams without a container that do not say it (25)")
      ->check(number_above_zero())
      ->group(clips);
  command
      .add_option("--times", times,
                  "where the rate varies: sample and tell times by the clip's timestamps (default), or by "
                  "frames: index over average rate, as the reference does")
      ->check(CLI::IsMember({"timestamps", "frames"}))
      ->group(clips);
  command
      .add_flag("--skip-broken-frames", skip_broken_frames,
                "go on behind broken frames: what the decoder makes of one is taken, or the frame before it")
      ->group(clips);
  command
      .add_flag("--no-token-compression", keep_all_tokens,
                "keep tokens that hardly differ from the frame before")
      ->group(clips);
  command
      .add_flag("--reuse-static-frames", engine.reuse_static_frames,
                "a frame that hardly differs takes its token from the frame before; may change the answer")
      ->group(clips);
}

void RequestOptions::add_pictures_to(CLI::App& command) {
  const std::string pictures = "Pictures";
  command.add_option("--min-pixels", min_pixels, "smallest area a picture is resized to")->group(pictures);
  command.add_option("--max-pixels", max_pixels, "largest area a picture is resized to")->group(pictures);
  command.add_option("--backend", backend, "whose arithmetic resizes pictures")
      ->check(CLI::IsMember({"pil", "torchvision"}))
      ->capture_default_str()
      ->group(pictures);
  command
      .add_flag("--special-tokens-in-messages", special_tokens_in_messages,
                "recognise special tokens in what users wrote, as the reference does")
      ->group(kModelAndMachine);
}

void RequestOptions::add_limits_to(CLI::App& command) {
  const std::string limits = "Limits";
  MediaLimits& l = engine.limits;
  command.add_option("--limit-pixels", l.max_pixels, "most pixels of a picture or frame")
      ->check(CLI::Range(int64_t{1}, INT64_MAX))
      ->capture_default_str()
      ->group(limits);
  command.add_option("--limit-frames", l.max_frames, "most frames of a clip")
      ->check(CLI::Range(int64_t{1}, INT64_MAX))
      ->capture_default_str()
      ->group(limits);
  command.add_option("--limit-duration", l.max_duration_s, "longest clip, seconds")
      ->check(number_above_zero())
      ->capture_default_str()
      ->group(limits);
  command.add_option("--limit-file", l.max_file_bytes, "largest picture, and data: URL of a request, bytes")
      ->transform(size_in_bytes())
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(limits);
  command.add_option("--limit-allocation", l.max_allocation_bytes, "largest buffer of a decoder, bytes")
      ->transform(size_in_bytes())
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(limits);
}

void RequestOptions::add_disk_cache_to(CLI::App& command) {
  const std::string caches = "Caches";
  command
      .add_option("--disk-cache", engine.disk_cache,
                  "folder in which encoded pictures and clips are kept for later runs")
      ->type_name("FOLDER")
      ->group(caches);
  command
      .add_option("--disk-cache-size", disk_cache_gib,
                  "GiB it may hold; what was used longest ago goes first")
      ->transform(size_in_gib())
      ->capture_default_str()
      ->group(caches);
}

void RequestOptions::add_form_to(CLI::App& command) {
  const std::string group = "Form of the answer";
  command
      .add_option("--json-schema", json_schema,
                  "JSON of this schema (docs/structured_output.md): a file, or the schema itself")
      ->type_name("FILE|JSON")
      ->group(group);
  command.add_flag("--json-object", json_object, "any JSON object")->group(group);
  command.add_option("--regex", regex, "text that this regular expression matches in whole")->group(group);
  command.add_option("--choices", choices, "one of these texts, with | between them: left|right")
      ->delimiter('|')
      ->type_name("TEXT|TEXT")
      ->group(group);
}

bool RequestOptions::asks_for_form(const Json* request) const {
  return !json_schema.empty() || json_object || !regex.empty() || !choices.empty() ||
         (request != nullptr && request->is_object() && request->contains("structured"));
}

GenerationHooks RequestOptions::form(const Engine& from, const GenerationConfig& config,
                                     const Json* request) const {
  GenerationHooks hooks;
  if (!asks_for_form(request)) return hooks;
  std::vector<Json> asked;
  if (request != nullptr && request->contains("structured")) asked.push_back((*request)["structured"]);
  if (!json_schema.empty()) {
    const bool text = json_schema.find_first_not_of(" \t\r\n") != std::string::npos &&
                      json_schema[json_schema.find_first_not_of(" \t\r\n")] == '{';
    asked.push_back(
        {{"json", text ? parse_json(json_schema, "--json-schema") : read_json_argument(json_schema)}});
  }
  if (json_object) asked.push_back({{"json_object", true}});
  if (!regex.empty()) asked.push_back({{"regex", regex}});
  if (!choices.empty()) asked.push_back({{"choice", choices}});
  require(asked.size() == 1, ErrorCode::kInvalidArgument,
          "[command line] an answer has one form, and {} are asked for", asked.size());
  const StructuredCompiler compiler(from.processor().tokenizer());
  install_structured(compiler.from_json(asked.front()), config, hooks);
  return hooks;
}

Engine RequestOptions::open(bool chats) const {
  EngineOptions options = engine;
  if (chats) {
    options.feature_cache_bytes = int64_t{256} << 20;
    options.prefix_cache_bytes = int64_t{1} << 30;
  }
  options.disk_cache_bytes = static_cast<int64_t>(disk_cache_gib * 1073741824.0);
  options.max_memory_bytes = static_cast<int64_t>(max_memory_gib * 1073741824.0);
  return Engine::open(model, options);
}

GenerationConfig RequestOptions::generation(const Engine& from, const Json* request) const {
  GenerationConfig config = from.default_settings();
  constexpr int64_t kNewTokens = 512;
  if (request != nullptr && request->contains("generate")) {
    config = GenerationConfig::from_json((*request)["generate"], config, request_file + ": generate");
  } else if (!config.max_new_tokens && !config.max_length) {
    config.max_new_tokens = kNewTokens;
  }
  Json typed = Json::object();
  for (const auto& [name, value] : settings) {
    const Json parsed = Json::parse(value, nullptr, false);
    typed[name] = parsed.is_discarded() ? Json(value) : parsed;
  }
  return GenerationConfig::from_json(typed, config, "command line");
}

Json RequestOptions::user_message(const std::string& text) const {
  Json content = Json::array();
  for (const std::string& path : images) content.push_back({{"type", "image"}, {"image", path}});
  for (const std::string& path : videos) content.push_back({{"type", "video"}, {"video", path}});
  content.push_back({{"type", "text"}, {"text", text}});
  return {{"role", "user"}, {"content", content}};
}

Json RequestOptions::messages() const {
  Json list = Json::array();
  if (!system.empty()) list.push_back({{"role", "system"}, {"content", system}});
  list.push_back(user_message(prompt));
  return list;
}

Json RequestOptions::clip_settings() const {
  Json clip = Json::object();
  const auto set = [&clip](const char* name, const auto& value) {
    if (value) clip[name] = *value;
  };
  set("fps", fps);
  set("num_frames", num_frames);
  set("min_frames", min_frames);
  set("max_frames", max_frames);
  set("start_time", start_time);
  set("end_time", end_time);
  set("rotate", rotate);
  set("pictures_rate", pictures_rate);
  if (!times.empty()) clip["times"] = times;
  return clip;
}

void RequestOptions::apply(ProcessorRequest& request) const {
  Json clip = clip_settings();
  if (skip_broken_frames) clip["skip_broken_frames"] = true;
  if (all_frames) clip["do_sample_frames"] = false;
  if (keep_all_tokens) clip["use_token_compression"] = false;
  request.videos.merge(clip, "command line");
  if (min_pixels) request.images.shortest_edge = *min_pixels;
  if (max_pixels) request.images.longest_edge = *max_pixels;
  request.backend = backend == "pil" ? ResizeBackend::kPil : ResizeBackend::kTorchvision;
  request.special_tokens_in_messages = request.special_tokens_in_messages || special_tokens_in_messages;
}

Json RequestOptions::media_settings() const {
  Json typed = {{"backend", backend}};
  typed.update(clip_settings());
  if (min_pixels) typed["min_pixels"] = *min_pixels;
  if (max_pixels) typed["max_pixels"] = *max_pixels;
  for (const auto& [name, on] :
       {std::pair("all_frames", all_frames), std::pair("skip_broken_frames", skip_broken_frames),
        std::pair("no_token_compression", keep_all_tokens),
        std::pair("reuse_static_frames", engine.reuse_static_frames),
        std::pair("special_tokens_in_messages", special_tokens_in_messages)}) {
    if (on) typed[name] = true;
  }
  return typed;
}

ProcessorRequest RequestOptions::make(const Engine& from, const Json& messages) const {
  ProcessorRequest request = from.processor().request_for(messages);
  sample_as_trained(request);
  apply(request);
  return request;
}

ProcessorRequest RequestOptions::parse(const Engine& from, const Json& json) const {
  ProcessorRequest request = from.processor().parse_request(json, request_file, {"generate", "structured"});
  sample_as_trained(request);
  apply(request);
  return request;
}

}  // namespace vl3::cli
