// Outlier channels: the function stays, the channels are there.

#include "bench/outliers.h"

#include <cmath>
#include <cstring>
#include <map>

#include "bench_inputs.h"
#include "ops/convert.h"
#include "ops/cpu/matmul.h"
#include "vl3/checkpoint.h"
#include "vl3/quantize.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

using namespace test;
namespace fs = std::filesystem;

const std::set<std::string> kAllPlaces = {"norms", "keys", "values", "gates"};

OutlierReport add(Context& context, const std::string& model, const fs::path& out, double factor,
                  const std::set<std::string>& places = kAllPlaces) {
  OutlierOptions options;
  options.factor = factor;
  options.places = places;
  return add_outliers(context, small_model(model), out, options);
}

// Largest difference of the logits over their largest magnitude, over a picture and a clip.
double difference(Context& context, const std::string& model, const fs::path& changed) {
  const auto before = ForConditionalGeneration::from_pretrained(small_model(model)),
             after = ForConditionalGeneration::from_pretrained(changed);
  double largest = 0, magnitude = 0;
  for (const char* kind : {"image", "video"}) {
    const ForwardInput input = media_input(context, model, kind);
    const Tensor x = before.forward(context, input).logits, y = after.forward(context, input).logits;
    for (int64_t i = 0; i < x.numel(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(x.data<float>()[i]) - y.data<float>()[i]));
      magnitude = std::max(magnitude, std::abs(static_cast<double>(x.data<float>()[i])));
    }
  }
  return largest / magnitude;
}

// A power of two moves exponents alone: no bit of f32 changes. Others round, once a weight in f32: the bound
// is that of f32 results (2e-4 of the largest magnitude).
TEST(Outliers, TheFunctionStays) {
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  for (const char* model : {"tiny", "demo"}) {
    for (const double factor : {4.0, 64.0}) {
      const TemporaryFolder folder;
      const OutlierReport report = add(context, model, folder / "out", factor);
      EXPECT_GT(report.changed, report.tensors / 2);
      EXPECT_EQ(difference(context, model, folder / "out"), 0) << model << " " << factor;
    }
    const TemporaryFolder folder;
    OutlierOptions options{.factor = 3, .share = 0.1, .places = kAllPlaces, .seed = 5, .dtype = DType::kF32};
    add_outliers(context, small_model(model), folder / "out", options);
    const double changed = difference(context, model, folder / "out");
    EXPECT_GT(changed, 0);
    EXPECT_LE(changed, 2e-4) << model;
    EXPECT_EQ(Checkpoint::open(folder / "out").get("model.language_model.norm.weight").dtype(), DType::kF32);
    EXPECT_TRUE(inspect(folder / "out")["problems"].empty());
  }
}

// A head of its own reads the last norm alone.
TEST(Outliers, AnUntiedHead) {
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const TemporaryFolder folder;
  const fs::path source = data_path("checkpoint/reference");
  add_outliers(context, source, folder / "out", {.factor = 64, .places = kAllPlaces});
  const auto before = ForConditionalGeneration::from_pretrained(source),
             after = ForConditionalGeneration::from_pretrained(folder / "out");
  ASSERT_FALSE(before.config().tie_word_embeddings);
  std::vector<int64_t> ids(20);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i * i) % 50;
  const ForwardInput input = text_input(ids);
  const ForwardOutput x = before.forward(context, input), y = after.forward(context, input);
  EXPECT_EQ(std::memcmp(x.logits.raw(), y.logits.raw(), x.logits.bytes()), 0);
  int64_t larger = 0;
  for (int64_t i = 0; i < x.last_hidden_state.numel(); ++i)
    larger += y.last_hidden_state.data<float>()[i] == 64 * x.last_hidden_state.data<float>()[i] ? 1 : 0;
  EXPECT_EQ(larger, static_cast<int64_t>(ids.size()));  // one channel of each row
}

