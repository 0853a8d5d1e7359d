#include "job_values.h"

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "engine/visual_tokens.h"
#include "runtime.h"
#include "values.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vl3::python {
namespace {

template <class T>
nb::list list_of(const std::vector<T>& values) {
  nb::list list;
  for (const T& value : values) list.append(nb::cast(value));
  return list;
}

nb::str text_of(const std::string& text) {
  // Text of a model is UTF-8 but for what a cut left of a character.
  return nb::steal<nb::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

nb::tuple logprob_of(const TokenLogprob& logprob) {
  nb::list top;
  for (const auto& [id, value] : logprob.top) top.append(nb::make_tuple(id, value));
  return nb::make_tuple(logprob.id, logprob.logprob, top);
}

[[noreturn]] void wrong(const std::string& key, const Json& value, const char* should) {
  fail(ErrorCode::kInvalidArgument, "[llm] \"{}\" is {}; it should be {}", key, value.dump(), should);
}

int64_t whole(const std::string& key, const Json& value, int64_t least) {
  if (!value.is_number_integer() || value.get<int64_t>() < least)
    wrong(key, value, least == 0 ? "an integer from 0 on" : "an integer above 0");
  return value.get<int64_t>();
}

int small(const std::string& key, const Json& value, int64_t least) {
  constexpr int64_t kMost = 4096;
  const int64_t number = whole(key, value, least);
  if (number > kMost) wrong(key, value, "at most 4096");
  return static_cast<int>(number);
}

std::string text(const std::string& key, const Json& value) {
  if (!value.is_string()) wrong(key, value, "a text");
  return value.get<std::string>();
}

bool flag(const std::string& key, const Json& value) {
  if (!value.is_boolean()) wrong(key, value, "True or False");
  return value.get<bool>();
}

std::vector<std::filesystem::path> folders(const std::string& key, const Json& value) {
  if (!value.is_array()) wrong(key, value, "a list of folders");
  std::vector<std::filesystem::path> paths;
  for (const Json& path : value) paths.emplace_back(text(key, path));
  return paths;
}

void set_limit(MediaLimits& limits, const std::string& key, const Json& value) {
  const std::map<std::string, int64_t MediaLimits::*> numbers = {
      {"max_pixels", &MediaLimits::max_pixels},
      {"max_file_bytes", &MediaLimits::max_file_bytes},
      {"max_allocation_bytes", &MediaLimits::max_allocation_bytes},
      {"max_frames", &MediaLimits::max_frames},
      {"max_packet_bytes", &MediaLimits::max_packet_bytes}};
  if (key == "max_duration_s") {
    if (!value.is_number() || !(value.get<double>() > 0)) wrong(key, value, "a number of seconds above 0");
    limits.max_duration_s = value.get<double>();
  } else if (const auto found = numbers.find(key); found != numbers.end()) {
    limits.*found->second = whole(key, value, 1);
  } else {
    fail(ErrorCode::kInvalidArgument,
         "[llm] there is no limit \"{}\": max_pixels, max_file_bytes, max_allocation_bytes, max_frames, "
         "max_duration_s, max_packet_bytes",
         key);
  }
}

void set_fetch_option(MediaFetchOptions& fetch, const std::string& key, const Json& value) {
  const auto seconds = [&] {
    if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > 1e6)
      wrong(key, value, "a number of seconds above 0");
    return std::chrono::milliseconds(static_cast<int64_t>(value.get<double>() * 1000));
  };
  if (key == "allow_addresses") {
    fetch.allow_addresses.clear();
    for (const auto& block : folders(key, value)) fetch.allow_addresses.push_back(block.string());
  } else if (key == "cache") {
    fetch.cache = text(key, value);
  } else if (key == "cache_size") {
    fetch.cache_bytes = static_cast<uint64_t>(whole(key, value, 1));
  } else if (key == "certificates") {
    fetch.certificates = text(key, value);
  } else if (key == "max_image_bytes") {
    fetch.max_image_bytes = static_cast<uint64_t>(whole(key, value, 1));
  } else if (key == "max_video_bytes") {
    fetch.max_video_bytes = static_cast<uint64_t>(whole(key, value, 1));
  } else if (key == "image_timeout") {
    fetch.image_timeout = seconds();
  } else if (key == "video_timeout") {
    fetch.video_timeout = seconds();
  } else {
    fail(ErrorCode::kInvalidArgument,
         "[llm] fetch has no \"{}\": allow_addresses, cache, cache_size, certificates, max_image_bytes, "
         "max_video_bytes, image_timeout, video_timeout",
         key);
  }
}

void set_fetch(std::optional<MediaFetchOptions>& fetch, const std::string& key, const Json& value) {
  if (value.is_boolean()) {
    if (value.get<bool>())
      fetch.emplace();
    else
      fetch.reset();
    return;
  }
  if (!value.is_object()) wrong(key, value, "True, False or a dict");
  fetch.emplace();
  for (const auto& [name, option] : value.items()) set_fetch_option(*fetch, name, option);
}

using Setter = std::function<void(DeskOptions&, const std::string&, const Json&)>;

std::map<std::string, Setter> setters() {
  return {
      {"adapter", [](auto& o, auto& k, auto& v) { o.engine.adapter = text(k, v); }},
      {"adapters", [](auto& o, auto& k, auto& v) { o.engine.request_adapters = folders(k, v); }},
      {"max_memory", [](auto& o, auto& k, auto& v) { o.engine.max_memory_bytes = whole(k, v, 0); }},
      {"feature_cache", [](auto& o, auto& k, auto& v) { o.engine.feature_cache_bytes = whole(k, v, 0); }},
      {"prefix_cache", [](auto& o, auto& k, auto& v) { o.engine.prefix_cache_bytes = whole(k, v, 0); }},
      {"disk_cache", [](auto& o, auto& k, auto& v) { o.engine.disk_cache = text(k, v); }},
      {"disk_cache_size", [](auto& o, auto& k, auto& v) { o.engine.disk_cache_bytes = whole(k, v, 1); }},
      {"reuse_static_frames", [](auto& o, auto& k, auto& v) { o.engine.reuse_static_frames = flag(k, v); }},
      {"limits",
       [](auto& o, auto& k, auto& v) {
         if (!v.is_object()) wrong(k, v, "a dict of limits");
         for (const auto& [name, limit] : v.items()) set_limit(o.engine.limits, name, limit);
       }},
      {"fetch", [](auto& o, auto& k, auto& v) { set_fetch(o.fetch, k, v); }},
      {"threads", [](auto& o, auto& k, auto& v) { o.context.num_threads = small(k, v, 0); }},
      {"compute", [](auto& o, auto& k, auto& v) { o.context.compute = compute_of(k, text(k, v)); }},
      {"cache_dtype", [](auto& o, auto& k, auto& v) { o.context.cache = cache_type_of(k, text(k, v)); }},
      {"cpu", [](auto& o, auto& k, auto& v) { o.context.cpu = text(k, v); }},
      {"device", [](auto& o, auto& k, auto& v) { o.context.device = text(k, v); }},
      {"max_running", [](auto& o, auto& k, auto& v) { o.scheduler.max_running = small(k, v, 1); }},
      {"max_queued", [](auto& o, auto& k, auto& v) { o.scheduler.max_queued = whole(k, v, 0); }},
      {"kv_cache", [](auto& o, auto& k, auto& v) { o.scheduler.kv_cache_bytes = whole(k, v, 0); }},
      {"step_tokens", [](auto& o, auto& k, auto& v) { o.scheduler.step_tokens = whole(k, v, 1); }},
      {"chunk_tokens", [](auto& o, auto& k, auto& v) { o.scheduler.chunk_tokens = whole(k, v, 1); }},
      {"media_threads", [](auto& o, auto& k, auto& v) { o.scheduler.processing_threads = small(k, v, 1); }},
  };
}

nb::list clips_of(const std::vector<ClipReport>& clips) {
  nb::list list;
  const Json json = to_json(clips);
  for (const Json& clip : json) list.append(to_python(clip));
  return list;
}

nb::list logprobs_of(const std::vector<TokenLogprob>& logprobs, const Tokenizer& tokenizer) {
  nb::list list;
  for (const TokenLogprob& logprob : logprobs) {
    nb::list top;
    for (const auto& [id, value] : logprob.top)
      top.append(nb::make_tuple(id, text_of(tokenizer.decode(std::vector<int64_t>{id})), value));
    list.append(nb::make_tuple(logprob.id, text_of(tokenizer.decode(std::vector<int64_t>{logprob.id})),
                               logprob.logprob, top));
  }
  return list;
}

nb::dict completion_of(const GenerationResult& result, bool deadline, const Tokenizer& tokenizer) {
  nb::dict made;
  made["text"] = text_of(result.text);
  made["token_ids"] = list_of(result.new_ids);
  made["finish_reason"] = deadline && result.finish_reason == FinishReason::kCancelled
                              ? "deadline"
                              : to_string(result.finish_reason);
  made["stop_reason"] = result.stop_reason.empty() ? nb::none() : nb::object(text_of(result.stop_reason));
  made["stop_token"] = result.stop_token ? nb::object(nb::int_(*result.stop_token)) : nb::none();
  made["logprobs"] =
      result.logprobs.empty() ? nb::none() : nb::object(logprobs_of(result.logprobs, tokenizer));
  made["score"] = result.sequence_score ? nb::object(nb::float_(*result.sequence_score)) : nb::none();
  return made;
}

nb::dict answer_of(const EndedRequest& ended, int64_t copies, const Tokenizer& tokenizer) {
  const Answers& answers = ended.answers;
  const bool deadline = ended.status.outcome == RequestOutcome::kDeadline;
  nb::dict made;
  nb::list outputs;
  int64_t new_tokens = 0;
  for (const GenerationResult& result : answers.results) {
    for (int64_t i = 0; i < copies; ++i) outputs.append(completion_of(result, deadline, tokenizer));
    new_tokens += copies * static_cast<int64_t>(result.new_ids.size());
  }
  made["outputs"] = outputs;
  std::vector<int64_t> prompt;
  if (!answers.results.empty()) {
    const GenerationResult& first = answers.results[0];
    prompt.assign(first.ids.begin(), first.ids.end() - static_cast<std::ptrdiff_t>(first.new_ids.size()));
    made["seed"] = first.stats.seed;
  }
  const VisualTokens visual = visual_tokens(answers.inputs);
  nb::dict usage;
  usage["prompt_tokens"] = prompt.size();
  usage["image_tokens"] = visual.pictures;
  usage["video_tokens"] = visual.clips;
  usage["cached_tokens"] = ended.status.cached_tokens;
  usage["completion_tokens"] = new_tokens;
  made["usage"] = usage;
  made["prompt_token_ids"] = list_of(prompt);
  made["clips"] = clips_of(answers.inputs.videos.clips);
  nb::dict timings;
  timings["process_s"] = answers.timings.process_s;
  timings["generate_s"] = answers.timings.generate_s;
  timings["first_token_s"] = answers.timings.first_token_s;
  made["timings"] = timings;
  return made;
}

nb::list vectors_of(const std::vector<JobVector>& vectors) {
  nb::list list;
  for (const JobVector& vector : vectors) {
    nb::dict made;
    made["values"] = nb::bytes(vector.values.data(), vector.values.size() * sizeof(float));
    made["kind"] = vector.media < 0 ? "prompt" : vector.clip ? "video" : "image";
    made["media"] = vector.media < 0 ? nb::none() : nb::object(nb::int_(vector.media));
    made["tokens"] = vector.tokens;
    made["frame"] = vector.frame ? nb::object(nb::int_(*vector.frame)) : nb::none();
    made["timestamp"] = vector.frame ? nb::object(nb::float_(vector.timestamp)) : nb::none();
    list.append(made);
  }
  return list;
}

// What was cut off before there was anything to give.
void throw_timeout(const JobOutcome& outcome) {
  if (outcome.answer.status.outcome != RequestOutcome::kDeadline) return;
  const std::string& message = outcome.answer.status.message;
  PyErr_SetString(PyExc_TimeoutError, message.empty() ? "[llm] the deadline has passed" : message.c_str());
  throw nb::python_error();
}

}  // namespace

