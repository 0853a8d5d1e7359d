#pragma once
// A whole request in one JSON object: messages, how pictures and clips are looked at, and the settings of
// generation. What request files of the program, the C interface and servers have in common.

#include <string>
#include <vector>

#include "vl3/engine.h"
#include "vl3/export.h"
#include "vl3/generation.h"
#include "vl3/json.h"
#include "vl3/processor.h"
#include "vl3/structured_output.h"

namespace vl3 {

struct AnswerRequest {
  ProcessorRequest request;
  GenerationConfig settings;
  GenerationHooks hooks;  // allowed, where the request says "structured"; the rest is the caller's
};

// Processor::parse_request, with "generate": {…} beside the rest for the settings of generation
// (docs/generation.md), over the checkpoint's own. Where neither says how many new tokens there may be, 512.
// "structured": {…} gives the answers' form (StructuredCompiler::from_json, docs/structured_output.md), made
// by compiler, or where that is null by one of its own.
// Clips are looked at as sample_as_trained has it. Keys in `others` are left to the caller. Throws what
// parse_request, GenerationConfig::from_json and StructuredCompiler throw; origin begins every message but
// the last one's.
VL3_API AnswerRequest parse_answer_request(const Engine& engine, const Json& json, const std::string& origin,
                                           const std::vector<std::string>& others = {},
                                           const StructuredCompiler* compiler = nullptr);

// hooks.allowed for answers of this form, which end with an end token of the settings.
VL3_API void install_structured(const StructuredOutput& form, const GenerationConfig& settings,
                                GenerationHooks& hooks);

// Clips are looked at as the model was trained, once a second, unless the request or the checkpoint says how
// often: by programs and the C interface alike.
VL3_API void sample_as_trained(ProcessorRequest& request);

}  // namespace vl3
