#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"
#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using test::ToyDecoder;

// The known answers that the authors of Philox publish with it (Random123, kat_vectors).
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Sampler, DrawsFollowTheSoftmax) {
  const std::vector<float> scores = {0.5f, -1.0f, 2.0f, -std::numeric_limits<float>::infinity(),
                                     1.0f, 0.0f,  1.7f};
  double total = 0;
  for (const float score : scores) total += std::exp(score);
  constexpr int kDraws = 200000;
  std::vector<int> counts(scores.size());
  for (uint32_t i = 0; i < kDraws; ++i)
    ++counts[static_cast<size_t>(draw(scores, uniform(7, i % 5, i / 5, 0)))];
  EXPECT_EQ(counts[3], 0);
  double chi_square = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isinf(scores[i])) continue;
    const double expected = kDraws * std::exp(scores[i]) / total;
    chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 15.09);  // 99 % quantile for 5 degrees of freedom
  std::printf("chi-square %.2f with 5 degrees of freedom, seed 7\n", chi_square);
}

TEST(Sampler, ExtremesOfTheDraw) {
  const std::vector<float> scores = {1.0f, 2.0f, 3.0f};
  EXPECT_EQ(draw(scores, 1e-12), 0);
  EXPECT_EQ(draw(scores, 1 - 1e-12), 2);
}

TEST(Sampler, TiesAndNonsense) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(most_likely(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(top_indices(std::vector<float>{1, 3, 3, 2}, 3), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_THROW(most_likely(std::vector<float>{-inf, -inf}), Error);
  EXPECT_THROW(most_likely(std::vector<float>{0, std::nanf("")}), Error);
  EXPECT_THROW(draw(std::vector<float>{-inf}, 0.5), Error);
}

TEST(Sampler, LogProbabilities) {
  const std::vector<float> logits = {0.0f, std::log(2.0f), std::log(5.0f)};
  const TokenLogprob made = token_logprob(logits, 0, 2);
  EXPECT_NEAR(made.logprob, std::log(1.0 / 8), 1e-6);
  ASSERT_EQ(made.top.size(), 2u);
  EXPECT_EQ(made.top[0].first, 2);
  EXPECT_NEAR(made.top[0].second, std::log(5.0 / 8), 1e-6);
  EXPECT_EQ(made.top[1].first, 1);
  EXPECT_TRUE(token_logprob(logits, 1, 0).top.empty());
}

GenerationConfig sampling(uint64_t seed, int64_t count) {
  GenerationConfig config;
  config.do_sample = true;
  config.seed = seed;
  config.num_return_sequences = count;
  config.max_new_tokens = 30;
  config.temperature = 1.2;
  config.top_p = 0.95;
  return config;
}

TEST(Sampling, SameSeedSameTokensOtherSeedOthers) {
  Context context;
  ToyDecoder decoder({});
  const auto run = [&](uint64_t seed) {
    return test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6, 7}}), sampling(seed, 4)));
  };
  const auto first = run(1);
  EXPECT_EQ(first, run(1));
  EXPECT_NE(first, run(2));
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), 4u);  // sequences differ among each other
}

TEST(Sampling, TemperatureZeroIsGreedyWhateverElseIsSet) {
  Context context;
  for (const int64_t beams : {1, 3}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      ToyDecoder decoder({.seed = seed});
      GenerationConfig greedy;
      greedy.max_new_tokens = 30;
      greedy.num_beams = beams;
      greedy.repetition_penalty = 1.1;
      const auto ids = [&](const GenerationConfig& config) {
        return test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6, 7}}), config));
      };
      const auto wanted = ids(greedy);
      GenerationConfig zero = greedy;
      zero.temperature = 0;
      EXPECT_EQ(ids(zero), wanted);
      zero.do_sample = true;
      zero.top_k = -1;
      zero.top_p = 0.5;
      zero.min_p = 0.1;
      zero.typical_p = 0.5;
      EXPECT_EQ(ids(zero), wanted) << "seed " << seed << ", " << beams << " beams";
    }
  }
}

