#include "generate/processors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <sstream>

#include "base/json.h"
#include "support/support.h"

namespace vl3 {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> scores_from(const Json& row) {
  std::vector<float> scores;
  for (const Json& value : row) scores.push_back(value.is_null() ? -kInf : value.get<float>());
  return scores;
}

// The same set of -inf, and values within 1e-6 of their size.
void expect_equal(const std::vector<float>& got, const std::vector<float>& wanted, const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isinf(wanted[i]) || std::isinf(got[i])) {
      ASSERT_EQ(got[i], wanted[i]) << what << " token " << i;
    } else {
      ASSERT_NEAR(got[i], wanted[i], 1e-6 * std::max(1.0f, std::abs(wanted[i]))) << what << " token " << i;
    }
  }
}

void apply_named(const std::string& name, const Json& args, Ids history, Scores scores) {
  const auto number = [&](const char* key) { return args.at(key).get<double>(); };
  const int64_t keep = args.value("keep", int64_t{1});
  if (name == "temperature") return divide_by_temperature(static_cast<float>(number("temperature")), scores);
  if (name == "top_k") return keep_top_k(args.at("top_k").get<int64_t>(), scores);
  if (name == "top_p") return keep_top_p(number("top_p"), keep, scores);
  if (name == "min_p") return keep_min_p(number("min_p"), keep, scores);
  if (name == "typical_p") return keep_typical(number("typical_p"), keep, scores);
  if (name == "epsilon_cutoff") return keep_above_epsilon(number("epsilon_cutoff"), keep, scores);
  if (name == "eta_cutoff") return keep_above_eta(number("eta_cutoff"), keep, scores);
  if (name == "repetition_penalty") {
    return penalise_repetition(history, static_cast<float>(number("repetition_penalty")), scores);
  }
  if (name == "no_repeat_ngram_size") {
    return ban_repeated_ngrams(history, args.at("no_repeat_ngram_size").get<int64_t>(), scores);
  }
  if (name == "renormalize_logits") return log_softmax(scores);
  // Settings that the chain prepares before use.
  const GenerationConfig config = GenerationConfig::from_json(args);
  ProcessorChain(config, config.eos_token_id, static_cast<int64_t>(scores.size()))
      .apply(history, static_cast<int64_t>(history.size()), scores);
}

TEST(Processors, ProjectGoldens) {
  std::istringstream lines(test::read_text(test::data_path("generate/processors.jsonl")));
  int rows = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json row = parse_json(line, "processors.jsonl");
    const auto name = row.at("name").get<std::string>();
    const Json& before = row.at("before");
    for (size_t i = 0; i < before.size(); ++i) {
      std::vector<float> scores = scores_from(before[i]);
      const auto ids = row.at("ids")[i].get<std::vector<int64_t>>();
      apply_named(name, row.at("args"), ids, scores);
      expect_equal(scores, scores_from(row.at("after")[i]), name + " " + row.at("args").dump());
      ++rows;
    }
  }
  EXPECT_GE(rows, 200);
  std::printf("%d rows equal\n", rows);
}

// The definition of top-p, with one sort and one running sum.
std::vector<float> plain_top_p(std::vector<float> scores, double p, size_t keep) {
  std::vector<size_t> order(scores.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  double total = 0, sum = 0;
  for (const float score : scores) total += std::exp(score);
  std::vector<size_t> out;
  for (size_t i = 0; i + keep < order.size(); ++i) {
    sum += std::exp(scores[order[i]]) / total;
    if (sum > 1 - p) break;
    out.push_back(order[i]);
  }
  for (const size_t i : out) scores[i] = -kInf;
  return scores;
}

TEST(Processors, TopPOfLargeVocabulariesEqualsItsDefinition) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 2);
  int rows = 0;
  for (const size_t vocab : {3, 64, 65, 130, 1000, 20000}) {
    for (const double p : {0.0, 0.1, 0.5, 0.9, 0.999}) {
      for (const size_t keep : {1, 5, 100}) {
        std::vector<float> scores(vocab);
        // Among them many equal ones.
        for (float& score : scores)
          score = rows % 2 == 0 ? normal(random) : std::round(normal(random) * 4) / 4;
        const auto wanted = plain_top_p(scores, p, keep);
        keep_top_p(p, static_cast<int64_t>(keep), scores);
        ASSERT_EQ(scores, wanted) << vocab << " tokens, p " << p << ", keep " << keep;
        ++rows;
      }
    }
  }
  std::printf("%d rows equal\n", rows);
}

TEST(Processors, PresenceAndFrequencyCountTheAnswerOnly) {
  GenerationConfig config;
  config.presence_penalty = 0.5;
  config.frequency_penalty = 0.25;
  const std::vector<int64_t> history = {1, 1, 2, 3, 3, 3};
  std::vector<float> scores(5, 1.0f);
  ProcessorChain(config, {}, 5).apply(history, 2, scores);
  EXPECT_EQ(scores, (std::vector<float>{1.0f, 1.0f, 0.25f, -0.25f, 1.0f}));
}

TEST(Processors, LogitBiasIsAddedFirst) {
  GenerationConfig config;
  config.logit_bias = {{1, 2.0}, {3, -100.0}};
  config.repetition_penalty = 2.0;
  const std::vector<int64_t> history = {1};
  std::vector<float> scores(4, 0.0f);
  ProcessorChain(config, {}, 4).apply(history, 1, scores);
  EXPECT_EQ(scores, (std::vector<float>{0.0f, 1.0f, 0.0f, -100.0f}));
}

TEST(Processors, MinimumLengthsKeepEveryEndTokenOut) {
  GenerationConfig config;
  config.min_new_tokens = 2;
  const std::vector<int64_t> stops = {1, 3}, history = {0, 0, 0};
  for (const int64_t prompt : {3, 2, 1}) {
    std::vector<float> scores(4, 0.0f);
    ProcessorChain(config, stops, 4).apply(history, prompt, scores);
    const bool banned = 3 - prompt < 2;
    EXPECT_EQ(std::isinf(scores[1]), banned);
    EXPECT_EQ(std::isinf(scores[3]), banned);
    EXPECT_FALSE(std::isinf(scores[0]));
  }
}

TEST(Processors, PlaceholdersBeyondTheVocabularyAreHarmless) {
  const std::vector<int64_t> history = {9, 9, 1, 9, -1};
  std::vector<float> scores = {1.0f, 1.0f, -1.0f};
  penalise_repetition(history, 2.0f, scores);
  ban_repeated_ngrams(history, 1, scores);
  EXPECT_EQ(scores, (std::vector<float>{1.0f, -kInf, -1.0f}));
}

TEST(Processors, IdsBeyondTheVocabularyAreRefusedByName) {
  for (const char* text :
       {R"({"logit_bias": {"7": 1}})", R"({"bad_words_ids": [[1, 7]]})", R"({"suppress_tokens": [7]})",
        R"({"begin_suppress_tokens": [7]})", R"({"sequence_bias": [[[7], 1.0]]})"}) {
    const GenerationConfig config = GenerationConfig::from_json(parse_json(text, "test"));
    try {
      ProcessorChain(config, {}, 7);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("token 7"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace vl3
