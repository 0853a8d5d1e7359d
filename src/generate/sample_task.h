#pragma once
// Greedy decoding and sampling, of one or several sequences to a prompt, with prompt lookup.

#include <memory>
#include <vector>

#include "generate/answer.h"
#include "generate/processors.h"
#include "generate/prompt_lookup.h"
#include "generate/task.h"

namespace vl3 {

class SampleTask final : public Task {
 public:
  // Takes the first token of every sequence out of the prompt's logits.
  SampleTask(TaskSetup setup, Prompt prompt);

  bool done() const override;
  void collect(std::vector<CausalDecoder::Feed>& feeds) override;
  void consume(const LogitRows& logits) override;
  void cancel() override;
  std::vector<GenerationResult> take() override;

 private:
  struct Sequence {
    KvCache cache;              // of everything but the last token
    std::vector<int64_t> feed;  // the last token and what is proposed to follow it
    GenerationResult result;    // ids and new_ids grow in it
    std::unique_ptr<AnswerText> text;
    std::unique_ptr<LookupGovernor> lookup;
    bool done = false;
  };

  int64_t choose(const Sequence& sequence, std::span<const float> logits);
  void accept(Sequence& sequence, int64_t token, std::span<const float> logits);
  // Whether the answer ends with this token; piece is what may be shown with it.
  bool ends(Sequence& sequence, int64_t token, std::string& piece) const;
  void verify(Sequence& sequence, const LogitRows& logits, int64_t first_row);

  TaskSetup setup_;
  StopRules rules_;
  ProcessorChain chain_;
  int64_t prompt_length_;
  std::vector<Sequence> sequences_;
  std::vector<float> scores_;  // scratch, [vocab]
  int64_t steps_ = 0;
};

}  // namespace vl3
