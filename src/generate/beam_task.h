#pragma once
// Beam search over one prompt. Reference: GenerationMixin._beam_search; the same candidates, sums in f32 and
// stopping rules, for one prompt instead of a batch (prompts of a batch do not influence each other's answers
// there either).

#include <memory>
#include <vector>

#include "generate/answer.h"
#include "generate/processors.h"
#include "generate/task.h"

namespace vl3 {

class BeamTask final : public Task {
 public:
  BeamTask(TaskSetup setup, Prompt prompt);

  bool done() const override { return done_; }
  void collect(std::vector<CausalDecoder::Feed>& feeds) override;
  void consume(const LogitRows& logits) override;
  void cancel() override;
  std::vector<GenerationResult> take() override;

 private:
  // An answer as far as it goes; shared, because several candidates continue the same one.
  struct Answer {
    std::vector<int64_t> new_ids;
    std::vector<TokenLogprob> logprobs;
    std::unique_ptr<AnswerText> text;  // null where no text is made
  };
  struct Beam {
    KvCache cache;
    std::vector<int64_t> last;  // the token to feed
    Answer answer;
    float score = 0;
  };
  // One of the best continuations of all beams.
  struct Candidate {
    size_t parent = 0;
    int64_t token = 0;
    float score = 0;  // sum of processed log-probabilities
    bool ends = false;
    std::unique_ptr<AnswerText> text;
  };
  struct Finished {
    Answer answer;
    float score = 0;
    bool complete = false;  // otherwise a place that has not been filled yet
    FinishReason reason = FinishReason::kLength;
  };

  void step(const LogitRows& logits, bool same_row);
  std::vector<float> accumulate(const LogitRows& logits, bool same_row) const;
  std::vector<int64_t> best_continuations(const std::vector<float>& scores) const;
  std::vector<Candidate> candidates(const std::vector<float>& scores) const;
  Answer extended(const Candidate& candidate, const LogitRows& logits, bool same_row) const;
  void update_finished(std::vector<Candidate>& found, const LogitRows& logits, bool same_row);
  void update_running(std::vector<Candidate>& found, const LogitRows& logits, bool same_row);
  void update_hope();
  float length_divisor(int64_t length) const;
  bool all_complete() const;
  GenerationResult result(Answer& answer, FinishReason reason, float score, int64_t place);
  void announce(const GenerationResult& result) const;

  TaskSetup setup_;
  StopRules rules_;
  ProcessorChain chain_;
  std::vector<int64_t> prompt_ids_;
  size_t num_beams_;
  std::vector<Beam> beams_;         // best first
  std::vector<Finished> finished_;  // best first, always num_beams of them
  bool hope_ = true;  // a running beam may still beat a finished answer; never true again once false
  bool done_ = false, cancelled_ = false;
  int64_t steps_ = 0;
};

}  // namespace vl3
