#include "vl3/answer_request.h"

#include <nlohmann/json.hpp>

namespace vl3 {

AnswerRequest parse_answer_request(const Engine& engine, const Json& json, const std::string& origin,
                                   const std::vector<std::string>& others) {
  constexpr int64_t kNewTokens = 512;
  std::vector<std::string> beside = others;
  beside.emplace_back("generate");
  AnswerRequest parsed;
  parsed.request = engine.processor().parse_request(json, origin, beside);
  sample_as_trained(parsed.request);
  parsed.settings = engine.default_settings();
  if (json.is_object() && json.contains("generate"))
    parsed.settings = GenerationConfig::from_json(json["generate"], parsed.settings, origin + ": generate");
  if (!parsed.settings.max_new_tokens && !parsed.settings.max_length)
    parsed.settings.max_new_tokens = kNewTokens;
  return parsed;
}

void sample_as_trained(ProcessorRequest& request) {
  if (request.sampling_told) return;
  if (!request.videos.fps && !request.videos.num_frames) request.videos.fps = 1.0;
  request.videos.do_sample_frames = true;
}

}  // namespace vl3
