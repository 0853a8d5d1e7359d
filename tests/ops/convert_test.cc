// Roundings to bf16 and f16 against the oracle, and back without a change.

#include "ops/ops_support.h"
#include "tensor/quantized.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Convert : public EveryPath {};
VL3_EVERY_PATH(Convert);

// Numbers of all sizes, ties and borders of both types among them, in more than one thread's share.
Tensor numbers() {
  std::vector<float> all = {0.0f,          -0.0f,          1.0f,     1.00390625f,    1.01171875f,
                            65504.0f,      65519.9f,       65520.0f, -65536.0f,      6.1035e-5f,
                            5.96e-8f,      2.98023224e-8f, 2.99e-8f, 1.1754944e-38f, 3.3895314e38f,
                            3.4028235e38f, INFINITY,       -INFINITY};
  Random random(4);
  const Tensor exponents = random.tensor({200000}, DType::kF32, 40);
  for (const float e : exponents.span<float>())
    all.push_back(std::exp2(e) * (static_cast<int>(e * 1000) % 2 == 0 ? 1.0f : -1.0f));
  return Tensor::from<float>({static_cast<int64_t>(all.size())}, all);
}

TEST_P(Convert, RoundsToNearestEven) {
  const Tensor x = numbers();
  for (const int threads : {1, 3}) {
    Context context(options(threads));
    for (const auto& [type, digits, exponent] :
         {std::tuple{DType::kBF16, 7, -126}, std::tuple{DType::kF16, 10, -14}}) {
      const Tensor y = ops::narrowed(context, x, type);
      const Values found = values(y), source = values(x);
      for (size_t i = 0; i < source.size(); ++i)
        ASSERT_EQ(found[i], reference::narrowed(source[i], digits, exponent))
            << source[i] << " " << to_string(type);
      const Tensor again = ops::narrowed(context, ops::widened(context, y), type);
      EXPECT_TRUE(same_bits(again, y)) << "what is stored does not change on its way to f32 and back";
      const Tensor into = Tensor::zeros(x.shape(), type);
      ops::narrow_into(context, x, into);
      EXPECT_TRUE(same_bits(into, y));
    }
  }
}

TEST_P(Convert, EveryHalfIsWidenedExactly) {
  Context context(options(3));
  for (const auto& [type, digits, exponent] :
       {std::tuple{DType::kBF16, 7, -126}, std::tuple{DType::kF16, 10, -14}}) {
    const Tensor all = Tensor::empty({1 << 16}, type), wide = Tensor::empty({1 << 16}, DType::kF32);
    auto* bits = reinterpret_cast<uint16_t*>(all.mutable_raw());
    for (int i = 0; i < 1 << 16; ++i) bits[i] = static_cast<uint16_t>(i);
    ops::widen_into(context, all, wide);
    for (int i = 0; i < 1 << 16; ++i) {
      const double expected = reference::widened(static_cast<uint16_t>(i), digits, exponent);
      const float found = wide.data<float>()[i];
      ASSERT_TRUE(std::isnan(expected) ? std::isnan(found) : found == expected) << i << to_string(type);
    }
    EXPECT_TRUE(same_bits(wide, ops::widened(context, all).clone()));
  }
}

TEST_P(Convert, NanStaysNan) {
  Context context(options());
  std::vector<float> nans(37, NAN);
  nans[3] = std::bit_cast<float>(0x7fffffffu);
  nans[4] = std::bit_cast<float>(0xff800001u);
  const Tensor x = Tensor::from<float>({37}, nans);
  for (const DType type : {DType::kBF16, DType::kF16}) {
    for (const double v : values(ops::narrowed(context, x, type))) EXPECT_TRUE(std::isnan(v));
  }
}

TEST_P(Convert, QuantisedRowsAreWidenedByAnyNumberOfThreads) {
  Context one(options(1)), three(options(3));
  const Tensor w = Random(8).tensor({67, 300});
  for (const DType type : {DType::kInt8, DType::kInt4}) {
    const Tensor q = quantized(one.threads(), w, type);
    const Tensor y = ops::widened(three, q);
    ASSERT_TRUE(slack_untouched(y));
    EXPECT_TRUE(same_bits(y, ops::widened(one, q)));
    std::vector<float> row(300);
    dequantize_row(q, 66, row.data());
    EXPECT_TRUE(std::equal(row.begin(), row.end(), y.data<float>() + 66 * 300));
  }
}

TEST(ConvertErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  const Tensor x = Tensor::zeros({2, 3}, DType::kF32), half = Tensor::zeros({2, 3}, DType::kBF16);
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[narrow] to i32", [&] { ops::narrowed(context, x, DType::kI32); });
  expect_error(code, "[narrow] bf16 [2, 3]", [&] { ops::narrow_into(context, half, half); });
  expect_error(code, "[narrow] f32 [1, 3] into [2, 3]",
               [&] { ops::narrow_into(context, x.rows(0, 1), half); });
  expect_error(code, "[widen] i64 [2]", [&] { ops::widened(context, Tensor::zeros({2}, DType::kI64)); });
  expect_error(code, "[widen] [2, 3] into bf16", [&] { ops::widen_into(context, half, half); });
}

}  // namespace
}  // namespace vl3
