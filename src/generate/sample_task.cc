#include "generate/sample_task.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "generate/sampler.h"

namespace vl3 {

SampleTask::SampleTask(TaskSetup setup, Prompt prompt)
    : setup_(std::move(setup)),
      rules_(setup_.settings, setup_.hooks, prompt.cache.length()),
      chain_(setup_.settings, rules_.tokens, setup_.vocab_size),
      prompt_length_(static_cast<int64_t>(prompt.ids.size())) {
  const int64_t count = setup_.settings.num_return_sequences;
  for (int64_t i = 0; i < count; ++i) {
    Sequence sequence;
    sequence.cache = i + 1 < count ? prompt.cache.fork() : std::move(prompt.cache);
    sequence.result.prompt = setup_.prompt;
    sequence.result.sequence = i;
    sequence.result.ids = prompt.ids;
    sequence.text = std::make_unique<AnswerText>(setup_.hooks, rules_);
    if (setup_.settings.prompt_lookup_num_tokens > 0) {
      sequence.lookup = std::make_unique<LookupGovernor>(setup_.settings.prompt_lookup_num_tokens,
                                                         setup_.settings.max_matching_ngram_size);
    }
    sequences_.push_back(std::move(sequence));
  }
  for (Sequence& sequence : sequences_)
    accept(sequence, choose(sequence, prompt.last_logits), prompt.last_logits);
}

bool SampleTask::done() const {
  return std::all_of(sequences_.begin(), sequences_.end(), [](const Sequence& s) { return s.done; });
}

void SampleTask::collect(std::vector<CausalDecoder::Feed>& feeds) {
  for (Sequence& sequence : sequences_) {
    if (sequence.done) continue;
    sequence.feed = {sequence.result.ids.back()};
    if (sequence.lookup) {
      // The step itself gives one token, so one less than what is left can be proposed.
      const int64_t room = rules_.limit - static_cast<int64_t>(sequence.result.new_ids.size()) - 1;
      const std::vector<int64_t> proposed = sequence.lookup->propose(sequence.result.ids, room);
      sequence.feed.insert(sequence.feed.end(), proposed.begin(), proposed.end());
    }
    feeds.push_back({&sequence.cache, sequence.feed, sequence.feed.size() > 1});
  }
}

void SampleTask::consume(const LogitRows& logits) {
  ++steps_;
  int64_t row = 0;
  for (Sequence& sequence : sequences_) {
    if (sequence.done) continue;
    const auto fed = static_cast<int64_t>(sequence.feed.size());
    verify(sequence, logits, row);
    row += fed;
  }
}

// Every row is used exactly as if its token had been fed alone; the first proposal that is not what was
// chosen ends the step.
void SampleTask::verify(Sequence& sequence, const LogitRows& logits, int64_t first_row) {
  const std::vector<int64_t>& feed = sequence.feed;
  const auto proposed = static_cast<int64_t>(feed.size()) - 1;
  int64_t right = 0;
  for (int64_t i = 0; i <= proposed; ++i) {
    const auto row = logits.row(first_row + i);
    const int64_t token = choose(sequence, row);
    const bool was_right = i < proposed && feed[static_cast<size_t>(i) + 1] == token;
    right += was_right ? 1 : 0;
    accept(sequence, token, row);
    if (!was_right || sequence.done) break;
  }
  if (proposed == 0) return;
  sequence.lookup->report(proposed, right);
  sequence.cache.truncate(sequence.cache.length() - (proposed - right));
}

int64_t SampleTask::choose(const Sequence& sequence, std::span<const float> logits) {
  scores_.assign(logits.begin(), logits.end());
  chain_.apply(sequence.result.ids, prompt_length_, scores_);
  if (!setup_.settings.samples()) return most_likely(scores_);
  return draw(scores_, uniform(setup_.seed, static_cast<uint32_t>(sequence.result.sequence),
                               static_cast<uint32_t>(sequence.result.new_ids.size()), 0));
}

bool SampleTask::ends(Sequence& sequence, int64_t token, std::string& piece) const {
  GenerationResult& result = sequence.result;
  if (rules_.is_stop_token(token)) {
    result.finish_reason = FinishReason::kStop;
    result.stop_token = token;
    result.stop_reason = rules_.name_of(token);
    return true;
  }
  piece = sequence.text->push(token);
  if (const std::string* stop = sequence.text->stop_string()) {
    result.finish_reason = FinishReason::kStop;
    result.stop_reason = *stop;
    return true;
  }
  result.finish_reason = FinishReason::kLength;
  return rules_.no_more(static_cast<int64_t>(result.new_ids.size()));
}

void SampleTask::accept(Sequence& sequence, int64_t token, std::span<const float> logits) {
  GenerationResult& result = sequence.result;
  result.ids.push_back(token);
  result.new_ids.push_back(token);
  if (setup_.settings.logprobs) {
    result.logprobs.push_back(token_logprob(logits, token, *setup_.settings.logprobs));
  }
  std::string piece;
  sequence.done = ends(sequence, token, piece);
  if (sequence.done) piece += sequence.text->finish();
  if (!setup_.hooks.on_token) return;
  StreamEvent event;
  event.prompt = setup_.prompt;
  event.sequence = result.sequence;
  event.index = static_cast<int64_t>(result.new_ids.size()) - 1;
  event.token = token;
  event.logprob = result.logprobs.empty() ? nullptr : &result.logprobs.back();
  event.text = piece;
  if (sequence.done) event.finish_reason = result.finish_reason;
  if (!setup_.hooks.on_token(event) && !sequence.done) {
    sequence.done = true;
    result.finish_reason = FinishReason::kCancelled;
    sequence.text->finish();
  }
}

void SampleTask::cancel() {
  for (Sequence& sequence : sequences_) {
    if (sequence.done) continue;
    sequence.done = true;
    sequence.result.finish_reason = FinishReason::kCancelled;
    sequence.text->finish();
  }
}

std::vector<GenerationResult> SampleTask::take() {
  GenerationStats stats{setup_.seed, steps_, 0, 0};
  for (const Sequence& sequence : sequences_) {
    if (!sequence.lookup) continue;
    stats.drafted_tokens += sequence.lookup->drafted();
    stats.accepted_tokens += sequence.lookup->accepted();
  }
  std::vector<GenerationResult> results;
  for (Sequence& sequence : sequences_) {
    sequence.result.text = sequence.text->text();
    sequence.result.stats = stats;
    results.push_back(std::move(sequence.result));
  }
  return results;
}

}  // namespace vl3
