// Positions that a caller gives to generation: those that it counts itself are taken, others are refused by
// name.
#include <gtest/gtest.h>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/generation.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

class PositionIds : public testing::Test {
 protected:
  // Two rows of four columns, the first one padded on the left.
  PositionIds() {
    input_.input_ids = Tensor::from<int64_t>({2, 4}, {0, 11, 12, 13, 21, 22, 23, 24});
    input_.attention_mask = Tensor::from<int64_t>({2, 4}, {0, 1, 1, 1, 1, 1, 1, 1});
    settings_.max_new_tokens = 3;
    settings_.eos_token_id = {};
  }
  std::vector<std::vector<int64_t>> answers() {
    std::vector<std::vector<int64_t>> ids;
    for (const GenerationResult& result : model_.generate(context_, input_, settings_))
      ids.push_back(result.ids);
    return ids;
  }
  std::string refusal(const std::vector<int64_t>& positions) {
    input_.position_ids = Tensor::from<int64_t>({2, 4}, positions);
    try {
      answers();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return error.what();
    }
    return "not refused";
  }

  Context context_;
  const ForConditionalGeneration model_ =
      ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  ForwardInput input_;
  GenerationConfig settings_;
};

TEST_F(PositionIds, ThoseThatAreCountedAnywayChangeNothing) {
  const auto counted = answers();
  ASSERT_EQ(counted.size(), 2U);
  // As the reference makes them of the mask: 1 where a cell is masked.
  input_.position_ids = Tensor::from<int64_t>({2, 4}, {1, 0, 1, 2, 0, 1, 2, 3});
  EXPECT_EQ(answers(), counted);
}

TEST_F(PositionIds, OthersAreRefusedByName) {
  EXPECT_NE(
      refusal({0, 1, 2, 3, 0, 1, 2, 3}).find("position_ids of row 0: token 0 that is not masked is at 1"),
      std::string::npos);
  EXPECT_NE(
      refusal({1, 0, 1, 2, 0, 1, 2, 9}).find("position_ids of row 1: token 3 that is not masked is at 9"),
      std::string::npos);
}

}  // namespace
}  // namespace vl3
