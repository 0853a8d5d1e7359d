#pragma once
// The options of serve, on the command line and from the environment.

#include <cstdint>
#include <string>
#include <vector>

#include "cli.h"
#include "http/server.h"
#include "serve/api.h"
#include "vl3/engine.h"

namespace vl3::cli {

struct ServeOptions {
  std::string model;
  std::vector<std::string> names;  // of the model, as requests name it; empty: its folder's
  ComputeOptions compute;

  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::vector<std::string> api_keys, allowed_hosts;
  std::string api_key_file, tls_certificate, tls_key;

  std::string media_root;
  std::vector<std::string> media_addresses;
  uint64_t max_image_bytes = uint64_t{64} << 20, max_video_bytes = uint64_t{1} << 30;

  int64_t max_queue = 512, max_running = 64;
  uint64_t max_body_bytes = uint64_t{64} << 20;
  size_t max_connections = 1024;
  double deadline_s = 0, drain_timeout_s = 30;

  std::string adapter;
  std::vector<std::string> adapters;  // "NAME=FOLDER"
  double kv_cache_gib = 0, cache_gib = 1;

  bool log_json = false, no_request_log = false;

  void add_to(CLI::App& command);
  // Keys of the file and those given directly; throws what reading them throws.
  std::vector<std::string> keys() const;
  std::vector<std::string> model_names() const;
  std::vector<std::string> adapter_names() const;
  EngineOptions engine() const;
  http::ServerOptions http() const;
  serve::ApiOptions api(const Engine& engine) const;
  serve::MediaIntakeOptions media() const;
};

}  // namespace vl3::cli
