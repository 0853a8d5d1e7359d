// Whole calls of generate() against the reference's answers for the same toy (tools/goldens/generate.py).

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "base/json.h"
#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"

namespace vl3 {
namespace {

using test::Toy;
using test::ToyDecoder;

struct Row {
  Toy toy;
  std::vector<std::vector<int64_t>> prompts, new_ids;
  GenerationConfig settings;
  std::vector<float> scores;
  std::string text;
};

std::vector<Row> golden_rows() {
  std::vector<Row> rows;
  std::istringstream lines(test::read_text(test::data_path("generate/generate.jsonl")));
  for (std::string line; std::getline(lines, line);) {
    const Json json = parse_json(line, "generate.jsonl");
    Row row{Toy::from(json.at("toy")),
            json.at("prompts"),
            json.at("new_ids"),
            GenerationConfig::from_json(json.at("settings")),
            {},
            line};
    if (json.contains("scores")) row.scores = json.at("scores").get<std::vector<float>>();
    rows.push_back(std::move(row));
  }
  return rows;
}

TEST(ToyGoldens, EqualTheReference) {
  Context context;
  int rows = 0, beams = 0;
  for (const Row& row : golden_rows()) {
    ToyDecoder decoder(row.toy);
    const auto results = generate(context, decoder, test::prompts_of(row.prompts), row.settings);
    ASSERT_EQ(pad_new_ids(results, row.settings), row.new_ids) << row.text;
    for (size_t i = 0; i < row.scores.size(); ++i) {
      ASSERT_NEAR(*results[i].sequence_score, row.scores[i], 1e-5 * std::max(1.0f, std::abs(row.scores[i])))
          << row.text;
    }
    ++rows;
    beams += row.settings.num_beams > 1 ? 1 : 0;
  }
  EXPECT_GE(rows, 300);
  std::printf("%d rows equal, %d of them with beams\n", rows, beams);
}

TEST(ToyGoldens, PromptLookupChangesNoToken) {
  Context context;
  int64_t rows = 0, drafted = 0, accepted = 0;
  for (const Row& row : golden_rows()) {
    if (row.settings.num_beams > 1) continue;
    for (const int64_t count : {1, 3, 10}) {
      ToyDecoder decoder(row.toy);
      GenerationConfig settings = row.settings;
      settings.prompt_lookup_num_tokens = count;
      const auto results = generate(context, decoder, test::prompts_of(row.prompts), settings);
      ASSERT_EQ(pad_new_ids(results, settings), row.new_ids) << row.text;
      for (const auto& result : results) {
        drafted += result.stats.drafted_tokens;
        accepted += result.stats.accepted_tokens;
      }
      ++rows;
    }
  }
  EXPECT_GT(accepted, 0);
  std::printf("%ld rows equal, %ld of %ld proposed tokens accepted\n", rows, accepted, drafted);
}

TEST(ToyGoldens, RowsOfABatchAreWhatEachGivesAlone) {
  Context context;
  int64_t rows = 0;
  for (const Row& row : golden_rows()) {
    if (row.prompts.size() == 1) continue;
    for (const bool sample : {false, true}) {
      GenerationConfig settings = row.settings;
      settings.do_sample = sample;
      settings.seed = 11;
      ToyDecoder decoder(row.toy);
      const auto together = generate(context, decoder, test::prompts_of(row.prompts), settings);
      std::vector<std::vector<int64_t>> alone;
      for (const auto& prompt : row.prompts) {
        for (const auto& ids :
             test::new_ids_of(generate(context, decoder, test::prompts_of({prompt}), settings))) {
          alone.push_back(ids);
        }
      }
      ASSERT_EQ(test::new_ids_of(together), alone) << row.text;
      ++rows;
    }
  }
  std::printf("%ld batches equal\n", rows);
}

}  // namespace
}  // namespace vl3
