#include "serve_options.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "serve/front.h"
#include "size_option.h"

namespace vl3::cli {
namespace {

constexpr int64_t kStepTokens = 512;
constexpr double kDay_s = 86400;
constexpr const char* kWhoMayAsk = "Who may ask";
constexpr const char* kLimits = "Limits";
constexpr const char* kLog = "Log";

// VIDEOLLAMA3_MAX_QUEUE of --max-queue: one for each of an option's names.
std::vector<std::string> variables_of(const CLI::Option& option) {
  std::vector<std::string> names = option.get_lnames();
  if (option.get_positional()) names = {option.get_name(true, false)};
  for (std::string& name : names) {
    std::string variable = "VIDEOLLAMA3_";
    for (const char c : name)
      variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    name = std::move(variable);
  }
  return names;
}

// An empty one would be passed over in silence, and the server be open, or without TLS.
void choose_variable(CLI::Option& option) {
  std::string set;
  for (const std::string& name : variables_of(option)) {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    require(*value != '\0', ErrorCode::kInvalidArgument, "[{}] is empty: it should have a value or be unset",
            name);
    require(set.empty(), ErrorCode::kInvalidArgument, "[{}] {} says the same: one of them should go", name,
            set);
    set = name;
  }
  if (!set.empty()) option.envname(set);
}

// Every option can come from the environment; the command line goes before it. Variables are looked at when
// the command is parsed: other commands have nothing to do with them.
void take_from_environment(CLI::App& command) {
  std::vector<CLI::Option*> options = command.get_options();
  std::erase(options, command.get_help_ptr());
  for (CLI::Option* option : options) option->envname(variables_of(*option).front());
  command.preparse_callback([options](size_t) {
    for (CLI::Option* option : options) choose_variable(*option);
  });
}

void add_addresses(CLI::App& command, ServeOptions& o) {
  command.add_option("--host", o.host, "address to listen on; 0.0.0.0: all of this machine")
      ->capture_default_str()
      ->group(kMostUsed);
  command.add_option("--port", o.port, "port to listen on; 0: one that is free")
      ->check(CLI::Range(0, 65535))
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

void add_limits(CLI::App& command, ServeOptions& o) {
  command.add_option("--max-queue", o.max_queue, "requests that wait; more are told to come later (429)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str()
      ->group(kLimits);
  command.add_option("--max-body", o.max_body_bytes, "longest request, bytes (64M)")
      ->transform(size_in_bytes(1, uint64_t{1} << 40))
      ->type_name("BYTES")
      ->capture_default_str()
      ->group(kLimits);
  command.add_option("--max-connections", o.max_connections, "connections that are open at once")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(kLimits);
  command.add_option("--deadline", o.deadline_s, "seconds after which a request is cut off; 0: none")
      ->check(number_from(0, kDay_s))
      ->capture_default_str()
      ->group(kLimits);
  command
      .add_option("--drain-timeout", o.drain_timeout_s,
                  "seconds that running answers have to end after SIGTERM or Ctrl-C")
      ->check(number_from(0, kDay_s))
      ->capture_default_str()
      ->group(kLimits);
}

}  // namespace

void ServeOptions::add_to(CLI::App& command) {
  add_model_and_adapters_to(command);
  add_addresses(command, *this);
  add_media_to(command);
  add_memory_to(command);
  add_limits(command, *this);
  put_under(command, kMostUsed, {"--threads"});
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

http::ServerOptions ServeOptions::http() const {
  require(!host.empty(), ErrorCode::kInvalidArgument, "[--host] is empty: 0.0.0.0 is all of this machine");
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
  serve::ApiOptions options = AnsweringOptions::api(opened);
  options.max_open = max_running + max_queue;
  // A long prompt is read in pieces between which a short question has its turn.
  options.scheduler.step_tokens = kStepTokens;
  if (deadline_s > 0) options.deadline_s = deadline_s;
  return options;
}

}  // namespace vl3::cli
