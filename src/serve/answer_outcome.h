#pragma once
// What an answer came to, whatever route asked for it: choices, usage, times, and what was looked at.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine_thread.h"
#include "serve/sampling_fields.h"

namespace vl3::serve {

struct Choice {
  int64_t index = 0;
  std::string text;
  GenerationResult result;
  std::string finish_reason;  // "stop", "length", "abort"
  Json stop_reason;           // the stop string or token of the request that ended it; null for others
};

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  int64_t cached_tokens = 0, image_tokens = 0, video_tokens = 0;  // of prompt_tokens
  int64_t whole_video_tokens = 0;                                 // before compression
  int64_t total_tokens() const noexcept { return prompt_tokens + completion_tokens; }
  Json to_json() const;  // as chat and completions have it
};

// By now_s(), base/clock.h.
struct AnswerTimes {
  double received_s = 0, submitted_s = 0, first_token_s = 0, done_s = 0;
};

struct AnswerOutcome {
  std::vector<Choice> choices;  // by index
  Usage usage;
  Json media_report;  // null where there is none
  Json timings;       // likewise
  double encode_s = 0;
};

// status and answers: of a request that did not fail. The choices of prompt p are p·n to p·n + n - 1.
// visual_ids: what stands for visual tokens in prompts. Cached tokens are counted up to the first of them:
// the usage of a picture is the same whenever it is asked about.
AnswerOutcome outcome_of(const RequestStatus& status, Answers answers, const Sampling& sampling,
                         const AnswerTimes& times, std::span<const int64_t> visual_ids);

// {"images": [{"tokens", "grid"}…], "videos": [{"frames_indices", "timestamps", "kept", "grid", "masks",
// …}…]}
Json media_report_of(const ProcessorOutput& inputs);
// llama.cpp's names, in milliseconds, and what came before: fetching and waiting.
Json timings_of(const RequestStatus& status, const Timings& engine, const AnswerTimes& times);

// {"token", "logprob", "bytes"}, without alternatives.
Json token_json(const Tokenizer& tokenizer, int64_t id, double logprob);
// An entry of "content" of chat's logprobs.
Json chat_logprob(const Tokenizer& tokenizer, const TokenLogprob& token, int64_t top);

// An event of a stream: one line.
void append_event(const Json& event, std::string& out);

}  // namespace vl3::serve