TEST(Sampling, NoTopKKeepsEveryToken) {
  Context context;
  ToyDecoder decoder({});
  GenerationConfig config = sampling(4, 3);
  const auto ids = [&](int64_t top_k) {
    config.top_k = top_k;
    return test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6}}), config));
  };
  EXPECT_EQ(ids(-1), ids(0));
  EXPECT_EQ(ids(-1), ids(24));  // the whole vocabulary
}

TEST(Sampling, TopPOfZeroKeepsTheMostLikely) {
  Context context;
  ToyDecoder decoder({});
  GenerationConfig config = sampling(4, 1);
  config.top_p = 0;
  const auto drawn = test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6}}), config));
  config.do_sample = false;
  EXPECT_EQ(drawn, test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6}}), config)));
}

TEST(Sampling, FirstSequencesDoNotDependOnHowManyAreAsked) {
  Context context;
  ToyDecoder decoder({});
  const auto few = test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6}}), sampling(3, 2)));
  const auto many = test::new_ids_of(generate(context, decoder, test::prompts_of({{5, 6}}), sampling(3, 6)));
  EXPECT_EQ(few, (std::vector(many.begin(), many.begin() + 2)));
}

TEST(Sampling, PromptLookupChangesNoDraw) {
  Context context;
  int64_t accepted = 0, steps = 0, plain_steps = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    ToyDecoder decoder({.seed = seed, .vocab = 12, .order = 1});
    GenerationConfig config = sampling(seed, 3);
    config.temperature = 0.4;
    config.repetition_penalty = 1.05;
    config.logprobs = 2;
    const auto plain = generate(context, decoder, test::prompts_of({{5, 6, 7, 5}, {4}}), config);
    config.prompt_lookup_num_tokens = 4;
    const auto looked = generate(context, decoder, test::prompts_of({{5, 6, 7, 5}, {4}}), config);
    ASSERT_EQ(test::new_ids_of(plain), test::new_ids_of(looked)) << "seed " << seed;
    for (size_t i = 0; i < plain.size(); ++i) {
      for (size_t t = 0; t < plain[i].logprobs.size(); ++t) {
        ASSERT_EQ(plain[i].logprobs[t].logprob, looked[i].logprobs[t].logprob);
      }
      EXPECT_LE(looked[i].stats.steps, plain[i].stats.steps);
    }
    accepted += looked[0].stats.accepted_tokens;
    steps += looked[0].stats.steps;
    plain_steps += plain[0].stats.steps;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(steps, plain_steps);
  std::printf("60 seeds equal, %ld tokens accepted, %ld steps instead of %ld\n", accepted, steps,
              plain_steps);
}

// Without replacement: the first candidate of a beam sampler is drawn from the softmax of the summed scores.
TEST(Sampling, BeamsDrawTheirFirstCandidateFromTheSoftmax) {
  Context context;
  ToyDecoder decoder({.seed = 5, .vocab = 6, .order = 1, .eos = 2, .eos_bias = -100});
  const std::vector<float> logits = decoder.toy().logits(std::vector<int64_t>{3});
  double total = 0;
  for (const float logit : logits) total += std::exp(logit);
  constexpr int kDraws = 20000;
  std::vector<int> counts(6);
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    GenerationConfig config;
    config.num_beams = 2;
    config.num_return_sequences = 2;
    config.do_sample = true;
    config.top_k = 0;
    config.seed = seed;
    config.max_new_tokens = 1;
    // Both places are the first two of the draw; one draw is told from the other by their scores only, so
    // count both.
    for (const auto& result : generate(context, decoder, test::prompts_of({{3}}), config)) {
      ++counts[static_cast<size_t>(result.new_ids[0])];
    }
  }
  // P(token among the first two drawn) = p_i + Σ_j≠i p_j · p_i / (1 − p_j).
  double chi_square = 0;
  for (size_t i = 0; i < 6; ++i) {
    const auto p = [&](size_t k) { return std::exp(logits[k]) / total; };
    double share = p(i);
    for (size_t j = 0; j < 6; ++j) {
      if (j != i) share += p(j) * p(i) / (1 - p(j));
    }
    const double expected = kDraws * share;
    if (expected > 5) chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT_LT(chi_square, 15.09);
  std::printf("chi-square %.2f, seeds 0 to %d\n", chi_square, kDraws - 1);
}

}  // namespace
}  // namespace vl3
