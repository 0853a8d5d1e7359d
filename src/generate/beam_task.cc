#include "generate/beam_task.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "generate/constraint.h"
#include "generate/sampler.h"
#include "ops/row_runs.h"

namespace vl3 {
namespace {

constexpr float kNever = -1.0e9f;  // the reference's score of what must not be chosen

}  // namespace

BeamTask::BeamTask(TaskSetup setup, const Prompt& prompt)
    : setup_(std::move(setup)),
      rules_(setup_.settings, setup_.hooks, prompt.length()),
      chain_(setup_.settings, rules_.tokens, setup_.vocab_size),
      prompt_ids_(prompt.ids),
      prompt_tokens_(prompt.length()),
      adapter_(prompt.adapter),
      num_beams_(static_cast<size_t>(setup_.settings.num_beams)),
      finished_(num_beams_) {
  require(!setup_.hooks.on_scores, ErrorCode::kUnsupported,
          "[settings] num_beams is {}, and the scores of each token are not told of beams",
          setup_.settings.num_beams);
  for (size_t i = 0; i < num_beams_; ++i) {
    Beam beam;
    // All begin with the same prompt: only the first one's continuations count in the first step.
    beam.score = i == 0 ? 0.0f : kNever;
    if (setup_.hooks.make_text) beam.answer.text = std::make_unique<AnswerText>(setup_.hooks, rules_);
    beams_.push_back(std::move(beam));
    finished_[i].score = kNever;
  }
}

void BeamTask::begin(KvCache prompt) {
  for (size_t i = 0; i + 1 < num_beams_; ++i) beams_[i].cache = prompt.fork();
  beams_.back().cache = std::move(prompt);
  if (!begun_) rules_.start_clock(setup_.settings);
}

// Beams step together: those that are whole again after drop_caches wait for the others.
void BeamTask::collect(std::vector<CausalDecoder::Feed>& feeds, int64_t& catch_up_rows) {
  has_rows_ = false;
  if (done_) return;
  bool whole = true;
  for (Beam& beam : beams_) {
    beam.feed.clear();
    const std::vector<int64_t>& answer = beam.answer.new_ids;
    const int64_t missing = static_cast<int64_t>(answer.size()) - 1 - held(beam);
    if (missing <= 0) continue;
    whole = false;
    const int64_t rows = std::min({catch_up_rows, missing, ops::kFewRows});  // as they came
    if (rows <= 0) continue;
    catch_up_rows -= rows;
    beam.feed.assign(answer.begin() + held(beam), answer.begin() + held(beam) + rows);
    feeds.push_back({&beam.cache, beam.feed, {}, CausalDecoder::Want::kNone, adapter_});
  }
  if (!whole) return;
  has_rows_ = true;
  for (Beam& beam : beams_) {
    beam.feed = {beam.answer.new_ids.back()};
    feeds.push_back({&beam.cache, beam.feed, {}, CausalDecoder::Want::kLast, adapter_});
  }
}

std::vector<int64_t> BeamTask::history(const Beam& beam) const {
  std::vector<int64_t> ids = prompt_ids_;
  ids.insert(ids.end(), beam.answer.new_ids.begin(), beam.answer.new_ids.end());
  return ids;
}

void BeamTask::choose(const LogitRows& logits, std::vector<ChoiceWork>& work) {
  first_step_ = !std::exchange(begun_, true);
  if (first_step_) has_rows_ = true;
  if (!has_rows_) return;
  steps_ += first_step_ ? 0 : 1;
  logits_ = logits;
  masks_.assign(num_beams_, {});
  for (size_t b = 0; b < num_beams_ && setup_.hooks.allowed; ++b) {
    const std::vector<int64_t> ids = history(beams_[b]);
    const auto answer = std::span(ids).subspan(prompt_ids_.size());
    const int64_t left = rules_.limit - static_cast<int64_t>(answer.size());
    masks_[b] = allowed_tokens(setup_.hooks, {setup_.prompt, 0, ids, answer, left}, setup_.vocab_size);
  }
  scores_.resize(num_beams_ * static_cast<size_t>(setup_.vocab_size));
  failures_.assign(num_beams_, nullptr);
  for (size_t b = 0; b < num_beams_; ++b) {
    const auto score = [this, b](std::vector<float>&) {
      try {
        accumulate(b);
      } catch (...) {
        failures_[b] = std::current_exception();
      }
    };
    if (setup_.hooks.bend_scores) {  // one row after the other, on this thread
      std::vector<float> unused;
      score(unused);
    } else {
      work.push_back(score);
    }
  }
}

void BeamTask::accept() {
  if (!has_rows_) return;
  for (const std::exception_ptr& failure : failures_) {
    if (failure) std::rethrow_exception(failure);
  }
  std::vector<Candidate> found = candidates();
  const bool dead_end = std::all_of(found.begin(), found.end(), [](const Candidate& c) { return c.ends; });
  update_finished(found);
  update_running(found);
  update_can_improve();
  const bool full = setup_.settings.early_stopping == EarlyStopping::kTrue && all_complete();
  done_ = !can_improve_ || full || dead_end;
  logits_ = {};
  has_rows_ = false;
}

// Summed scores of every continuation of a beam.
void BeamTask::accumulate(size_t beam) {
  const auto vocab = static_cast<size_t>(setup_.vocab_size);
  const Scores row(scores_.data() + beam * vocab, vocab);
  const auto source = logits_.row(row_of(beam));
  most_likely(source);  // refuses rows that hold no numbers
  std::copy(source.begin(), source.end(), row.begin());
  log_softmax(row);
  ban_disallowed(masks_[beam], row);
  const std::vector<int64_t> ids = history(beams_[beam]);
  std::function<void(Scores)> hook;
  if (setup_.hooks.bend_scores) {
    const Ids new_ids = Ids(ids).subspan(prompt_ids_.size());
    const int64_t left = rules_.limit - static_cast<int64_t>(new_ids.size());
    hook = [&, new_ids, left](Scores scores) {
      setup_.hooks.bend_scores({setup_.prompt, 0, ids, new_ids, left}, scores);
    };
  }
  chain_.apply(ids, static_cast<int64_t>(prompt_ids_.size()), row, hook);
  for (float& score : row) score += beams_[beam].score;
}

// Enough of them that num_beams can go on even if all others end. Drawn without replacement where asked for:
// the largest of score + Gumbel noise are such a draw, in its order.
std::vector<int64_t> BeamTask::best_continuations() const {
  const auto count =
      std::max<int64_t>(2, 1 + static_cast<int64_t>(rules_.tokens.size())) * static_cast<int64_t>(num_beams_);
  if (!setup_.settings.samples()) return top_indices(scores_, count);
  std::vector<float> noisy(scores_.size());
  const auto drawn_step = static_cast<uint32_t>(beams_[0].answer.new_ids.size());
  for (size_t i = 0; i < scores_.size(); ++i) {
    noisy[i] = scores_[i];
    if (std::isinf(scores_[i])) continue;
    const double noise = -std::log(-std::log(uniform(setup_.seed, 0, drawn_step, static_cast<uint32_t>(i))));
    noisy[i] = static_cast<float>(scores_[i] + noise);
  }
  return top_indices(noisy, count);
}

// Whether a candidate ends for another reason than its length; its text, where there is one, has its token.
bool BeamTask::stops(const Candidate& candidate) const {
  if (rules_.is_stop_token(candidate.token)) return true;
  if (candidate.text && candidate.text->stop_string() != nullptr) return true;
  if (!setup_.hooks.ends) return false;
  std::vector<int64_t> ids = history(beams_[candidate.parent]);
  ids.push_back(candidate.token);
  const Ids new_ids = Ids(ids).subspan(prompt_ids_.size());
  return setup_.hooks.ends(
      {setup_.prompt, 0, ids, new_ids, rules_.limit - static_cast<int64_t>(new_ids.size())});
}

std::vector<BeamTask::Candidate> BeamTask::candidates() const {
  const auto length = static_cast<int64_t>(beams_[0].answer.new_ids.size()) + 1;
  const bool no_more = rules_.no_more(length);
  std::vector<Candidate> found;
  for (const int64_t index : best_continuations()) {
    Candidate candidate;
    candidate.parent = static_cast<size_t>(index / setup_.vocab_size);
    candidate.token = index % setup_.vocab_size;
    candidate.score = scores_[static_cast<size_t>(index)];
    const auto& text = beams_[candidate.parent].answer.text;
    if (text) {
      candidate.text = std::make_unique<AnswerText>(text->clone());
      if (!rules_.is_stop_token(candidate.token)) candidate.text->push(candidate.token);
    }
    candidate.stopped = stops(candidate);
    candidate.ends = no_more || candidate.stopped;
    found.push_back(std::move(candidate));
  }
  return found;
}

BeamTask::Answer BeamTask::extended(const Candidate& candidate) const {
  const Answer& parent = beams_[candidate.parent].answer;
  Answer answer{parent.new_ids, parent.logprobs, nullptr};
  answer.new_ids.push_back(candidate.token);
  if (setup_.settings.logprobs) {
    const auto row = logits_.row(row_of(candidate.parent));
    answer.logprobs.push_back(token_logprob(row, candidate.token, *setup_.settings.logprobs));
  }
  if (candidate.text) answer.text = std::make_unique<AnswerText>(candidate.text->clone());
  return answer;
}

float BeamTask::length_divisor(int64_t length) const {
  return static_cast<float>(std::pow(static_cast<double>(length), setup_.settings.length_penalty));
}

bool BeamTask::all_complete() const {
  return std::all_of(finished_.begin(), finished_.end(), [](const Finished& f) { return f.complete; });
}

// The best num_beams of the answers finished before and the candidates that end now. Only the first num_beams
// candidates may finish; the others are there in case the first ones all end.
void BeamTask::update_finished(std::vector<Candidate>& found) {
  const float divisor = length_divisor(static_cast<int64_t>(beams_[0].answer.new_ids.size()) + 1);
  const bool closed = setup_.settings.early_stopping == EarlyStopping::kTrue && all_complete();
  std::vector<float> scores;
  for (const Finished& old : finished_) scores.push_back(old.score);
  for (size_t i = 0; i < found.size(); ++i) {
    float score = found[i].score / divisor;
    if (closed) score += kNever;
    if (!can_improve_) score += kNever;
    if (!found[i].ends || i >= num_beams_) score += kNever;
    scores.push_back(score);
  }
  std::vector<Finished> kept;
  for (const int64_t place : top_indices(scores, static_cast<int64_t>(num_beams_))) {
    const auto index = static_cast<size_t>(place);
    if (index < num_beams_) {
      kept.push_back(std::move(finished_[index]));
      continue;
    }
    const Candidate& candidate = found[index - num_beams_];
    Finished fresh;
    fresh.score = scores[index];
    fresh.complete = candidate.ends && index - num_beams_ < num_beams_;
    if (fresh.complete) {
      fresh.answer = extended(candidate);
      fresh.reason = candidate.stopped ? FinishReason::kStop : FinishReason::kLength;
    }
    kept.push_back(std::move(fresh));
  }
  finished_ = std::move(kept);
}

// The best candidates that do not end. A parent's cache goes to its last child and is forked for the others.
void BeamTask::update_running(std::vector<Candidate>& found) {
  std::vector<float> scores;
  for (const Candidate& candidate : found)
    scores.push_back(candidate.score + (candidate.ends ? kNever : 0.0f));
  const std::vector<int64_t> chosen = top_indices(scores, static_cast<int64_t>(num_beams_));
  std::vector<size_t> children(num_beams_, 0);
  for (const int64_t place : chosen) ++children[found[static_cast<size_t>(place)].parent];
  std::vector<Beam> next;
  for (const int64_t place : chosen) {
    const Candidate& candidate = found[static_cast<size_t>(place)];
    Beam& parent = beams_[candidate.parent];
    Beam beam;
    beam.cache = --children[candidate.parent] == 0 ? std::move(parent.cache) : parent.cache.fork();
    beam.answer = extended(candidate);
    beam.score = scores[static_cast<size_t>(place)];
    next.push_back(std::move(beam));
  }
  beams_ = std::move(next);
}

// Whether the best running beam could still come before the worst finished answer.
void BeamTask::update_can_improve() {
  const GenerationConfig& settings = setup_.settings;
  const bool longest = settings.early_stopping == EarlyStopping::kNever && settings.length_penalty > 0.0;
  const int64_t length = longest ? rules_.limit : static_cast<int64_t>(beams_[0].answer.new_ids.size());
  const float best = beams_[0].score / length_divisor(length);
  float worst = finished_[0].score;
  for (const Finished& entry : finished_) worst = std::min(worst, entry.score);
  const bool better = std::any_of(finished_.begin(), finished_.end(),
                                  [&](const Finished& f) { return best > (f.complete ? worst : kNever); });
  can_improve_ = can_improve_ && better;
}

void BeamTask::drop_caches() {
  for (Beam& beam : beams_) beam.cache = KvCache();
}

// As SampleTask counts: what beams have in common behind the prompt is counted for each.
int64_t BeamTask::blocks_after_step() const {
  const int64_t shared = prompt_tokens_ / KvCache::kBlockTokens;
  int64_t blocks = shared;
  for (const Beam& beam : beams_)
    blocks += KvPool::blocks_for(prompt_tokens_ + static_cast<int64_t>(beam.answer.new_ids.size())) - shared;
  return blocks;
}

int64_t BeamTask::most_blocks() const {
  const int64_t shared = prompt_tokens_ / KvCache::kBlockTokens;
  return shared +
         (KvPool::blocks_for(prompt_tokens_ + rules_.limit) - shared) * static_cast<int64_t>(num_beams_);
}

int64_t BeamTask::new_tokens() const {
  return static_cast<int64_t>(beams_[0].answer.new_ids.size()) * setup_.settings.num_return_sequences;
}

void BeamTask::cancel() {
  if (done_) return;
  done_ = cancelled_ = true;
}

GenerationResult BeamTask::result(Answer& answer, FinishReason reason, float score, int64_t place) {
  GenerationResult made;
  made.prompt = setup_.prompt;
  made.sequence = place;
  made.ids = prompt_ids_;
  made.ids.insert(made.ids.end(), answer.new_ids.begin(), answer.new_ids.end());
  made.new_ids = std::move(answer.new_ids);
  made.logprobs = std::move(answer.logprobs);
  made.finish_reason = reason;
  made.sequence_score = score;
  made.stats = {setup_.seed, steps_, 0, 0};
  if (reason == FinishReason::kStop && !made.new_ids.empty() && rules_.is_stop_token(made.new_ids.back())) {
    made.stop_token = made.new_ids.back();
    made.stop_reason = rules_.name_of(*made.stop_token);
  }
  if (answer.text) {
    if (const std::string* stop = answer.text->stop_string()) made.stop_reason = *stop;
    answer.text->finish();
    made.text = answer.text->text();
  }
  return made;
}

void BeamTask::announce(const GenerationResult& result) const {
  if (!setup_.hooks.on_token) return;
  for (size_t i = 0; i < result.new_ids.size(); ++i) {
    const bool last = i + 1 == result.new_ids.size();
    StreamEvent event;
    event.prompt = result.prompt;
    event.sequence = result.sequence;
    event.index = static_cast<int64_t>(i);
    event.token = result.new_ids[i];
    event.logprob = result.logprobs.empty() ? nullptr : &result.logprobs[i];
    if (last) event.text = result.text, event.finish_reason = result.finish_reason;
    if (!setup_.hooks.on_token(event)) return;
  }
}

std::vector<GenerationResult> BeamTask::take() {
  std::vector<GenerationResult> results;
  size_t running = 0;
  const auto wanted = static_cast<size_t>(setup_.settings.num_return_sequences);
  for (size_t i = 0; i < wanted; ++i) {
    Finished& entry = finished_[i];
    const auto place = static_cast<int64_t>(i);
    if (entry.complete || !cancelled_) {
      results.push_back(result(entry.answer, entry.reason, entry.score, place));
    } else {  // cut off: what was under way stands in for what was not finished
      Beam& beam = beams_[running++];
      const float score = beam.score / length_divisor(static_cast<int64_t>(beam.answer.new_ids.size()));
      results.push_back(result(beam.answer, FinishReason::kCancelled, score, place));
    }
  }
  for (const GenerationResult& made : results) announce(made);
  return results;
}

}  // namespace vl3
