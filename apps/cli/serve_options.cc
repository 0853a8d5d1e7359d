#include "serve_options.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>

#include "base/check.h"
#include "serve/front.h"

namespace vl3::cli {
namespace {

constexpr double kGiB = 1073741824.0;
constexpr const char* kWhoMayAsk = "Who may ask";
constexpr const char* kMedia = "Pictures and clips";
constexpr const char* kLimits = "Limits";
constexpr const char* kLog = "Log";

// "NAME=FOLDER" → both; throws kInvalidArgument.
std::pair<std::string, std::string> named_folder(const std::string& text) {
  const size_t sign = text.find('=');
  require(sign != std::string::npos && sign > 0 && sign + 1 < text.size(), ErrorCode::kInvalidArgument,
          "[--lora] \"{}\" is not NAME=FOLDER", text);
  return {text.substr(0, sign), text.substr(sign + 1)};
}

// --max-queue is VIDEOLLAMA3_MAX_QUEUE as well, and so with every option; the command line goes before it.
void take_from_environment(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option == command.get_help_ptr()) continue;
    std::string name = "VIDEOLLAMA3_";
    const std::string own =
        option->get_positional() ? option->get_name(true, false) : option->get_lnames().front();
    for (const char c : own)
      name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    option->envname(name);
  }
}

void add_addresses(CLI::App& command, ServeOptions& o) {
  command.add_option("--host", o.host, "address to listen on; 0.0.0.0: all of this machine")
      ->capture_default_str()
      ->group(kMostUsed);
  command.add_option("--port", o.port, "port to listen on; 0: one that is free")
      ->capture_default_str()
      ->group(kMostUsed);
  command
      .add_option("--api-key-file", o.api_key_file,
                  "file of the keys that clients must send, one a line; read again on SIGHUP")
      ->type_name("FILE")
      ->group(kMostUsed);
  command
      .add_option(
          "--api-key", o.api_keys,
          "such a key; other users of this machine see it, so better the file, or VIDEOLLAMA3_API_KEY")
      ->type_name("KEY")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kWhoMayAsk);
  command
      .add_option(
          "--allow-host", o.allowed_hosts,
          "name by which clients reach this server, as they send it in Host, when it is not that of this "
          "machine; *: any")
      ->type_name("NAME")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kWhoMayAsk);
  command
      .add_option("--tls-cert,--ssl-certfile,--ssl-cert-file", o.tls_certificate,
                  "certificate with its chain (PEM), for https alone; read again on SIGHUP")
      ->type_name("FILE")
      ->group(kWhoMayAsk);
  command.add_option("--tls-key,--ssl-keyfile,--ssl-key-file", o.tls_key, "its key (PEM)")
      ->type_name("FILE")
      ->group(kWhoMayAsk);
}

void add_media(CLI::App& command, ServeOptions& o) {
  command
      .add_option("--media-root", o.media_root,
                  "folder under which requests may name files (file:///…); without it none are read")
      ->type_name("FOLDER")
      ->group(kMostUsed);
  command
      .add_option("--allow-media-address", o.media_addresses,
                  "block of addresses (10.1.0.0/16) to download from beside the public ones")
      ->type_name("CIDR")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kMedia);
  command.add_option("--max-image", o.max_image_bytes, "largest picture that is downloaded, bytes (64M)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(kMedia);
  command.add_option("--max-video", o.max_video_bytes, "largest clip that is downloaded, bytes (1G)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(kMedia);
}

void add_limits(CLI::App& command, ServeOptions& o) {
  command.add_option("--max-running", o.max_running, "requests that are answered at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(kMostUsed);
  command.add_option("--max-queue", o.max_queue, "requests that wait; more are told to come later (429)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str()
      ->group(kLimits);
  command.add_option("--max-body", o.max_body_bytes, "longest request, bytes (64M)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(kLimits);
  command.add_option("--max-connections", o.max_connections, "connections that are open at once")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(kLimits);
  command.add_option("--deadline", o.deadline_s, "seconds after which a request is cut off; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(kLimits);
  command
      .add_option("--drain-timeout", o.drain_timeout_s,
                  "seconds that running answers have to end after SIGTERM or Ctrl-C")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(kLimits);
  command
      .add_option("--kv-cache", o.kv_cache_gib,
                  "GiB of keys and values of all running requests (default: half of the free memory)")
      ->check(CLI::PositiveNumber)
      ->group(kLimits);
  command
      .add_option("--cache-size", o.cache_gib,
                  "GiB of prompts, pictures and clips that are kept for later requests; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(kLimits);
}

}  // namespace

void ServeOptions::add_to(CLI::App& command) {
  add_model_to(command, model);
  add_addresses(command, *this);
  add_media(command, *this);
  add_limits(command, *this);
  compute.add_to(command, "auto");
  put_under(command, kMostUsed, {"--threads"});
  command.add_option("--model-name", names, "what requests call the model (default: the name of its folder)")
      ->type_name("NAME")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kModelAndMachine);
  add_adapter_to(command, adapter);
  command
      .add_option("--lora", adapters, "LoRA adapter of its own name, which requests may name as their model")
      ->type_name("NAME=FOLDER")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kModelAndMachine);
  command.add_flag("--log-json", log_json, "the log, on stderr, as JSON lines")->group(kLog);
  command.add_flag("--no-request-log", no_request_log, "no line for every request")->group(kLog);
  take_from_environment(command);
}

std::vector<std::string> ServeOptions::keys() const {
  std::vector<std::string> all = api_keys;
  if (!api_key_file.empty()) {
    for (std::string& key : serve::read_keys(api_key_file)) all.push_back(std::move(key));
  }
  return all;
}

std::vector<std::string> ServeOptions::model_names() const {
  if (!names.empty()) return names;
  const std::filesystem::path folder = std::filesystem::absolute(model).lexically_normal();
  const std::string name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  return {name.empty() ? "model" : name};
}

std::vector<std::string> ServeOptions::adapter_names() const {
  std::vector<std::string> list;
  for (const std::string& text : adapters) list.push_back(named_folder(text).first);
  return list;
}

EngineOptions ServeOptions::engine() const {
  EngineOptions options;
  options.adapter = adapter;
  for (const std::string& text : adapters)
    options.request_adapters.emplace_back(checkpoint_folder(named_folder(text).second));
  // Prompts take most of it: a picture's rows are few beside the keys and values of its tokens.
  options.prefix_cache_bytes = static_cast<int64_t>(cache_gib * kGiB * 0.75);
  options.feature_cache_bytes = static_cast<int64_t>(cache_gib * kGiB * 0.25);
  return options;
}

http::ServerOptions ServeOptions::http() const {
  http::ServerOptions options;
  options.host = host;
  options.port = port;
  options.tls_certificate = tls_certificate;
  options.tls_key = tls_key;
  options.max_body_bytes = max_body_bytes;
  options.max_connections = max_connections;
  options.every_reply = serve::careful_fields();
  return options;
}

serve::ApiOptions ServeOptions::api(const Engine& opened) const {
  serve::ApiOptions options;
  options.models = {model_names(), adapter_names()};
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
  options.max_open = max_running + max_queue;
  if (deadline_s > 0) options.deadline_s = deadline_s;
  return options;
}

serve::MediaIntakeOptions ServeOptions::media() const {
  serve::MediaIntakeOptions options;
  options.root = media_root;
  options.allow_addresses = media_addresses;
  options.max_image_bytes = max_image_bytes;
  options.max_video_bytes = max_video_bytes;
  return options;
}

}  // namespace vl3::cli
