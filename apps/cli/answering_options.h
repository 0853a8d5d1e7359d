#pragma once
// What serve and batch have in common: the model under its names, where media may come from and who decodes
// them, and what memory is kept.

#include <string>
#include <utility>
#include <vector>

#include "cli.h"
#include "serve/api.h"
#include "serve/media_intake.h"
#include "serve/metrics.h"
#include "vl3/engine.h"

namespace vl3::cli {

struct AnsweringOptions {
  std::string model;
  std::vector<std::string> names;  // of the model, as requests name it; empty: its folder's
  ComputeOptions compute;
  std::string adapter;
  std::vector<std::string> adapters;  // "NAME=MODEL"

  std::string media_root;
  std::vector<std::string> media_addresses;
  bool no_sandbox = false;
  uint64_t max_image_bytes = uint64_t{64} << 20, max_video_bytes = uint64_t{1} << 30;

  int64_t max_running = 64;
  double kv_cache_gib = 0, cache_gib = 1;

  void add_model_and_adapters_to(CLI::App& command);
  void add_media_to(CLI::App& command);
  void add_memory_to(CLI::App& command);
  EngineOptions engine() const;
  serve::ApiOptions api(const Engine& opened) const;  // names, and the scheduler's limits
  // With decoding in other processes, unless told otherwise; metrics are told of it and must outlive it.
  serve::MediaIntakeOptions media(serve::Metrics& metrics) const;

 private:
  serve::ModelNames served() const;  // throws kInvalidArgument where requests could not tell them apart
};

}  // namespace vl3::cli