// Where the scales went, tensor by tensor: ratios of elements are 1, c or 1 / c.
TEST(Outliers, AHundredthOfTheChannelsIsLarger) {
  Context context(ContextOptions{.num_threads = 2});
  const TemporaryFolder folder;
  add(context, "demo", folder / "out", 16, {"norms", "keys"});
  const Checkpoint before = Checkpoint::open(small_model("demo")), after = Checkpoint::open(folder / "out");
  // Elements of a tensor that are so many times what they were.
  const auto counts = [&](const std::string& name) {
    const Tensor x = ops::widened(context, before.get(name)), y = ops::widened(context, after.get(name));
    std::map<double, int64_t> result;
    for (int64_t i = 0; i < x.numel(); ++i) {
      if (x.data<float>()[i] != 0) ++result[y.data<float>()[i] / x.data<float>()[i]];
    }
    return result;
  };
  using Counts = std::map<double, int64_t>;
  const TextConfig& text = before.config().text;
  const VisionConfig& vision = before.config().vision;
  const std::string layer = "model.language_model.layers.3.", eye = "model.vision_model.";
  const int64_t some = 2;  // of 192 channels
  EXPECT_EQ(counts(layer + "input_layernorm.weight"), (Counts{{1, text.hidden_size - some}, {16, some}}));
  EXPECT_EQ(counts(layer + "mlp.up_proj.weight")[1.0 / 16], some * text.intermediate_size);
  EXPECT_EQ(counts(layer + "mlp.down_proj.weight").size(), 1U);
  EXPECT_EQ(counts(eye + "encoder.layers.1.layer_norm2.weight")[16], some);
  EXPECT_EQ(counts(eye + "encoder.layers.1.mlp.fc1.weight")[1.0 / 16], some * vision.intermediate_size);
  EXPECT_EQ(counts("model.projector.readout.0.weight")[1.0 / 16], some * text.hidden_size);
  // One pair of a rotary angle, by columns of the norm as well.
  const auto keys = counts(layer + "self_attn.k_proj.weight"),
             queries = counts(layer + "self_attn.q_proj.weight");
  EXPECT_EQ(keys.at(16), 2 * (text.hidden_size - some));
  EXPECT_EQ(queries.at(1.0 / 256), 2 * some * text.num_attention_heads / text.num_key_value_heads);
  EXPECT_EQ(counts("model.language_model.norm.weight").size(), 1U);  // the embedding reads it, too
}

TEST(Outliers, RefusesAndLeavesNothingBehind) {
  Context context(ContextOptions{.num_threads = 2});
  const TemporaryFolder folder;
  const auto with = [&](const OutlierOptions& options) {
    return [&, options] { add_outliers(context, small_model("tiny"), folder / "out", options); };
  };
  for (const double factor : {0.0, -1.0, std::nan("")})
    expect_error(with({.factor = factor}), ErrorCode::kInvalidArgument, "factor");
  for (const double share : {0.0, 1.5})
    expect_error(with({.share = share}), ErrorCode::kInvalidArgument, "share");
  expect_error(with({.places = {"eyes"}}), ErrorCode::kInvalidArgument, "\"eyes\"");
  expect_error(with({.parts = {"head"}}), ErrorCode::kInvalidArgument, "\"head\"");
  expect_error(with({.factor = 1e7, .dtype = DType::kF16}), ErrorCode::kInvalidArgument, "f16 cannot");
  ThreadPool threads(1);
  quantize_checkpoint(threads, small_model("tiny"), folder / "int8", {DType::kInt8, {}, {}, {}});
  expect_error([&] { add_outliers(context, folder / "int8", folder / "out", {}); }, ErrorCode::kUnsupported,
               "is quantised");
  context.cancel();
  expect_error(with({}), ErrorCode::kCancelled, "");
  context.clear_cancel();
  EXPECT_FALSE(fs::exists(folder / "out"));
  with({})();
  expect_error(with({}), ErrorCode::kInvalidArgument, "is there already");
}

}  // namespace
}  // namespace vl3
