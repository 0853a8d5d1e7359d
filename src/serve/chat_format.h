#pragma once
// Answers as POST /v1/chat/completions gives them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "serve/answer_format.h"
#include "serve/request_fields.h"

namespace vl3::serve {

class ChatFormat final : public AnswerFormat {
 public:
  // id: "chatcmpl-…"; created: seconds since 1970; top_logprobs: none where log-probabilities were not asked
  // for.
  ChatFormat(std::string id, int64_t created, RequestFields fields, int64_t n, const Tokenizer& tokenizer,
             std::optional<int64_t> top_logprobs);

  Json whole(const AnswerOutcome& outcome) const override;
  void begin(std::string& out) override;
  void token(int64_t index, const StreamEvent& event, std::string& out) override;
  void progress(std::string_view stage, int64_t done, int64_t total, std::string& out) override;
  void finish(const AnswerOutcome& outcome, std::string& out) override;
  void fail(const ApiError& error, std::string& out) override;

 private:
  Json chunk() const;
  void append_choice(int64_t index, Json delta, Json logprobs, const Json& finish_reason,
                     const Json& stop_reason, std::string& out) const;

  const std::string id_;
  const int64_t created_;
  const RequestFields fields_;
  const int64_t n_;
  const Tokenizer tokenizer_;
  const std::optional<int64_t> top_logprobs_;
  std::vector<size_t> sent_;  // bytes of each choice
};

}  // namespace vl3::serve
