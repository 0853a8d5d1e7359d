// The hooks that end answers and that are told what tokens are chosen from.

#include <algorithm>
#include <limits>
#include <map>

#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using test::Toy;
using test::ToyDecoder;

constexpr int64_t kVocab = 40, kEnd = 2, kNever = 1;
const Toy kToy = {.seed = 8, .vocab = kVocab, .order = 1, .eos_bias = -100};

std::vector<int64_t> ids_of(std::span<const int64_t> ids) { return {ids.begin(), ids.end()}; }

// An answer that a hook ends at a token is the one that ends with an end token of that id, but for the name
// of the reason: with every strategy.
TEST(Ends, IsAnEndTokenWhereItSaysSo) {
  Context context(ContextOptions{.num_threads = 2});
  ToyDecoder decoder(kToy);
  std::vector<GenerationConfig> all = test::strategies();
  for (GenerationConfig& settings : all) {
    settings.eos_token_id = {kEnd};
    settings.suppress_tokens = {kNever};
  }
  const auto free = generate(context, decoder, test::prompts_of({{3}}), all[0]);
  const int64_t last = free[0].new_ids[1];
  GenerationHooks hooks;
  hooks.ends = [&](const ConstraintQuery& query) { return query.new_ids.back() == last; };
  for (GenerationConfig settings : all) {
    settings.logit_bias = {{last, 2.0}};  // so that it comes with every strategy
    // How many candidates beams look at depends on the number of end tokens: it is the same both times.
    settings.eos_token_id = {kEnd, kNever};
    const auto hooked = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings, hooks);
    settings.eos_token_id = {kEnd, last};
    const auto ended = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings);
    ASSERT_EQ(hooked.size(), ended.size());
    bool stopped = false;
    for (size_t i = 0; i < hooked.size(); ++i) {
      EXPECT_EQ(hooked[i].new_ids, ended[i].new_ids);
      EXPECT_EQ(hooked[i].finish_reason, ended[i].finish_reason);
      stopped =
          stopped || (hooked[i].new_ids.back() == last && hooked[i].finish_reason == FinishReason::kStop);
    }
    EXPECT_TRUE(stopped) << "a hook that ends nothing tests nothing";
  }
}

TEST(Ends, IsToldPromptAndAnswer) {
  Context context(ContextOptions{.num_threads = 1});
  ToyDecoder decoder(kToy);
  GenerationConfig settings;
  settings.max_new_tokens = 3;
  std::vector<std::vector<int64_t>> seen;
  GenerationHooks hooks;
  hooks.ends = [&](const ConstraintQuery& query) {
    EXPECT_EQ(query.ids.size(), 2 + query.new_ids.size());
    EXPECT_EQ(query.left, 3 - static_cast<int64_t>(query.new_ids.size()));
    seen.push_back(ids_of(query.ids));
    return false;
  };
  const auto results = generate(context, decoder, test::prompts_of({{3, 4}}), settings, hooks);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen.back(), results[0].ids);
  EXPECT_EQ(results[0].finish_reason, FinishReason::kLength);
}

TEST(OnScores, AreTheLogitsAndWhatSettingsMadeOfThem) {
  Context context(ContextOptions{.num_threads = 3});
  ToyDecoder decoder(kToy);
  for (const bool draws : {false, true}) {
    for (const int64_t lookup : {0, 4}) {
      GenerationConfig settings;
      settings.max_new_tokens = 20;
      settings.suppress_tokens = {11};
      settings.do_sample = draws;
      settings.temperature = 0.5;
      settings.top_k = 0;
      settings.num_return_sequences = draws ? 2 : 1;
      settings.seed = 3;
      settings.prompt_lookup_num_tokens = lookup;
      std::map<std::pair<int64_t, int64_t>, int64_t> told;
      GenerationHooks hooks;
      hooks.on_scores = [&](const ConstraintQuery& query, std::span<const float> logits,
                            std::span<const float> scores) {
        int64_t& step = told[{query.prompt, query.sequence}];
        EXPECT_EQ(static_cast<int64_t>(query.new_ids.size()), step++);
        const std::vector<float> wanted = kToy.logits(query.ids);
        EXPECT_TRUE(std::equal(logits.begin(), logits.end(), wanted.begin(), wanted.end()));
        for (size_t i = 0; i < scores.size(); ++i) {
          const float bent =
              i == 11 ? -std::numeric_limits<float>::infinity() : wanted[i] / (draws ? 0.5f : 1.0f);
          EXPECT_EQ(scores[i], bent);
        }
      };
      const auto free = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings);
      const auto watched = generate(context, decoder, test::prompts_of({{3}, {4, 7}}), settings, hooks);
      ASSERT_EQ(watched.size(), free.size());
      for (size_t i = 0; i < free.size(); ++i) {
        EXPECT_EQ(watched[i].new_ids, free[i].new_ids);
        EXPECT_GE((told[{watched[i].prompt, watched[i].sequence}]), 20);
      }
    }
  }
}

TEST(OnScores, AreNotToldOfBeams) {
  Context context(ContextOptions{.num_threads = 1});
  ToyDecoder decoder(kToy);
  GenerationConfig settings;
  settings.num_beams = 2;
  GenerationHooks hooks;
  hooks.on_scores = [](const ConstraintQuery&, std::span<const float>, std::span<const float>) {};
  try {
    generate(context, decoder, test::prompts_of({{3}}), settings, hooks);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("num_beams is 2"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace vl3
