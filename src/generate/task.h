#pragma once
// A prompt being answered. A task says what it wants the model to compute next and takes the logits; the loop
// brings its prompt through the model and runs all tasks in common steps.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "generate/decoder.h"
#include "vl3/generation.h"

namespace vl3 {

// What a task knows of its surroundings.
struct TaskSetup {
  int64_t prompt = 0;  // index, for results and events
  int64_t vocab_size = 0;
  uint64_t seed = 0;
  GenerationConfig settings;
  GenerationHooks hooks;
};

// One sequence's share of choosing tokens; runs on any thread, beside others, and does not throw. scratch is
// the thread's own.
using ChoiceWork = std::function<void(std::vector<float>& scratch)>;

class Task {
 public:
  virtual ~Task() = default;

  // Its prompt's keys and values. The first time the prompt's last row of logits is offered next, and time
  // begins to run; after drop_caches what was answered by then is fed again by collect.
  virtual void begin(KvCache prompt) = 0;
  virtual bool begun() const = 0;  // has been given a prompt's logits
  virtual bool done() const = 0;

  // Appends what to feed next, nothing when done(). Of what has to be fed again at most catch_up_rows, which
  // are taken off. What the feeds point to stays as it is until accept, drop_caches or cancel.
  virtual void collect(std::vector<CausalDecoder::Feed>& feeds, int64_t& catch_up_rows) = 0;
  // The rows of the collected feeds, or of the prompt. Adds what is left to do on any thread; then accept.
  virtual void choose(const LogitRows& logits, std::vector<ChoiceWork>& work) = 0;
  // Tokens become part of the answers, events are told.
  virtual void accept() = 0;

  // Ends what has not ended yet.
  virtual void cancel() = 0;
  // Caches are let go, to be given again by begin.
  virtual void drop_caches() = 0;
  // Blocks of KvCache that it will hold after its next step, at most.
  virtual int64_t blocks_after_step() const = 0;
  // Most that it can ever hold.
  virtual int64_t most_blocks() const = 0;
  virtual int64_t new_tokens() const = 0;
  // The first sequence's cache and the answer's ids that it holds behind the prompt; null where there is
  // none.
  virtual const KvCache* answered(std::span<const int64_t>& new_ids) const = 0;

  // When done, once.
  virtual std::vector<GenerationResult> take() = 0;
};

}  // namespace vl3