void set_option(DeskOptions& options, const std::string& key, const Json& value) {
  const auto all = setters();
  const auto setter = all.find(key);
  require(setter != all.end(), ErrorCode::kInvalidArgument, "[llm] there is no option \"{}\"", key);
  setter->second(options, key, value);
}

nb::list to_python(const std::vector<JobEvent>& events) {
  nb::list list;
  for (const JobEvent& event : events) {
    const nb::object logprob = event.logprob ? nb::object(logprob_of(*event.logprob)) : nb::none();
    const nb::object reason =
        event.finish_reason ? nb::object(nb::str(to_string(*event.finish_reason))) : nb::none();
    list.append(
        nb::make_tuple(event.sequence, event.index, event.token, text_of(event.text), logprob, reason));
  }
  return list;
}

nb::dict to_python(const RequestStatus& status) {
  nb::dict made;
  made["state"] = to_string(status.state);
  made["ahead"] = status.ahead;
  made["frames_decoded"] = status.frames_decoded;
  made["frames"] = status.frames;
  made["patches_encoded"] = status.patches_encoded;
  made["patches"] = status.patches;
  made["tokens_prefilled"] = status.tokens_prefilled;
  made["prompt_tokens"] = status.prompt_tokens;
  made["cached_tokens"] = status.cached_tokens;
  made["new_tokens"] = status.new_tokens;
  made["preemptions"] = status.preemptions;
  return made;
}

