#pragma once
// How a route shows an answer: whole, and as the events of a stream. What is written of a stream is appended
// to `out` as it goes to the client.

#include <string>
#include <string_view>

#include "serve/answer_outcome.h"
#include "serve/api_error.h"

namespace vl3::serve {

// Told on one thread at a time.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;

  virtual Json whole(const AnswerOutcome& outcome) const = 0;

  // The beginning of a stream, before anything else.
  virtual void begin(std::string& out) = 0;
  // A token of choice `index`; its text may be empty.
  virtual void token(int64_t index, const StreamEvent& event, std::string& out) = 0;
  // How far the work before the first token is; only where it was asked for.
  virtual void progress(std::string_view stage, int64_t done, int64_t total, std::string& out) = 0;
  // The end, with what the tokens' texts left out.
  virtual void finish(const AnswerOutcome& outcome, std::string& out) = 0;
  // An error behind what was sent; the end as well.
  virtual void fail(const ApiError& error, std::string& out) = 0;
};

}  // namespace vl3::serve
