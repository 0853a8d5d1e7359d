#pragma once
// Beam search over one prompt. Reference: GenerationMixin._beam_search; the same candidates, sums in f32 and
// stopping rules, for one prompt instead of a batch (prompts of a batch do not influence each other's answers
// there either).

#include <exception>
#include <memory>
#include <vector>

#include "generate/answer.h"
#include "generate/processors.h"
#include "generate/task.h"

namespace vl3 {

class BeamTask final : public Task {
 public:
  BeamTask(TaskSetup setup, const Prompt& prompt);

  void begin(KvCache prompt) override;
  bool begun() const override { return begun_; }
  bool done() const override { return done_; }
  void collect(std::vector<CausalDecoder::Feed>& feeds, int64_t& catch_up_rows) override;
  void choose(const LogitRows& logits, std::vector<ChoiceWork>& work) override;
  void accept() override;
  void cancel() override;
  void drop_caches() override;
  int64_t blocks_after_step() const override;
  int64_t most_blocks() const override;
  int64_t new_tokens() const override;
  const KvCache* answered(std::span<const int64_t>&) const override { return nullptr; }
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
    std::vector<int64_t> feed;  // its last token, or what is fed again
    Answer answer;
    float score = 0;
  };
  // One of the best continuations of all beams.
  struct Candidate {
    size_t parent = 0;
    int64_t token = 0;
    float score = 0;  // sum of processed log-probabilities
    bool ends = false;
    bool stopped = false;  // and not by its length
    std::unique_ptr<AnswerText> text;
  };
  struct Finished {
    Answer answer;
    float score = 0;
    bool complete = false;  // otherwise a place that has not been filled yet
    FinishReason reason = FinishReason::kLength;
  };

  // Rows of the step by beam; all share the prompt's in the first one.
  int64_t row_of(size_t beam) const { return first_step_ ? 0 : static_cast<int64_t>(beam); }
  int64_t held(const Beam& beam) const { return beam.cache.length() - prompt_tokens_; }
  std::vector<int64_t> history(const Beam& beam) const;
  void accumulate(size_t beam);
  std::vector<int64_t> best_continuations() const;
  bool stops(const Candidate& candidate) const;
  std::vector<Candidate> candidates() const;
  Answer extended(const Candidate& candidate) const;
  void update_finished(std::vector<Candidate>& found);
  void update_running(std::vector<Candidate>& found);
  void update_can_improve();
  float length_divisor(int64_t length) const;
  bool all_complete() const;
  GenerationResult result(Answer& answer, FinishReason reason, float score, int64_t place);
  void announce(const GenerationResult& result) const;

  TaskSetup setup_;
  StopRules rules_;
  ProcessorChain chain_;
  std::vector<int64_t> prompt_ids_;
  int64_t prompt_tokens_;  // in the cache
  int64_t adapter_;
  size_t num_beams_;
  std::vector<Beam> beams_;         // best first
  std::vector<Finished> finished_;  // best first, always num_beams of them
  bool can_improve_ = true;  // a running beam may still beat a finished answer; never true again once false
  bool begun_ = false, done_ = false, cancelled_ = false;

  // Of the step between choose and accept.
  LogitRows logits_;
  std::vector<std::vector<uint32_t>> masks_;  // of each beam, where there is a constraint
  std::vector<float> scores_;                 // [beams · vocab] summed scores of every continuation
  std::vector<std::exception_ptr> failures_;  // of each beam
  bool first_step_ = false, has_rows_ = false;
  int64_t steps_ = 0;
};

}  // namespace vl3
