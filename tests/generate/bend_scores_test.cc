// The hook that bends scores, under every strategy.

#include <algorithm>
#include <thread>

#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using test::ToyDecoder;

constexpr int64_t kVocab = 40;

// The same bias by a setting and by the hook: what comes after both (temperature, top-k) then sees the same.
TEST(BendScores, IsABiasWhereItAddsOne) {
  Context context(ContextOptions{.num_threads = 3});
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationHooks hooks;
  hooks.bend_scores = [](const ConstraintQuery&, std::span<float> scores) {
    ASSERT_EQ(scores.size(), static_cast<size_t>(kVocab));
    scores[11] += 4.0f;
    scores[9] -= 1.0f;
  };
  for (GenerationConfig settings : test::strategies()) {
    const auto free = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings);
    const auto bent = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings, hooks);
    settings.logit_bias = {{11, 4.0}, {9, -1.0}};
    const auto biased = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings);
    ASSERT_EQ(bent.size(), biased.size());
    bool differs = false;
    for (size_t i = 0; i < bent.size(); ++i) {
      EXPECT_EQ(bent[i].new_ids, biased[i].new_ids);
      differs = differs || bent[i].new_ids != free[i].new_ids;
    }
    EXPECT_TRUE(differs) << "a bias that changes nothing tests nothing";
  }
}

TEST(BendScores, ComesBehindPenalties) {
  Context context(ContextOptions{.num_threads = 1});
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationConfig settings;
  settings.max_new_tokens = 1;
  settings.suppress_tokens = {11};
  bool seen = false;
  GenerationHooks hooks;
  hooks.bend_scores = [&](const ConstraintQuery& query, std::span<float> scores) {
    seen = true;
    EXPECT_EQ(scores[11], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(std::vector<int64_t>(query.ids.begin(), query.ids.end()), (std::vector<int64_t>{3, 4}));
    EXPECT_TRUE(query.new_ids.empty());
    EXPECT_EQ(query.left, 1);
    std::fill(scores.begin(), scores.end(), -1.0f);
    scores[11] = 1.0f;  // the hook has the last word
  };
  const auto results = generate(context, decoder, test::prompts_of({{3, 4}}), settings, hooks);
  EXPECT_TRUE(seen);
  EXPECT_EQ(results[0].new_ids, std::vector<int64_t>{11});
}

// One call after the other, on the thread that steps, in the order of prompts and sequences.
TEST(BendScores, IsCalledInOrderOnOneThread) {
  Context context(ContextOptions{.num_threads = 4});
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationConfig settings;
  settings.max_new_tokens = 5;
  settings.do_sample = true;
  settings.num_return_sequences = 2;
  settings.seed = 1;
  std::vector<std::pair<int64_t, int64_t>> calls;
  GenerationHooks hooks;
  const auto here = std::this_thread::get_id();
  hooks.bend_scores = [&](const ConstraintQuery& query, std::span<float>) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    calls.emplace_back(query.prompt, query.sequence);
  };
  generate(context, decoder, test::prompts_of({{3}, {4}}), settings, hooks);
  const std::vector<std::pair<int64_t, int64_t>> round = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  ASSERT_EQ(calls.size(), 20u);
  for (size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(calls[i], round[i % 4]) << i;
}

TEST(BendScores, WhatItThrowsComesOut) {
  Context context(ContextOptions{.num_threads = 2});
  ToyDecoder decoder({.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100});
  GenerationHooks hooks;
  hooks.bend_scores = [](const ConstraintQuery& query, std::span<float>) {
    if (query.new_ids.size() == 3) throw Error(ErrorCode::kInvalidArgument, "[hook] no further");
  };
  for (const GenerationConfig& settings : test::strategies()) {
    try {
      generate(context, decoder, test::prompts_of({{3}}), settings, hooks);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "[hook] no further");
    }
  }
}

}  // namespace
}  // namespace vl3
