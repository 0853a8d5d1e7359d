#include "serve/request_fields.h"

#include <fmt/format.h>

#include <algorithm>

namespace vl3::serve {

ModelNames::Found ModelNames::find(const std::optional<std::string>& name) const {
  if (!name) return {names[0], -1};
  if (std::find(names.begin(), names.end(), *name) != names.end()) return {*name, -1};
  const auto adapter = std::find(adapters.begin(), adapters.end(), *name);
  if (adapter != adapters.end()) return {*name, adapter - adapters.begin()};
  throw ApiError(404, "model_not_found",
                 fmt::format("There is no model {}; /v1/models lists those that there are.", shown(*name)),
                 "model");
}

RequestFields read_request_fields(const FieldReader& fields, const ModelNames& models,
                                  const std::string& client) {
  RequestFields read;
  read.model = models.find(fields.text("model"));
  read.stream = fields.boolean("stream").value_or(false);
  if (const auto options = fields.object("stream_options")) {
    if (!read.stream) refuse("stream_options", "\"stream_options\" goes with \"stream\": true alone.");
    read.include_usage = options->boolean("include_usage").value_or(false);
    if (options->boolean("continuous_usage_stats").value_or(false))
      refuse(
          options->param_of("continuous_usage_stats"),
          "\"stream_options.continuous_usage_stats\" is not done here: \"include_usage\" gives the usage at "
          "the end of a stream.",
          "unsupported");
  }
  read.return_progress = fields.boolean("return_progress").value_or(false);
  read.media_report = fields.boolean("media_report").value_or(false);
  read.timings =
      fields.boolean("timings").value_or(false) || fields.boolean("timings_per_token").value_or(false);
  constexpr int64_t kMost = 1000;
  // vLLM's: the lower value goes first.
  const auto priority = static_cast<int>(-fields.integer("priority", -kMost, kMost).value_or(0));
  read.priority = client.empty() ? priority : std::min(priority, 0);
  constexpr double kDay_s = 86400;
  read.deadline_s = fields.number("deadline_s", 0, kDay_s, true);
  if (const auto salt = fields.text("cache_salt")) {
    constexpr size_t kMostBytes = 256;
    if (salt->empty() || salt->size() > kMostBytes)
      fields.wrong("cache_salt", fmt::format("a text of 1 to {} bytes", kMostBytes));
    read.cache_salt = *salt;
  }
  return read;
}

RequestOptions scheduling_of(const RequestFields& fields, const std::string& client,
                             std::optional<double> server_deadline_s) {
  RequestOptions options;
  options.client = client;
  options.priority = fields.priority;
  options.deadline_s = fields.deadline_s;
  if (server_deadline_s)
    options.deadline_s = std::min(options.deadline_s.value_or(*server_deadline_s), *server_deadline_s);
  options.adapter = fields.model.adapter;
  options.cut_to_context = true;
  // A client's name has no line end in it.
  if (!client.empty() || !fields.cache_salt.empty()) options.cache_salt = client + "\n" + fields.cache_salt;
  return options;
}

}  // namespace vl3::serve
