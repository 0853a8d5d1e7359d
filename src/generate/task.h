#pragma once
// A prompt being answered. Tasks say what they want the model to compute next and take the logits; the loop
// runs all of them in common steps, so that a server can add and remove prompts between steps.

#include <functional>
#include <span>
#include <vector>

#include "generate/decoder.h"
#include "vl3/generation.h"

namespace vl3 {

// Consecutive rows of logits [rows, vocab].
struct LogitRows {
  const float* data = nullptr;
  int64_t vocab_size = 0;
  std::span<const float> row(int64_t index) const {
    return {data + index * vocab_size, static_cast<size_t>(vocab_size)};
  }
};

// What a task knows of its surroundings.
struct TaskSetup {
  int64_t prompt = 0;  // index, for results and events
  int64_t vocab_size = 0;
  uint64_t seed = 0;
  GenerationConfig settings;
  GenerationHooks hooks;
};

class Task {
 public:
  virtual ~Task() = default;

  virtual bool done() const = 0;
  // Appends what to feed next, nothing when done(). What the feeds point to stays as it is until consume or
  // cancel.
  virtual void collect(std::vector<CausalDecoder::Feed>& feeds) = 0;
  // The rows of the collected feeds, one feed behind the other.
  virtual void consume(const LogitRows& logits) = 0;
  // Ends what has not ended yet.
  virtual void cancel() = 0;
  // When done, once.
  virtual std::vector<GenerationResult> take() = 0;
};

}  // namespace vl3
