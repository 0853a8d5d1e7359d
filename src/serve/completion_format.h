#pragma once
// Answers as POST /v1/completions gives them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "serve/answer_format.h"
#include "serve/request_fields.h"

namespace vl3::serve {

// A prompt as it is given back.
struct EchoedPrompt {
  std::string text;
  std::vector<TokenLogprob> logprobs;  // of its tokens but for the first, which has none; may be empty
  int64_t first = 0;                   // that one
};

struct CompletionShape {
  int64_t n = 1;                      // choices of each prompt
  std::optional<int64_t> logprobs;    // alternatives; none: no log-probabilities
  std::vector<EchoedPrompt> prompts;  // where they are echoed
};

class CompletionFormat final : public AnswerFormat {
 public:
  CompletionFormat(std::string id, int64_t created, RequestFields fields, const Tokenizer& tokenizer,
                   std::shared_ptr<const CompletionShape> shape);

  Json whole(const AnswerOutcome& outcome) const override;
  void begin(std::string& out) override;
  void token(int64_t index, const StreamEvent& event, std::string& out) override;
  void progress(std::string_view stage, int64_t done, int64_t total, std::string& out) override;
  void finish(const AnswerOutcome& outcome, std::string& out) override;
  void fail(const ApiError& error, std::string& out) override;

 private:
  struct Sent {
    size_t bytes = 0;        // of the answer's text
    int64_t characters = 0;  // of all text that was told of, the prompt's among it
    bool begun = false;
  };
  const EchoedPrompt* echoed(int64_t index) const;
  Sent& begin_choice(int64_t index, std::string& out);
  Json chunk() const;
  void append_choice(int64_t index, const std::string& text, Json logprobs, const Json& finish_reason,
                     const Json& stop_reason, std::string& out) const;
  Json logprobs_of(const std::vector<TokenLogprob>& tokens, const EchoedPrompt* prompt,
                   int64_t& characters) const;

  const std::string id_;
  const int64_t created_;
  const RequestFields fields_;
  const Tokenizer tokenizer_;
  const std::shared_ptr<const CompletionShape> shape_;  // its prompts are there when something is told
  std::map<int64_t, Sent> sent_;
};

// A token as the older form of log-probabilities names it: its text, or "bytes:\xe4\xbd" where it is a part
// of a character.
std::string token_name(const Tokenizer& tokenizer, int64_t id);

}  // namespace vl3::serve
