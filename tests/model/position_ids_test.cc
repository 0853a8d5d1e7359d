// position_ids of a forward pass (tools/goldens/rotary.py recorded what the reference makes of some).

#include <cmath>
#include <cstring>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/forward_io.h"

namespace vl3 {
namespace {

class PositionIds : public testing::Test {
 protected:
  static Tensor stage(const std::vector<std::pair<std::string, Tensor>>& stages, const std::string& name) {
    for (const auto& [key, tensor] : stages) {
      if (key == name) return tensor;
    }
    ADD_FAILURE() << "no stage " << name;
    return {};
  }
  Tensor hidden(const ForwardInput& input) {
    return stage(forward_all_stages(context_, model_, input), "text.norm.0");
  }
  static Tensor ids(const Shape& shape, const std::vector<int64_t>& values) {
    Tensor tensor = Tensor::empty(shape, DType::kI64);
    std::memcpy(tensor.mutable_raw(), values.data(), tensor.bytes());
    return tensor;
  }

  ForConditionalGeneration model_ =
      ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  SafetensorsFile golden_ = SafetensorsFile::open(test::data_path("model/position_ids.safetensors"));
  Context context_{ContextOptions{.compute = Compute::kF32}};
};

TEST_F(PositionIds, GivenOnesAreTakenAsTheReferenceTakesThem) {
  const Tensor ours = hidden(read_forward_input(golden_, "in.")), theirs = golden_.get("out.text.norm.0");
  const Tensor mask = golden_.get("in.attention_mask");
  ASSERT_EQ(ours.shape(), theirs.shape());
  double largest = 0, magnitude = 0;
  const int64_t width = theirs.dim(-1);
  for (int64_t i = 0; i < theirs.numel(); ++i) {
    if (mask.data<int64_t>()[i / width] == 0) continue;
    const double x = ours.data<float>()[i], y = theirs.data<float>()[i];
    largest = std::max(largest, std::abs(x - y));
    magnitude = std::max(magnitude, std::abs(y));
  }
  EXPECT_LE(largest, 2e-4 * magnitude);  // the bound of every stage: forward_test.cc
  EXPECT_GT(magnitude, 0);
}

TEST_F(PositionIds, ColumnsAreTheDefaultAndOthersChangeTheResult) {
  ForwardInput input;
  input.input_ids = ids({1, 4}, {5, 17, 301, 42});
  const Tensor absent = hidden(input);
  input.position_ids = ids({1, 4}, {0, 1, 2, 3});
  const Tensor columns = hidden(input);
  EXPECT_EQ(std::memcmp(absent.raw(), columns.raw(), columns.bytes()), 0);
  input.position_ids = ids({1, 4}, {0, 1, 2, 9});
  const Tensor gap = hidden(input);
  EXPECT_EQ(std::memcmp(absent.raw(), gap.raw(), gap.bytes() / 4 * 3), 0);
  EXPECT_NE(std::memcmp(absent.raw(), gap.raw(), gap.bytes()), 0);
}

TEST_F(PositionIds, OfAnotherShapeAreRefusedByName) {
  ForwardInput input;
  input.input_ids = ids({1, 4}, {5, 17, 301, 42});
  input.position_ids = ids({1, 3}, {0, 1, 2});
  try {
    hidden(input);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("position_ids"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("[1, 3]"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace vl3
