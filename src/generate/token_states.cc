#include "generate/token_states.h"

#include <algorithm>

namespace vl3 {

using grammar::Matcher;

void TokenStates::make_room() {
  if (matcher_.bytes() <= kMaxBytes) return;
  matcher_.forget();
  masks_.clear();
  ++epoch_;
}

bool TokenStates::accepts(std::string_view text) {
  make_room();
  matcher_.allow_work(INT64_MAX);
  const int32_t state = matcher_.step(matcher_.start(), text);
  return state != Matcher::kDead && matcher_.accepts(state);
}

bool TokenStates::begins(std::string_view text) {
  make_room();
  matcher_.allow_work(INT64_MAX);
  return matcher_.step(matcher_.start(), text) != Matcher::kDead;
}

int32_t TokenStates::after(int32_t state, int64_t id, std::span<const int64_t> end_tokens) {
  if (std::find(end_tokens.begin(), end_tokens.end(), id) != end_tokens.end()) {
    if (state == kEnded) return kEnded;
    return state != Matcher::kDead && matcher_.accepts(state) ? kEnded : Matcher::kDead;
  }
  const std::string_view bytes = trie_.bytes(id);
  if (state < 0 || bytes.empty()) return Matcher::kDead;
  return matcher_.step(state, bytes);
}

int32_t TokenStates::state_of(const ConstraintQuery& query, std::span<const int64_t> end_tokens,
                              Answers& answers) {
  if (answers.epoch != epoch_) answers.list.clear();
  answers.epoch = epoch_;
  using Answer = Answers::Answer;
  Answer* best = nullptr;
  size_t shared = 0;
  for (Answer& answer : answers.list) {
    const auto ends =
        std::mismatch(answer.ids.begin(), answer.ids.end(), query.new_ids.begin(), query.new_ids.end());
    const auto same = static_cast<size_t>(ends.first - answer.ids.begin());
    const bool own = answer.prompt == query.prompt && answer.sequence == query.sequence;
    if (best == nullptr || same > shared || (same == shared && own)) {
      best = &answer;
      shared = same;
    }
  }
  // Going on with what is known to its end changes nothing for others; else a copy goes on.
  if (best == nullptr || shared < best->ids.size()) {
    Answer copy;
    copy.states.push_back(matcher_.start());
    if (best != nullptr) {
      copy.ids.assign(best->ids.begin(), best->ids.begin() + static_cast<ptrdiff_t>(shared));
      copy.states.assign(best->states.begin(), best->states.begin() + static_cast<ptrdiff_t>(shared) + 1);
    }
    if (answers.list.size() < kMaxAnswers) {
      best = &answers.list.emplace_back();
    } else {
      best = &*std::min_element(answers.list.begin(), answers.list.end(),
                                [](const Answer& a, const Answer& b) { return a.used < b.used; });
    }
    *best = std::move(copy);
  }
  best->prompt = query.prompt;
  best->sequence = query.sequence;
  best->used = ++answers.clock;
  for (size_t i = best->ids.size(); i < query.new_ids.size(); ++i) {
    const int32_t state = after(best->states.back(), query.new_ids[i], end_tokens);
    best->ids.push_back(query.new_ids[i]);
    best->states.push_back(state);
  }
  return best->states.back();
}

const TokenStates::Mask& TokenStates::mask_of(int32_t state) {
  const auto found = masks_.find(state);
  if (found != masks_.end()) {
    found->second.used = ++clock_;
    return found->second;
  }
  Mask made;
  made.words.assign(static_cast<size_t>((trie_.vocab_size() + 31) / 32), 0);
  made.most_after = trie_.allow(matcher_, state, made.words);
  made.used = ++clock_;
  if (masks_.size() >= kMaxMasks) {
    masks_.erase(std::min_element(masks_.begin(), masks_.end(), [](const auto& a, const auto& b) {
      return a.second.used < b.second.used;
    }));
  }
  return masks_.emplace(state, std::move(made)).first->second;
}

// The mask of a state is kept; only near the limit, where it lets in too much, a smaller one is made.
void TokenStates::allow_text(int32_t state, int64_t left, TokenMask mask) {
  const auto copy = [mask](const std::vector<uint32_t>& words) {
    std::copy_n(words.begin(), std::min(words.size(), mask.size()), mask.begin());
  };
  const Mask& all = mask_of(state);
  const int64_t shortest = matcher_.shortest(state);
  const int64_t most = left > shortest ? left - 2 : left - 1;  // with a token to end with, or without
  if (left < shortest || all.most_after <= most) return copy(all.words);
  std::vector<uint32_t> in_time(all.words.size(), 0);
  trie_.allow(matcher_, state, in_time, most);
  copy(in_time);
}

void TokenStates::allow(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers,
                        TokenMask mask) {
  make_room();
  const int64_t least = std::max<int64_t>(0, answers.work_left - kMaxWorkAtOnce);
  matcher_.allow_work(answers.work_left - least);
  find(query, end_tokens, answers, mask);
  answers.work_left = least + matcher_.work_left();
}

void TokenStates::find(const ConstraintQuery& query, std::span<const int64_t> end_tokens, Answers& answers,
                       TokenMask mask) {
  const int32_t state = state_of(query, end_tokens, answers);
  if (state == Matcher::kDead) return;
  const bool may_end = state == kEnded || matcher_.accepts(state);
  const auto set_ends = [&] {
    for (const int64_t id : end_tokens) {
      if (id < 0 || static_cast<uint64_t>(id) / 32 >= mask.size()) continue;
      const uint32_t bit = uint32_t{1} << (id % 32);
      uint32_t& word = mask[static_cast<size_t>(id / 32)];
      word = may_end ? word | bit : word & ~bit;
    }
  };
  const bool goes_on = state != kEnded && matcher_.goes_on(state);
  if (goes_on) allow_text(state, query.left, mask);
  set_ends();
  // Where the token of a byte ends answers, the byte cannot be written alone, and time may not suffice.
  const bool none = std::all_of(mask.begin(), mask.end(), [](uint32_t word) { return word == 0; });
  if (!goes_on || !none) return;
  allow_text(state, 0, mask);
  set_ends();
}

}  // namespace vl3
