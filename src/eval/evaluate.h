#pragma once
// A model's answers to questions whose answers are known, and how many are right.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "eval/answers.h"
#include "eval/tasks.h"
#include "vl3/engine.h"

namespace vl3::eval {

struct EvalOptions {
  GenerationConfig generation;  // made greedy: one answer, without sampling and beams
  // Conversations answered at once. Up to 16, a decoding step adds in the order of one conversation alone
  // (docs/numerics.md); above, last bits may differ, and with them the choice between two tokens as likely.
  int64_t batch = 16;
  // A conversation as the model is asked it: pixels, clips, special tokens.
  std::function<ProcessorRequest(const Json& messages)> request;
  // Gives a request what its messages name by an address of the web; empty: such samples are refused.
  std::function<void(ProcessorRequest& request)> fetch;
  std::function<void(int64_t done, int64_t total)> progress;  // may be empty
};

// settings with one answer, without sampling and beams.
GenerationConfig greedy(GenerationConfig settings);

// Asks what the folder does not have yet, questions about the same picture or clip together, and writes every
// batch's answers as they come: {"reply", "score", "finish", "new_tokens", "seconds"}, seconds being the
// batch's divided by its size. A batch that does not fit into memory is halved. Every answer is the one that
// the question alone gets, if the engine keeps no prompts and batches are of 16 at most. Returns the summary,
// which is also written. Throws kCancelled, with the answers so far and their summary in the folder, where
// the context is cancelled; what the engine throws for a sample it cannot answer, with the sample's origin
// before it.
Json evaluate(Context& context, const Engine& engine, const EvalOptions& options,
              const std::vector<Sample>& samples, AnswerFolder& folder);

}  // namespace vl3::eval
