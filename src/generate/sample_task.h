#pragma once
// Greedy decoding and sampling, of one or several sequences to a prompt, with prompt lookup.

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "generate/answer.h"
#include "generate/processors.h"
#include "generate/prompt_lookup.h"
#include "generate/task.h"

namespace vl3 {

class SampleTask final : public Task {
 public:
  SampleTask(TaskSetup setup, const Prompt& prompt);

  void begin(KvCache prompt) override;
  bool begun() const override { return begun_; }
  bool done() const override;
  void collect(std::vector<CausalDecoder::Feed>& feeds, int64_t& catch_up_rows) override;
  void choose(const LogitRows& logits, std::vector<ChoiceWork>& work) override;
  void accept() override;
  void cancel() override;
  void drop_caches() override;
  int64_t blocks_after_step() const override;
  int64_t most_blocks() const override;
  int64_t new_tokens() const override;
  const KvCache* answered(std::span<const int64_t>& new_ids) const override;
  std::vector<GenerationResult> take() override;

 private:
  // A token for one row of logits, not part of the answer yet.
  struct Choice {
    int64_t token = 0;
    std::optional<TokenLogprob> logprob;
    std::exception_ptr failure;  // thrown when the answer comes to this row
  };
  struct Sequence {
    KvCache cache;              // of everything but the last token, when nothing has to be fed again
    std::vector<int64_t> feed;  // the last token and what is proposed to follow it; or what is fed again
    bool has_rows = false;      // the feed asked for logits
    std::vector<std::vector<uint32_t>> masks;  // of each row, where there is a constraint
    std::vector<Choice> choices;               // of each row, as far as proposals were right
    GenerationResult result;                   // ids and new_ids grow in it
    std::unique_ptr<AnswerText> text;
    std::unique_ptr<DraftLength> lookup;
    bool done = false;
  };

  void feed_again(Sequence& sequence, std::vector<CausalDecoder::Feed>& feeds, int64_t& catch_up_rows) const;
  void ask_constraint(Sequence& sequence) const;
  void choose_rows(Sequence& sequence, const LogitRows& logits, int64_t first_row,
                   std::vector<float>& scratch) const;
  ConstraintQuery query_of(Ids ids, int64_t sequence) const;
  std::function<void(Scores)> hooked(Ids ids, int64_t sequence) const;
  Choice choose_row(const Sequence& sequence, int64_t row, const LogitRows& logits, int64_t logits_row,
                    std::vector<float>& scratch) const;
  void accept_rows(Sequence& sequence);
  void accept_token(Sequence& sequence, Choice& choice);
  // Whether the answer ends with this token; piece is what may be shown with it.
  bool ends(Sequence& sequence, int64_t token, std::string& piece) const;

  TaskSetup setup_;
  StopRules rules_;
  ProcessorChain chain_;
  int64_t prompt_length_;  // of ids; none where embeddings were given alone
  int64_t prompt_tokens_;  // in the cache
  int64_t adapter_;
  std::vector<Sequence> sequences_;
  bool begun_ = false;
  int64_t steps_ = 0;
};

}  // namespace vl3
