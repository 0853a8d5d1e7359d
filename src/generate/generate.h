#pragma once
// Stage 8: from prefilled prompts to answers.

#include <vector>

#include "generate/decoder.h"
#include "vl3/generation.h"

namespace vl3 {

// Answers of all prompts with one setting, each as if it were alone: num_return_sequences results per prompt,
// in order. Cancelling the context, or on_token returning false, ends sequences with kCancelled and what they
// have so far; nothing is thrown for it. Throws kInvalidArgument for settings that do not fit each other or
// the vocabulary.
std::vector<GenerationResult> generate(Context& context, CausalDecoder& decoder, std::vector<Prompt> prompts,
                                       const GenerationConfig& settings, const GenerationHooks& hooks = {});

}  // namespace vl3
