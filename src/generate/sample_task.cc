#include "generate/sample_task.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "generate/constraint.h"
#include "generate/sampler.h"
#include "ops/row_runs.h"

namespace vl3 {

SampleTask::SampleTask(TaskSetup setup, const Prompt& prompt)
    : setup_(std::move(setup)),
      rules_(setup_.settings, setup_.hooks, prompt.length()),
      chain_(setup_.settings, rules_.tokens, setup_.vocab_size),
      prompt_length_(static_cast<int64_t>(prompt.ids.size())),
      prompt_tokens_(prompt.length()),
      adapter_(prompt.adapter) {
  for (int64_t i = 0; i < setup_.settings.num_return_sequences; ++i) {
    Sequence sequence;
    sequence.result.prompt = setup_.prompt;
    sequence.result.sequence = i;
    sequence.result.ids = prompt.ids;
    sequence.text = std::make_unique<AnswerText>(setup_.hooks, rules_);
    if (setup_.settings.prompt_lookup_num_tokens > 0) {
      sequence.lookup = std::make_unique<DraftLength>(setup_.settings.prompt_lookup_num_tokens,
                                                      setup_.settings.max_matching_ngram_size);
    }
    sequences_.push_back(std::move(sequence));
  }
}

void SampleTask::begin(KvCache prompt) {
  Sequence* last = nullptr;  // takes the cache itself, the others forks of it
  for (Sequence& sequence : sequences_) {
    if (sequence.done) continue;
    if (last != nullptr) last->cache = prompt.fork();
    last = &sequence;
  }
  if (last != nullptr) last->cache = std::move(prompt);
  if (!begun_) rules_.start_clock(setup_.settings);
}

bool SampleTask::done() const {
  return std::all_of(sequences_.begin(), sequences_.end(), [](const Sequence& s) { return s.done; });
}

void SampleTask::collect(std::vector<CausalDecoder::Feed>& feeds, int64_t& catch_up_rows) {
  for (Sequence& sequence : sequences_) {
    sequence.has_rows = false;
    sequence.feed.clear();
    if (sequence.done) continue;
    const auto new_tokens = static_cast<int64_t>(sequence.result.new_ids.size());
    if (sequence.cache.length() < prompt_tokens_ + new_tokens - 1) {
      feed_again(sequence, feeds, catch_up_rows);
      continue;
    }
    sequence.feed = {sequence.result.ids.back()};
    if (sequence.lookup) {
      // The step itself gives one token, so one less than what is left can be proposed, and one less than
      // what has the bits of tokens that come one by one.
      const std::vector<int64_t> proposed = sequence.lookup->propose(
          sequence.result.ids, std::min(rules_.limit - new_tokens, ops::kFewRows) - 1);
      sequence.feed.insert(sequence.feed.end(), proposed.begin(), proposed.end());
    }
    sequence.has_rows = true;
    const auto want = sequence.feed.size() > 1 ? CausalDecoder::Want::kAll : CausalDecoder::Want::kLast;
    feeds.push_back({&sequence.cache, sequence.feed, {}, want, adapter_});
  }
}

// After drop_caches: the answer goes through the model once more, up to its last token, in feeds of few rows,
// as it came.
void SampleTask::feed_again(Sequence& sequence, std::vector<CausalDecoder::Feed>& feeds,
                            int64_t& catch_up_rows) const {
  const std::vector<int64_t>& answer = sequence.result.new_ids;
  const int64_t held = sequence.cache.length() - prompt_tokens_;
  const int64_t rows =
      std::min({catch_up_rows, static_cast<int64_t>(answer.size()) - 1 - held, ops::kFewRows});
  if (rows <= 0) return;
  catch_up_rows -= rows;
  sequence.feed.assign(answer.begin() + held, answer.begin() + held + rows);
  feeds.push_back({&sequence.cache, sequence.feed, {}, CausalDecoder::Want::kNone, adapter_});
}

void SampleTask::choose(const LogitRows& logits, std::vector<ChoiceWork>& work) {
  const bool first = !std::exchange(begun_, true);
  steps_ += first ? 0 : 1;
  int64_t row = 0;
  for (Sequence& sequence : sequences_) {
    sequence.choices.clear();
    if (sequence.done || (!first && !sequence.has_rows)) continue;
    if (first) sequence.feed.resize(1);  // all share the prompt's row
    ask_constraint(sequence);
    if (setup_.hooks.bend_scores || setup_.hooks.on_scores) {  // one row after the other, on this thread
      std::vector<float> scratch;
      choose_rows(sequence, logits, row, scratch);
    } else {
      work.push_back([this, &sequence, logits, row](std::vector<float>& scratch) {
        choose_rows(sequence, logits, row, scratch);
      });
    }
    if (!first) row += static_cast<int64_t>(sequence.feed.size());
  }
}

// What is allowed at every row, if the proposals before it are right; not beyond one that cannot be.
void SampleTask::ask_constraint(Sequence& sequence) const {
  sequence.masks.clear();
  if (!setup_.hooks.allowed) return;
  std::vector<int64_t>& ids = sequence.result.ids;
  const auto known = ids.size();
  const auto answer = known - static_cast<size_t>(prompt_length_);
  ids.insert(ids.end(), sequence.feed.begin() + 1, sequence.feed.end());
  for (size_t row = 0; row < sequence.feed.size(); ++row) {
    if (row > 0 && !allows(sequence.masks.back(), sequence.feed[row])) break;
    const auto history = std::span<const int64_t>(ids).first(known + row);
    const auto new_ids = history.last(answer + row);
    const int64_t left = rules_.limit - static_cast<int64_t>(new_ids.size());
    std::vector<uint32_t> mask;
    try {
      mask = allowed_tokens(setup_.hooks, {setup_.prompt, sequence.result.sequence, history, new_ids, left},
                            setup_.vocab_size);
    } catch (...) {
      ids.resize(known);
      if (row == 0) throw;
      return;  // a proposal that leads nowhere is not taken
    }
    sequence.masks.push_back(std::move(mask));
  }
  ids.resize(known);
}

// Every row is used exactly as if its token had been fed alone; the first proposal that is not what was
// chosen ends the step.
void SampleTask::choose_rows(Sequence& sequence, const LogitRows& logits, int64_t first_row,
                             std::vector<float>& scratch) const {
  std::vector<int64_t>& ids = sequence.result.ids;
  const auto known = ids.size();
  const auto proposed = static_cast<int64_t>(sequence.feed.size()) - 1;
  for (int64_t row = 0; row <= proposed; ++row) {
    if (row > 0) ids.push_back(sequence.feed[static_cast<size_t>(row)]);
    sequence.choices.push_back(choose_row(sequence, row, logits, first_row + row, scratch));
    const Choice& choice = sequence.choices.back();
    if (choice.failure || row == proposed || sequence.feed[static_cast<size_t>(row) + 1] != choice.token)
      break;
    // A right proposal beyond which the constraint could not say anything: the next step asks again.
    if (setup_.hooks.allowed && static_cast<size_t>(row) + 1 >= sequence.masks.size()) break;
  }
  ids.resize(known);
}

// What hooks are asked about behind these ids, prompt and answer.
ConstraintQuery SampleTask::query_of(Ids ids, int64_t sequence) const {
  const Ids new_ids = ids.subspan(static_cast<size_t>(prompt_length_));
  return {setup_.prompt, sequence, ids, new_ids, rules_.limit - static_cast<int64_t>(new_ids.size())};
}

// The hook that bends scores behind these ids; empty where there is none.
std::function<void(Scores)> SampleTask::hooked(Ids ids, int64_t sequence) const {
  if (!setup_.hooks.bend_scores) return {};
  return [this, query = query_of(ids, sequence)](Scores scores) { setup_.hooks.bend_scores(query, scores); };
}

SampleTask::Choice SampleTask::choose_row(const Sequence& sequence, int64_t row, const LogitRows& logits,
                                          int64_t logits_row, std::vector<float>& scratch) const {
  Choice choice;
  try {
    const std::vector<int64_t>& ids = sequence.result.ids;  // proposals up to this row included
    const bool random = setup_.settings.samples();
    const std::span<const uint32_t> mask =
        sequence.masks.empty() ? std::span<const uint32_t>() : sequence.masks[static_cast<size_t>(row)];
    const bool bends = !mask.empty() || setup_.hooks.bend_scores ||
                       chain_.bends(static_cast<int64_t>(ids.size()), prompt_length_);
    std::span<const float> chosen_from;
    if (!bends && !random) {
      choice.token = logits.argmax(logits_row);
      if (setup_.hooks.on_scores) chosen_from = logits.row(logits_row);
    } else {
      std::span<const float> scores = logits.row(logits_row);
      if (bends) {
        scratch.assign(scores.begin(), scores.end());
        ban_disallowed(mask, scratch);
        chain_.apply(ids, prompt_length_, scratch, hooked(ids, sequence.result.sequence));
        scores = scratch;
      }
      const auto step = static_cast<uint32_t>(static_cast<int64_t>(sequence.result.new_ids.size()) + row);
      choice.token =
          random
              ? draw(scores, uniform(setup_.seed, static_cast<uint32_t>(sequence.result.sequence), step, 0))
              : most_likely(scores);
      chosen_from = scores;
    }
    if (setup_.hooks.on_scores) {
      setup_.hooks.on_scores(query_of(ids, sequence.result.sequence), logits.row(logits_row), chosen_from);
    }
    if (setup_.settings.logprobs)
      choice.logprob = token_logprob(logits.row(logits_row), choice.token, *setup_.settings.logprobs);
  } catch (...) {
    choice.failure = std::current_exception();
  }
  return choice;
}

void SampleTask::accept() {
  for (Sequence& sequence : sequences_) {
    if (!sequence.done && !sequence.choices.empty()) accept_rows(sequence);
    // The first one's may go to the prefix cache when all are done.
    if (sequence.done && &sequence != sequences_.data()) sequence.cache = KvCache();
  }
}

void SampleTask::accept_rows(Sequence& sequence) {
  const auto proposed = static_cast<int64_t>(sequence.feed.size()) - 1;
  int64_t right = 0;
  for (size_t i = 0; i < sequence.choices.size(); ++i) {
    Choice& choice = sequence.choices[i];
    if (choice.failure) std::rethrow_exception(choice.failure);
    if (static_cast<int64_t>(i) < proposed && sequence.feed[i + 1] == choice.token) ++right;
    accept_token(sequence, choice);
    if (sequence.done) break;
  }
  sequence.choices.clear();
  if (proposed == 0) return;
  // A last right proposal that was not gone beyond is the token to feed next: it is not in the cache.
  const auto new_tokens = static_cast<int64_t>(sequence.result.new_ids.size());
  sequence.lookup->report(proposed, right);
  const int64_t length = std::min(sequence.cache.length(), prompt_tokens_ + new_tokens - 1);
  sequence.cache.truncate(length);
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
  if (setup_.hooks.ends && setup_.hooks.ends(query_of(result.ids, result.sequence))) {
    result.finish_reason = FinishReason::kStop;
    return true;
  }
  result.finish_reason = FinishReason::kLength;
  return rules_.no_more(static_cast<int64_t>(result.new_ids.size()));
}

void SampleTask::accept_token(Sequence& sequence, Choice& choice) {
  GenerationResult& result = sequence.result;
  result.ids.push_back(choice.token);
  result.new_ids.push_back(choice.token);
  if (choice.logprob) result.logprobs.push_back(std::move(*choice.logprob));
  std::string piece;
  sequence.done = ends(sequence, choice.token, piece);
  if (sequence.done) piece += sequence.text->finish();
  if (!setup_.hooks.on_token) return;
  StreamEvent event;
  event.prompt = setup_.prompt;
  event.sequence = result.sequence;
  event.index = static_cast<int64_t>(result.new_ids.size()) - 1;
  event.token = choice.token;
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

void SampleTask::drop_caches() {
  for (Sequence& sequence : sequences_) sequence.cache = KvCache();
}

// Whole blocks of the prompt are shared; every sequence has its own from there on.
int64_t SampleTask::blocks_after_step() const {
  const int64_t shared = prompt_tokens_ / KvCache::kBlockTokens;
  int64_t blocks = shared;
  for (const Sequence& sequence : sequences_) {
    int64_t tokens = sequence.cache.length();
    if (!sequence.done)
      tokens = prompt_tokens_ + static_cast<int64_t>(sequence.result.new_ids.size()) +
               (sequence.lookup ? setup_.settings.prompt_lookup_num_tokens : 0);
    blocks += std::max<int64_t>(0, KvPool::blocks_for(tokens) - shared);
  }
  return blocks;
}

int64_t SampleTask::most_blocks() const {
  const int64_t shared = prompt_tokens_ / KvCache::kBlockTokens;
  const int64_t most =
      KvPool::blocks_for(prompt_tokens_ + rules_.limit + setup_.settings.prompt_lookup_num_tokens);
  return shared + (most - shared) * static_cast<int64_t>(sequences_.size());
}

int64_t SampleTask::new_tokens() const {
  int64_t count = 0;
  for (const Sequence& sequence : sequences_) count += static_cast<int64_t>(sequence.result.new_ids.size());
  return count;
}

const KvCache* SampleTask::answered(std::span<const int64_t>& new_ids) const {
  const Sequence& first = sequences_.front();
  const int64_t held = first.cache.length() - prompt_tokens_;
  if (held < 0 || held > static_cast<int64_t>(first.result.new_ids.size())) return nullptr;
  new_ids = std::span<const int64_t>(first.result.new_ids).first(static_cast<size_t>(held));
  return &first.cache;
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
