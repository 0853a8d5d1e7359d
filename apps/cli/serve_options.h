#pragma once
// The options of serve, on the command line and from the environment.

#include <cstdint>
#include <string>
#include <vector>

#include "answering_options.h"
#include "cli.h"
#include "http/server.h"
#include "serve/api.h"
#include "vl3/engine.h"

namespace vl3::cli {

struct ServeOptions : AnsweringOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::vector<std::string> api_keys, allowed_hosts;
  std::string api_key_file, tls_certificate, tls_key;

  int64_t max_queue = 512;
  uint64_t max_body_bytes = uint64_t{64} << 20;
  size_t max_connections = 1024;
  double deadline_s = 0, drain_timeout_s = 30;

  bool log_json = false, no_request_log = false;

  void add_to(CLI::App& command);
  // Keys of the file and those given directly; throws what reading them throws.
  std::vector<std::string> keys() const;
  http::ServerOptions http() const;
  serve::ApiOptions api(const Engine& engine) const;
};

}  // namespace vl3::cli
