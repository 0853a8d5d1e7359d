#pragma once
// How a request wants its answers made: the fields that chat, completions and responses have in common, under
// OpenAI's names and vLLM's, over the checkpoint's own settings.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "serve/field_reader.h"
#include "vl3/generation.h"
#include "vl3/tokenizer.h"

namespace vl3::serve {

inline constexpr int64_t kMostChoices = 16;

struct Sampling {
  // Of one prompt. num_return_sequences is best_of, but 1 where all would be the same.
  GenerationConfig settings;
  int64_t n = 1;                     // choices that are wanted
  int64_t best_of = 1;               // answers of which they are the best
  bool all_the_same = false;         // greedy: one answer serves for all choices
  bool include_stop = false;         // a stop string is part of the text
  bool skip_special = true;          // special tokens are no part of it
  std::vector<int64_t> allowed_ids;  // no others come; empty: all
  std::optional<int64_t> max_tokens;
};

// What requests are read against.
struct SamplingSource {
  const Tokenizer& tokenizer;
  const GenerationConfig& checkpoint;  // its settings
  int64_t vocab_size = 0;              // of the model
};

// max_tokens_keys: under which the limit may stand, the first goes before the others. least: the smallest.
Sampling read_sampling(const FieldReader& fields, const SamplingSource& source,
                       const std::vector<std::string_view>& max_tokens_keys, int64_t least = 1);

// A hook that allows these ids alone, and what `inner` (may be null) allows besides.
std::function<bool(const ConstraintQuery&, TokenMask)> allow_only(
    const std::vector<int64_t>& ids, std::function<bool(const ConstraintQuery&, TokenMask)> inner);

// Text with special tokens in it.
std::function<std::unique_ptr<TextStream>()> text_with_specials(const Tokenizer& tokenizer);

}  // namespace vl3::serve