nb::dict to_python(const SchedulerStats& stats) {
  nb::dict made;
  made["queued"] = stats.queued;
  made["processing"] = stats.processing;
  made["encoding"] = stats.encoding;
  made["prefilling"] = stats.prefilling;
  made["decoding"] = stats.decoding;
  made["finished"] = stats.finished;
  made["cancelled"] = stats.cancelled;
  made["failed"] = stats.failed;
  made["steps"] = stats.steps;
  made["prompt_tokens"] = stats.prompt_tokens;
  made["cached_tokens"] = stats.cached_tokens;
  made["new_tokens"] = stats.new_tokens;
  made["preemptions"] = stats.preemptions;
  return made;
}

nb::dict to_python(const CacheStats& stats) {
  nb::dict made;
  made["pictures"] = stats.pictures;
  made["asked_pictures"] = stats.asked_pictures;
  made["prompt_tokens"] = stats.prompt_tokens;
  made["bytes"] = stats.bytes;
  return made;
}

nb::dict to_python(JobOutcome outcome, int64_t copies, const Tokenizer& tokenizer) {
  if (outcome.failure) {
    throw_timeout(outcome);
    std::rethrow_exception(outcome.failure);
  }
  nb::dict made;
  if (!outcome.plan.is_null()) {
    made["plan"] = to_python(outcome.plan);
  } else if (!outcome.vectors.empty()) {
    made["vectors"] = vectors_of(outcome.vectors);
  } else {
    made = answer_of(outcome.answer, copies, tokenizer);
  }
  made["seconds"] = outcome.seconds;
  return made;
}

}  // namespace vl3::python
