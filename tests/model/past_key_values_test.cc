// Calls that go on where earlier ones ended, by the public header alone.

#include <cstring>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

using namespace test;

const ForConditionalGeneration& demo() {
  static const auto model = ForConditionalGeneration::from_pretrained(data_path("../../models/demo"));
  return model;
}

ContextOptions exact() {
  ContextOptions options;
  options.num_threads = 2;
  options.compute = Compute::kF32;
  return options;
}

using Ids = std::vector<std::vector<int64_t>>;

// Logits [B, T, vocabulary] of ids behind what past holds, which may be null.
Tensor logits(Context& context, Ids ids, PastKeyValues* past) {
  ForwardInput input;
  input.ids = std::move(ids);
  input.past = past;
  return demo().forward(context, input).logits;
}

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
}

TEST(PastKeyValues, ASecondCallGoesOnWhereTheFirstEnded) {
  Context context(exact());
  const Tensor whole = logits(context, {{65, 66, 67, 68, 69}}, nullptr);
  PastKeyValues past = demo().new_past(context, 1);
  EXPECT_EQ(past.size(), 1u);
  EXPECT_EQ(past.length(0), 0);
  logits(context, {{65, 66, 67}}, &past);
  EXPECT_EQ(past.length(0), 3);
  const Tensor rest = logits(context, {{68, 69}}, &past);
  EXPECT_EQ(past.length(0), 5);
  const Tensor expected = whole.reshape({5, whole.dim(2)}).rows(3, 5).reshape(rest.shape());
  for (int64_t i = 0; i < rest.numel(); ++i)
    ASSERT_NEAR(rest.span<float>()[static_cast<size_t>(i)], expected.span<float>()[static_cast<size_t>(i)],
                1e-3);
}

TEST(PastKeyValues, AForkAndItsSourceGrowApart) {
  Context context(exact());
  PastKeyValues past = demo().new_past(context, 2);
  logits(context, {{65, 66, 67}, {70}}, &past);
  PastKeyValues other = past.fork();
  const Tensor before = logits(context, {{68}, {71}}, &past);
  logits(context, {{90, 91}, {92, 93}}, &other);
  EXPECT_EQ(past.length(1), 2);
  EXPECT_EQ(other.length(1), 3);
  other.truncate(3);
  EXPECT_EQ(other.length(0), 3);
  EXPECT_EQ(other.length(1), 3) << "what is shorter stays";
  past.truncate(3);
  logits(context, {{90}, {91}}, &past);
  PastKeyValues again = demo().new_past(context, 2);
  logits(context, {{65, 66, 67}, {70}}, &again);
  expect_same(logits(context, {{68}, {71}}, &again), before);
}

// Ids and mask of a padded batch, behind what past holds.
ForwardOutput padded(Context& context, const Ids& ids, const Ids& mask, PastKeyValues* past) {
  ForwardInput input;
  const auto columns = static_cast<int64_t>(ids[0].size());
  std::vector<int64_t> cells, real;
  for (const auto& row : ids) cells.insert(cells.end(), row.begin(), row.end());
  for (const auto& row : mask) real.insert(real.end(), row.begin(), row.end());
  const Shape shape{static_cast<int64_t>(ids.size()), columns};
  input.input_ids = Tensor::from<int64_t>(shape, cells);
  input.attention_mask = Tensor::from<int64_t>(shape, real);
  input.past = past;
  return demo().forward(context, input);
}

TEST(PastKeyValues, PaddingCountsInTheColumnsOfLaterCalls) {
  Context context(exact());
  const Tensor whole = padded(context, {{0, 0, 65, 66, 67, 68}, {70, 71, 72, 73, 0, 75}},
                              {{0, 0, 1, 1, 1, 1}, {1, 1, 1, 1, 0, 1}}, nullptr)
                           .logits;
  PastKeyValues past = demo().new_past(context, 2);
  padded(context, {{0, 0, 65, 66}, {70, 71, 72, 73}}, {{0, 0, 1, 1}, {1, 1, 1, 1}}, &past);
  EXPECT_EQ(past.length(0), 2);
  EXPECT_EQ(past.columns(0), 4);
  padded(context, {{90, 90}, {90, 90}}, {{1, 1}, {0, 1}}, &past);  // to be forgotten
  past.truncate(4);
  EXPECT_EQ(past.length(0), 2);
  EXPECT_EQ(past.length(1), 4);
  const Tensor rest = padded(context, {{67, 68}, {0, 75}}, {{1, 1}, {0, 1}}, &past).logits;
  EXPECT_EQ(past.columns(1), 6);
  EXPECT_EQ(past.length(1), 5);
  const int64_t vocabulary = rest.dim(2);
  const auto at = [&](const Tensor& logits, int64_t row, int64_t column) {
    return logits.reshape({2 * logits.dim(1), vocabulary})
        .rows(row * logits.dim(1) + column, row * logits.dim(1) + column + 1);
  };
  expect_same(at(rest, 0, 0), at(whole, 0, 4));
  expect_same(at(rest, 0, 1), at(whole, 0, 5));
  expect_same(at(rest, 1, 1), at(whole, 1, 5));
}

TEST(PastKeyValues, WhatDoesNotFitIsRefused) {
  Context context(exact());
  PastKeyValues past = demo().new_past(context, 2), none;
  EXPECT_THROW(logits(context, {{65}}, &past), Error);
  EXPECT_THROW(logits(context, {{65}}, &none), Error);
  EXPECT_THROW(past.length(2), Error);
  EXPECT_THROW(past.truncate(-1), Error);
  EXPECT_THROW(demo().new_past(context, -1), Error);
}

}  // namespace
}  // namespace vl3
