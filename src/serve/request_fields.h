#pragma once
// The fields that all routes with a model have: which model, how the answer comes, how the request is queued.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "serve/field_reader.h"
#include "vl3/scheduler.h"

namespace vl3::serve {

// The model's names and those of its adapters: what "model" may be.
struct ModelNames {
  std::vector<std::string> names;     // of the model as it was opened; the first one is listed
  std::vector<std::string> adapters;  // in the order of EngineOptions::request_adapters

  struct Found {
    std::string name;
    int64_t adapter = -1;
  };
  // Without a name the model itself. Throws ApiError 404, "model_not_found".
  Found find(const std::optional<std::string>& name) const;
};

struct RequestFields {
  ModelNames::Found model;
  bool stream = false, include_usage = false, return_progress = false;
  bool media_report = false, timings = false;
  int priority = 0;                  // as the scheduler has it: higher goes first
  std::optional<double> deadline_s;  // of the request
  std::string cache_salt;
};

// client: whose priority counts only downwards, as long as it has a name.
RequestFields read_request_fields(const FieldReader& fields, const ModelNames& models,
                                  const std::string& client);

// The scheduler's options of a request; generation and hooks are left alone.
RequestOptions scheduling_of(const RequestFields& fields, const std::string& client,
                             std::optional<double> server_deadline_s);

}  // namespace vl3::serve
