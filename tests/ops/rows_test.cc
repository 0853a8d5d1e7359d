// Operations that move rows, on every path, against the oracle.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

class Rows : public EveryPath {};
VL3_EVERY_PATH(Rows);

TEST_P(Rows, GatherScatterPlaceConcat) {
  Context context(options());
  Random random(2);
  for (const int64_t width : {1, 5, 64}) {
    const Tensor x = random.tensor({9, width}), source = random.tensor({3, width});
    const std::vector<int64_t> rows = {8, 0, 4}, repeated = {1, 1, 7};
    EXPECT_EQ(values(ops::gather_rows(context, x, repeated)),
              reference::gather_rows(values(x), width, repeated));
    EXPECT_EQ(ops::gather_rows(context, x, {}).shape(), (Shape{0, width}));
    const Tensor before = x.clone();
    EXPECT_EQ(values(ops::scatter_rows(context, x, rows, source)),
              reference::scatter_rows(values(x), width, rows, values(source)));
    EXPECT_TRUE(same_bits(x, before)) << "the base is not to be written";
    EXPECT_TRUE(same_bits(ops::scatter_rows(context, x, {}, source.rows(0, 0)), x));
    const Tensor placed = ops::place_rows(context, source, rows, 10);
    ASSERT_TRUE(slack_untouched(placed));
    EXPECT_EQ(values(placed), reference::place_rows(values(source), width, rows, 10));
    EXPECT_EQ(values(ops::place_rows(context, source.rows(0, 0), {}, 2)), Values(2 * width, 0.0));
    EXPECT_EQ(ops::place_rows(context, source.rows(0, 0), {}, 0).shape(), (Shape{0, width}));
    const std::vector<Tensor> parts = {x, source.rows(0, 0), source};
    EXPECT_EQ(values(ops::concat_rows(context, parts)),
              reference::concat_rows(std::vector<Values>{values(x), {}, values(source)}));
  }
}

TEST(RowErrors, AreNamed) {
  Context context(ContextOptions{.num_threads = 1});
  Random random(1);
  const Tensor x = random.tensor({4, 6}), w = random.tensor({6});
  using Ids = std::vector<int64_t>;
  const auto code = ErrorCode::kInvalidArgument;
  expect_error(code, "[gather_rows] 9", [&] { ops::gather_rows(context, x, Ids{9}); });
  expect_error(code, "[gather_rows] [6]", [&] { ops::gather_rows(context, w, Ids{0}); });
  expect_error(code, "[scatter_rows] 7", [&] { ops::scatter_rows(context, x, Ids{7}, x.rows(0, 1)); });
  expect_error(code, "[scatter_rows] 2 rows of [4, 6] are to be replaced by [1, 6]", [&] {
    ops::scatter_rows(context, x, Ids{0, 1}, x.rows(0, 1));
  });
  expect_error(code, "[place_rows] 7 is outside [0, 7)",
               [&] { ops::place_rows(context, x.rows(0, 1), Ids{7}, 7); });
  expect_error(code, "[place_rows] [4, 6] to 1 places", [&] { ops::place_rows(context, x, Ids{0}, 7); });
  expect_error(code, "[concat_rows] of nothing", [&] { ops::concat_rows(context, {}); });
  const std::vector<Tensor> unequal = {x, random.tensor({1, 5})};
  expect_error(code, "[concat_rows] [1, 5] below [4, 6]", [&] { ops::concat_rows(context, unequal); });
}

}  // namespace
}  // namespace vl3
