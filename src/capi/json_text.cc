#include "capi/json_text.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/json.h"
#include "capi/option_table.h"

namespace vl3::capi {
namespace {

constexpr int64_t kMost = INT64_MAX;

using OpenOption = Option<OpenOptions>;

template <class Member>
OpenOption bytes(const char* name, Member member) {
  return {name, [member](const JsonView& from, const char* key, OpenOptions& options) {
            member(options) = from.integer(key, member(options), 0, kMost);
          }};
}

// One of the words, and its place among them.
size_t word(const JsonView& from, const char* name, const std::vector<std::string_view>& words) {
  const std::string said = from.string(name, "");
  const auto found = std::find(words.begin(), words.end(), said);
  std::string all;
  for (const std::string_view each : words) all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", each);
  require(found != words.end(), ErrorCode::kInvalidArgument, "[{}] \"{}\" should be one of {}, not \"{}\"",
          from.origin(), name, all, said);
  return static_cast<size_t>(found - words.begin());
}

void read_limits(const JsonView& from, const char* name, OpenOptions& options) {
  const std::vector<OpenOption> table = {
      bytes("max_pixels", [](auto& o) -> int64_t& { return o.engine.limits.max_pixels; }),
      bytes("max_file_bytes", [](auto& o) -> int64_t& { return o.engine.limits.max_file_bytes; }),
      bytes("max_allocation_bytes", [](auto& o) -> int64_t& { return o.engine.limits.max_allocation_bytes; }),
      bytes("max_frames", [](auto& o) -> int64_t& { return o.engine.limits.max_frames; }),
      bytes("max_packet_bytes", [](auto& o) -> int64_t& { return o.engine.limits.max_packet_bytes; }),
      {"max_duration_s",
       [](const JsonView& view, const char* key, OpenOptions& o) {
         o.engine.limits.max_duration_s = view.number(key, o.engine.limits.max_duration_s);
         require(std::isfinite(o.engine.limits.max_duration_s) && o.engine.limits.max_duration_s >= 0,
                 ErrorCode::kInvalidArgument, "[{}] \"{}\" should be 0 or more, not {}", view.origin(), key,
                 o.engine.limits.max_duration_s);
       }},
  };
  read_all(from.child(name), table, options);
}

std::chrono::milliseconds seconds(const JsonView& from, const char* name) {
  constexpr double kMost_s = 1e6;
  const double value = from.number(name, 0);
  require(value > 0 && value <= kMost_s, ErrorCode::kInvalidArgument,
          "[{}] \"{}\" should be above 0 and at most {}, not {}", from.origin(), name, kMost_s, value);
  return std::chrono::milliseconds(std::llround(1000 * value));
}

using FetchOption = Option<MediaFetchOptions>;

FetchOption count(const char* name, uint64_t MediaFetchOptions::*member) {
  return {name, [member](const JsonView& from, const char* key, MediaFetchOptions& options) {
            options.*member = static_cast<uint64_t>(from.integer(key, 0, 1, kMost));
          }};
}

// true and false as well as an object.
void read_fetch(const JsonView& from, const char* name, OpenOptions& options) {
  const std::vector<FetchOption> table = {
      {"allow_addresses", [](const JsonView& view, const char* key,
                             MediaFetchOptions& o) { o.allow_addresses = texts(view, key); }},
      {"cache",
       [](const JsonView& view, const char* key, MediaFetchOptions& o) { o.cache = view.string(key, ""); }},
      count("cache_bytes", &MediaFetchOptions::cache_bytes),
      {"certificates", [](const JsonView& view, const char* key,
                          MediaFetchOptions& o) { o.certificates = view.string(key, ""); }},
      count("max_image_bytes", &MediaFetchOptions::max_image_bytes),
      count("max_video_bytes", &MediaFetchOptions::max_video_bytes),
      {"image_timeout_s", [](const JsonView& view, const char* key,
                             MediaFetchOptions& o) { o.image_timeout = seconds(view, key); }},
      {"video_timeout_s", [](const JsonView& view, const char* key, MediaFetchOptions& o) {
         o.video_timeout = seconds(view, key);
       }}};
  const Json& said = *from.find(name);
  if (said.is_boolean() && !said.get<bool>()) return;
  options.fetch.emplace();
  if (!said.is_boolean()) read_all(from.child(name), table, *options.fetch);
}

std::vector<OpenOption> options_table() {
  return {
      {"threads",
       [](const JsonView& from, const char* name, OpenOptions& o) {
         o.context.num_threads = static_cast<int>(from.integer(name, 0, 0, 1024));
       }},
      {"compute",
       [](const JsonView& from, const char* name, OpenOptions& o) {
         o.context.compute = word(from, name, {"auto", "f32"}) == 0 ? Compute::kAuto : Compute::kF32;
       }},
      {"cache",
       [](const JsonView& from, const char* name, OpenOptions& o) {
         o.context.cache = std::vector<CacheType>{CacheType::kF32, CacheType::kF16,
                                                  CacheType::kInt8}[word(from, name, {"f32", "f16", "int8"})];
       }},
      {"cpu",
       [](const JsonView& from, const char* name, OpenOptions& o) { o.context.cpu = from.string(name, ""); }},
      {"adapter", [](const JsonView& from, const char* name,
                     OpenOptions& o) { o.engine.adapter = from.string(name, ""); }},
      bytes("max_memory_bytes", [](auto& o) -> int64_t& { return o.engine.max_memory_bytes; }),
      bytes("feature_cache_bytes", [](auto& o) -> int64_t& { return o.engine.feature_cache_bytes; }),
      bytes("prefix_cache_bytes", [](auto& o) -> int64_t& { return o.engine.prefix_cache_bytes; }),
      {"disk_cache", [](const JsonView& from, const char* name,
                        OpenOptions& o) { o.engine.disk_cache = from.string(name, ""); }},
      bytes("disk_cache_bytes", [](auto& o) -> int64_t& { return o.engine.disk_cache_bytes; }),
      {"reuse_static_frames",
       [](const JsonView& from, const char* name, OpenOptions& o) {
         o.engine.reuse_static_frames = from.boolean(name, false);
       }},
      {"limits", read_limits},
      {"fetch", read_fetch},
  };
}

Json answer_json(const GenerationResult& result) {
  Json json = {{"conversation", result.prompt},
               {"sequence", result.sequence},
               {"text", result.text},
               {"finish_reason", to_string(result.finish_reason)},
               {"stop_reason", result.stop_reason.empty() ? Json() : Json(result.stop_reason)},
               {"stop_token", result.stop_token ? Json(*result.stop_token) : Json()},
               {"prompt_tokens", result.ids.size() - result.new_ids.size()},
               {"new_ids", result.new_ids},
               {"seed", result.stats.seed}};
  if (!result.logprobs.empty()) {
    Json list = Json::array();
    for (const TokenLogprob& token : result.logprobs)
      list.push_back({{"id", token.id}, {"logprob", token.logprob}, {"top", token.top}});
    json["logprobs"] = std::move(list);
  }
  if (result.sequence_score) json["sequence_score"] = *result.sequence_score;
  return json;
}

}  // namespace

OpenOptions parse_open_options(std::string_view text) { return parse_options(text, options_table()); }

std::string answers_text(const Answers& answers) {
  Json list = Json::array();
  for (const GenerationResult& result : answers.results) list.push_back(answer_json(result));
  return text_of({{"answers", std::move(list)},
                  {"videos", to_json(answers.inputs.videos.clips)},
                  {"timings",
                   {{"process_s", answers.timings.process_s},
                    {"first_token_s", answers.timings.first_token_s},
                    {"generate_s", answers.timings.generate_s}}}});
}

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace vl3::capi
