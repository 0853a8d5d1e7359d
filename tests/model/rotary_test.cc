// Rotary positions in arithmetic: what the reference recorded for every type (tools/goldens/rotary.py), and
// the order of a picture's patches.

#include "model/rotary.h"

#include <cmath>
#include <fstream>

#include "base/json.h"
#include "support/support.h"

namespace vl3 {
namespace {

// The configuration as a checkpoint says it: the reader decides what a type's fields mean.
TextConfig config_of(const Json& row) {
  Json text = {{"model_type", "qwen2"},
               {"hidden_size", 2 * row["head_dim"].get<int64_t>()},
               {"num_attention_heads", 2},
               {"num_key_value_heads", 2},
               {"max_position_embeddings", row["max_position_embeddings"]},
               {"rope_parameters", row["rope_parameters"]}};
  const Json config = {
      {"model_type", "video_llama_3"}, {"text_config", text}, {"vision_config", Json::object()}};
  return Config::from_json(config, "rotary.json").text;
}

TEST(Rotary, EveryTypeEqualsTheReference) {
  const Json rows = parse_json(test::read_text(test::data_path("model/rotary.json")), "rotary.json");
  Context context(ContextOptions{.num_threads = 1});
  ASSERT_EQ(rows.size(), 7U);
  for (const auto& [name, row] : rows.items()) {
    const TextConfig config = config_of(row);
    const auto positions = row["positions"].get<std::vector<int64_t>>();
    const std::vector<int64_t> cu_seqlens = {0, static_cast<int64_t>(positions.size())};
    const RotaryTable table = text_rotary(context, config, positions, cu_seqlens);
    const RotaryFrequencies frequencies = text_frequencies(config, positions.back() + 1);
    const int64_t half = config.head_dim / 2;
    ASSERT_EQ(table.cos.shape(), (Shape{cu_seqlens[1], half})) << name;
    for (int64_t t = 0; t < cu_seqlens[1]; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        const auto at = static_cast<size_t>(t), j = static_cast<size_t>(i);
        const double angle = static_cast<double>(positions[at]) * frequencies.inverse[j];
        // A power, a quotient and a product are rounded on the way to the angle, each to half of 2^-23, on
        // either side; then the function, and the factor.
        const double bound = frequencies.attention_scaling * (angle * 0x1p-22 + 0x1p-23);
        EXPECT_NEAR(table.cos.data<float>()[t * half + i], row["cos"][at][j].get<double>(), bound)
            << name << " position " << positions[at] << " pair " << i;
        EXPECT_NEAR(table.sin.data<float>()[t * half + i], row["sin"][at][j].get<double>(), bound)
            << name << " position " << positions[at] << " pair " << i;
      }
    }
  }
}

// `dynamic` stretches by a sequence's own length, whatever else is packed with it.
TEST(Rotary, SequencesOfAPackAreEachTheirOwn) {
  TextConfig config;
  config.head_dim = 16;
  config.max_position_embeddings = 8;
  config.rope.type = "dynamic";
  config.rope.factor = 2;
  Context context(ContextOptions{.num_threads = 1});
  const std::vector<int64_t> both = {0, 1, 2, 0, 9, 30}, first = {0, 1, 2}, second = {0, 9, 30};
  const std::vector<int64_t> borders = {0, 3, 6}, one = {0, 3};
  const RotaryTable packed = text_rotary(context, config, both, borders);
  const RotaryTable a = text_rotary(context, config, first, one),
                    b = text_rotary(context, config, second, one);
  for (int64_t i = 0; i < 3 * 8; ++i) {
    EXPECT_EQ(packed.cos.data<float>()[i], a.cos.data<float>()[i]);
    EXPECT_EQ(packed.sin.data<float>()[3 * 8 + i], b.sin.data<float>()[i]);
  }
  // Within the trained length the frequencies are those of no scaling, beyond it lower ones.
  const auto plain = text_frequencies(config, 8), longer = text_frequencies(config, 31);
  config.rope.type = "default";
  EXPECT_EQ(plain.inverse, text_frequencies(config, 8).inverse);
  EXPECT_LT(longer.inverse[4], plain.inverse[4]);
}

TEST(Rotary, PatchesCountRowsAndColumnsInMergeBlockOrder) {
  VisionConfig config;
  config.hidden_size = 32;
  config.num_attention_heads = 2;  // heads of 16: 4 angles by row, 4 by column
  Context context(ContextOptions{.num_threads = 1});
  const std::vector<Grid> grids = {{2, 2, 4, 2}, {1, 1, 2, 1}};
  const RotaryTable table = vision_rotary(context, config, grids);
  const std::vector<std::pair<int, int>> frame = {{0, 0}, {0, 1}, {1, 0}, {1, 1},
                                                  {0, 2}, {0, 3}, {1, 2}, {1, 3}};
  std::vector<std::pair<int, int>> expected = frame;
  expected.insert(expected.end(), frame.begin(), frame.end());
  expected.insert(expected.end(), {{0, 0}, {0, 1}});
  ASSERT_EQ(table.sin.shape(), (Shape{18, 8}));
  for (size_t patch = 0; patch < expected.size(); ++patch) {
    for (size_t i = 0; i < 8; ++i) {
      const double place = i < 4 ? expected[patch].first : expected[patch].second;
      const double angle = place / std::pow(config.rope_theta, static_cast<double>(i % 4) / 4);
      EXPECT_NEAR(table.sin.data<float>()[patch * 8 + i], std::sin(angle), angle * 0x1p-22 + 0x1p-23)
          << patch;
      EXPECT_NEAR(table.cos.data<float>()[patch * 8 + i], std::cos(angle), angle * 0x1p-22 + 0x1p-23)
          << patch;
    }
  }
}

}  // namespace
}  // namespace vl3
