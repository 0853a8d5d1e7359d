#include "generate/brute_force.h"

#include <gtest/gtest.h>

#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"

namespace vl3 {
namespace {

using test::ToyDecoder;

TEST(BruteForce, GreedyIsTheMostLikelyTokenAgainAndAgain) {
  Context context;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const test::Toy toy{.seed = seed, .vocab = 24, .order = 3, .eos_bias = 1};
    ToyDecoder decoder(toy);
    GenerationConfig config;
    config.max_new_tokens = 40;
    config.eos_token_id = {2};
    const std::vector<int64_t> prompt = {4, 5, static_cast<int64_t>(seed % 20)};
    const auto wanted = test::plain_greedy([&](const auto& ids) { return toy.logits(ids); }, prompt, 40, 2);
    for (const int64_t lookup : {0, 5}) {
      config.prompt_lookup_num_tokens = lookup;
      EXPECT_EQ(generate(context, decoder, test::prompts_of({prompt}), config)[0].new_ids, wanted);
    }
  }
}

TEST(BruteForce, BeamSearchEqualsRecomputation) {
  Context context;
  int runs = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    for (const int64_t beams : {2, 3, 5}) {
      for (const EarlyStopping early : {EarlyStopping::kFalse, EarlyStopping::kTrue, EarlyStopping::kNever}) {
        for (const double penalty : {-1.0, 0.0, 0.5, 1.0, 2.0}) {
          const test::Toy toy{.seed = seed, .vocab = 16, .order = 3, .eos_bias = 1.5f, .timed = true};
          ToyDecoder decoder(toy);
          GenerationConfig config;
          config.max_new_tokens = 3 + static_cast<int64_t>(seed % 12);
          config.eos_token_id = {2};
          config.num_beams = config.num_return_sequences = beams;
          config.early_stopping = early;
          config.length_penalty = penalty;
          // Longer than a block of the cache now and then, so that forks share one and write behind it.
          std::vector<int64_t> prompt(seed % 3 == 0 ? 62 : 4, 3);
          prompt.back() = static_cast<int64_t>(seed % 16);
          const auto wanted =
              test::plain_beam_search([&](const auto& ids) { return toy.logits(ids); }, prompt, config);
          const auto results = generate(context, decoder, test::prompts_of({prompt}), config);
          ASSERT_EQ(results.size(), wanted.size());
          for (size_t i = 0; i < wanted.size(); ++i) {
            ASSERT_EQ(results[i].new_ids, wanted[i].ids)
                << "seed " << seed << " beams " << beams << " place " << i;
            ASSERT_NEAR(*results[i].sequence_score, wanted[i].score, 1e-5);
          }
          ++runs;
        }
      }
    }
  }
  std::printf("%d searches equal\n", runs);
}

// With as many beams as there are answers, the search has to find the best of all of them.
TEST(BruteForce, WideBeamsFindTheBestOfAllAnswers) {
  Context context;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const test::Toy toy{.seed = seed, .vocab = 5, .order = 3, .eos_bias = 0.5f, .timed = true};
    ToyDecoder decoder(toy);
    GenerationConfig config;
    config.max_new_tokens = 3;
    config.eos_token_id = {2};
    config.num_beams = 125;
    config.length_penalty = 0;
    config.early_stopping = EarlyStopping::kNever;
    test::Hypothesis best{{}, -1e9f};
    const std::function<void(std::vector<int64_t>, float)> visit = [&](std::vector<int64_t> answer,
                                                                       float score) {
      if (answer.size() == 3 || (!answer.empty() && answer.back() == 2)) {
        if (score > best.score) best = {answer, score};
        return;
      }
      std::vector<int64_t> ids = {4, 3};
      ids.insert(ids.end(), answer.begin(), answer.end());
      const auto row = test::plain_log_softmax(toy.logits(ids));
      answer.push_back(0);
      for (int64_t token = 0; token < 5; ++token) {
        answer.back() = token;
        visit(answer, score + row[static_cast<size_t>(token)]);
      }
    };
    visit({}, 0);
    const auto result = generate(context, decoder, test::prompts_of({{4, 3}}), config)[0];
    EXPECT_EQ(result.new_ids, best.ids);
    EXPECT_NEAR(*result.sequence_score, best.score, 1e-5);
  }
}

}  // namespace
}  // namespace vl3
