#pragma once
// Python's callables as the hooks of generation, and what tokens were chosen from as tensors.

#include <nanobind/nanobind.h>

#include <span>
#include <vector>

#include "vl3/generation.h"
#include "vl3/tensor.h"

namespace vl3::python {

// Each may be None. They are called with the interpreter's lock, on the thread that generates, and what they
// raise comes out of generate unchanged.
struct Callables {
  nanobind::handle on_token;     // (prompt, sequence, token) → whether to go on
  nanobind::handle bend_scores;  // (prompt, ids, scores [1, vocabulary]) → scores, the same or others
  nanobind::handle allowed;      // (prompt, ids) → the ids that may come next, or None for all
  nanobind::handle ends;         // (prompt, new_ids) → whether the answer ends behind them
};

// hooks and the callables as hooks, which must not outlive the callables' owner: it holds the lock when they
// are let go.
GenerationHooks hooks_of(GenerationHooks hooks, const Callables& callables);

// What the tokens of a batch were chosen from: for each step a tensor [B · n, vocabulary] f32, zeros in the
// rows of answers that had ended.
class StepScores {
 public:
  // answers: n, to each prompt.
  StepScores(int64_t prompts, int64_t answers, bool logits, bool scores);
  // hooks that fill this, which must outlive them.
  GenerationHooks watched_by(GenerationHooks hooks);
  // Of what came: rows beyond an answer's end become zeros.
  void cut(std::span<const GenerationResult> results);

  const std::vector<Tensor>& logits() const noexcept { return logits_; }
  const std::vector<Tensor>& scores() const noexcept { return scores_; }

 private:
  void put(std::vector<Tensor>& steps, const ConstraintQuery& query, std::span<const float> row) const;

  int64_t prompts_, answers_;
  bool with_logits_, with_scores_;
  std::vector<Tensor> logits_, scores_;
};

}  // namespace vl3::python
