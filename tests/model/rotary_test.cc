// Positions of tokens and patches: every type of frequencies in arithmetic, sequences of a batch apart.

#include "model/rotary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace vl3 {
namespace {

TextConfig config_of(const std::string& type, int64_t head_dim = 8) {
  TextConfig config;
  config.head_dim = head_dim;
  config.max_position_embeddings = 64;
  config.rope.type = type;
  config.rope.theta = 10000;
  config.rope.factor = 4;
  config.rope.original_max_position_embeddings = 32;
  return config;
}

// The definition in double; tables are f32, of angles up to a hundred.
void expect_table(const RotaryTable& table, int64_t row, double position, const RotaryFrequencies& f) {
  const int64_t half = table.cos.dim(1);
  for (int64_t i = 0; i < half; ++i) {
    const double angle = position * f.inverse[static_cast<size_t>(i)];
    EXPECT_NEAR(table.cos.data<float>()[row * half + i], f.attention_scaling * std::cos(angle), 1e-5);
    EXPECT_NEAR(table.sin.data<float>()[row * half + i], f.attention_scaling * std::sin(angle), 1e-5);
  }
}

TEST(Rotary, DefaultAndLinearFrequencies) {
  const RotaryFrequencies plain = text_frequencies(config_of("default"), 10);
  const RotaryFrequencies linear = text_frequencies(config_of("linear"), 10);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(plain.inverse[i], std::pow(10000.0, -static_cast<double>(i) / 4), 1e-7);
    EXPECT_FLOAT_EQ(linear.inverse[i], plain.inverse[i] / 4);
  }
  EXPECT_EQ(plain.attention_scaling, 1);
}

TEST(Rotary, DynamicFrequenciesGrowWithASequence) {
  const TextConfig config = config_of("dynamic");
  const RotaryFrequencies plain = text_frequencies(config_of("default"), 10);
  EXPECT_EQ(text_frequencies(config, 10).inverse, plain.inverse);
  EXPECT_EQ(text_frequencies(config, 64).inverse, plain.inverse);
  // theta' = theta · (factor · length / trained - (factor - 1)) ^ (d / (d - 2)) = theta · 5^(4/3)
  const double base = 10000 * std::pow(4.0 * 128 / 64 - 3, 8.0 / 6);
  const RotaryFrequencies longer = text_frequencies(config, 128);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(longer.inverse[i], std::pow(base, -static_cast<double>(i) / 4), 1e-6);
}

TEST(Rotary, YarnKeepsFastDimensionsAndInterpolatesSlowOnes) {
  const TextConfig config = config_of("yarn", 64);
  const RotaryFrequencies yarn = text_frequencies(config, 10),
                          plain = text_frequencies(config_of("default", 64), 10);
  EXPECT_FLOAT_EQ(yarn.inverse.front(), plain.inverse.front());
  EXPECT_FLOAT_EQ(yarn.inverse.back(), plain.inverse.back() / 4);
  EXPECT_FLOAT_EQ(yarn.attention_scaling, static_cast<float>(0.1 * std::log(4.0) + 1));
  for (size_t i = 1; i < yarn.inverse.size(); ++i) {
    EXPECT_LE(yarn.inverse[i], plain.inverse[i]);
    EXPECT_GE(yarn.inverse[i] * 4.000001f, plain.inverse[i]);
  }
}

TEST(Rotary, TablesAreCosinesAndSinesOfPositions) {
  Context context(ContextOptions{.num_threads = 2});
  const std::vector<int64_t> positions = {0, 1, 2, 90, 7, 8, 9}, borders = {0, 4, 4, 7};
  for (const char* type : {"default", "linear", "dynamic", "yarn"}) {
    SCOPED_TRACE(type);
    const TextConfig config = config_of(type);
    const RotaryTable table = text_rotary(context, config, positions, borders);
    ASSERT_EQ(table.cos.shape(), (Shape{7, 4}));
    for (size_t i = 0; i < positions.size(); ++i) {
      const int64_t length = i < 4 ? 91 : 10;
      expect_table(table, static_cast<int64_t>(i), static_cast<double>(positions[i]),
                   text_frequencies(config, length));
    }
    // A sequence's rows do not depend on the others.
    const RotaryTable alone =
        text_rotary(context, config, std::span(positions).subspan(4), std::vector<int64_t>{0, 3});
    EXPECT_EQ(std::memcmp(alone.cos.raw(), table.cos.rows(4, 7).raw(), alone.cos.bytes()), 0);
    EXPECT_EQ(std::memcmp(alone.sin.raw(), table.sin.rows(4, 7).raw(), alone.sin.bytes()), 0);
    EXPECT_EQ(text_rotary(context, config, {}, std::vector<int64_t>{0}).cos.shape(), (Shape{0, 4}));
  }
}

TEST(Rotary, PatchesHaveARowAndAColumnInMergeBlockOrder) {
  Context context(ContextOptions{.num_threads = 2});
  VisionConfig config;
  config.hidden_size = 16;
  config.num_attention_heads = 2;  // heads of 8: two pairs by row, two by column
  config.rope_theta = 10000;
  const std::vector<Grid> grids = {{1, 2, 4, 2}, {2, 1, 1, 1}};
  const RotaryTable table = vision_rotary(context, config, grids);
  ASSERT_EQ(table.cos.shape(), (Shape{10, 4}));
  const int64_t rows[] = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0}, columns[] = {0, 1, 0, 1, 2, 3, 2, 3, 0, 0};
  for (int64_t p = 0; p < 10; ++p) {
    for (int64_t i = 0; i < 4; ++i) {
      const double frequency = i % 2 == 0 ? 1.0 : 0.01;
      const double angle = static_cast<double>(i < 2 ? rows[p] : columns[p]) * frequency;
      EXPECT_NEAR(table.cos.data<float>()[p * 4 + i], std::cos(angle), 1e-6) << p << " " << i;
      EXPECT_NEAR(table.sin.data<float>()[p * 4 + i], std::sin(angle), 1e-6) << p << " " << i;
    }
  }
}

}  // namespace
}  // namespace vl3
