#include "vl3/answer_request.h"

#include <nlohmann/json.hpp>

namespace vl3 {

AnswerRequest parse_answer_request(const Engine& engine, const Json& json, const std::string& origin,
                                   const std::vector<std::string>& others,
                                   const StructuredCompiler* compiler) {
  constexpr int64_t kNewTokens = 512;
  std::vector<std::string> beside = others;
  beside.emplace_back("generate");
  beside.emplace_back("structured");
  AnswerRequest parsed;
  parsed.request = engine.processor().parse_request(json, origin, beside);
  sample_as_trained(parsed.request);
  parsed.settings = engine.default_settings();
  if (json.is_object() && json.contains("generate"))
    parsed.settings = GenerationConfig::from_json(json["generate"], parsed.settings, origin + ": generate");
  if (!parsed.settings.max_new_tokens && !parsed.settings.max_length)
    parsed.settings.max_new_tokens = kNewTokens;
  if (json.is_object() && json.contains("structured")) {
    const StructuredCompiler used =
        compiler != nullptr ? *compiler : StructuredCompiler(engine.processor().tokenizer());
    install_structured(used.from_json(json["structured"], origin + ": structured"), parsed.settings,
                       parsed.hooks);
  }
  return parsed;
}

void install_structured(const StructuredOutput& form, const GenerationConfig& settings,
                        GenerationHooks& hooks) {
  std::vector<int64_t> ends = settings.eos_token_id;
  ends.insert(ends.end(), settings.stop_token_ids.begin(), settings.stop_token_ids.end());
  form.install(hooks, ends);
}

void sample_as_trained(ProcessorRequest& request) {
  if (request.sampling_told) return;
  if (!request.videos.fps && !request.videos.num_frames) request.videos.fps = 1.0;
  request.videos.do_sample_frames = true;
}

}  // namespace vl3
