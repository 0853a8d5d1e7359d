#pragma once
// Stage 8: from prompts to answers.

#include <vector>

#include "generate/decoder.h"
#include "vl3/generation.h"
#include "vl3/model.h"

namespace vl3 {

// The seed of settings, or a fresh one.
uint64_t seed_of(const GenerationConfig& settings);

// Answers of all prompts with one setting, each as if it were alone: num_return_sequences results per prompt,
// in order. Cancelling the context, or on_token returning false, ends sequences with kCancelled and what they
// have so far; nothing is thrown for it unless a prompt has no token yet: then kCancelled is. Throws
// kInvalidArgument for settings that do not fit each other or the vocabulary, and for a prompt without
// tokens.
std::vector<GenerationResult> generate(Context& context, CausalDecoder& decoder, std::vector<Prompt> prompts,
                                       const GenerationConfig& settings, const GenerationHooks& hooks = {},
                                       const Probe* probe = nullptr);

}  // namespace vl3
