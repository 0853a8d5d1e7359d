// Training an adapter: PEFT's gradients, what changes and what does not, and runs that go on.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "autograd/tape.h"
#include "runtime/context_parts.h"
#include "support/expect_failure.h"
#include "support/support.h"
#include "train/trainable.h"
#include "vl3/error.h"
#include "vl3/forward_io.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

using namespace test;
namespace fs = std::filesystem;

fs::path tiny() { return data_path("../../models/tiny"); }
fs::path inputs() { return data_path("model/forward.safetensors"); }

Json settings(const fs::path& output, const Json& lora, int64_t steps = 6) {
  return {{"model", tiny().string()},
          {"output", output.string()},
          {"data", {{{"tensors", inputs().string()}, {"prefix", "in."}}}},
          {"rates", {{"llm", 2e-2}}},
          {"lora", lora},
          {"batch", 2},
          {"steps", steps},
          {"schedule", "constant"},
          {"warmup", 0},
          {"save_every", 2},
          {"keep", 100}};
}

TrainReport run(const Json& json) {
  Context context(ContextOptions{.num_threads = 2});
  return train(context, TrainConfig::from_json(json, "test"));
}

double loss_of(const fs::path& adapter) {
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const auto model = ForConditionalGeneration::from_pretrained(tiny(), adapter);
  const ForwardInput input = read_forward_input(SafetensorsFile::open(inputs()), "in.");
  return static_cast<double>(model.forward(context, input).loss.data<float>()[0]);
}

bool same_file(const fs::path& a, const fs::path& b) { return read_text(a) == read_text(b); }

TEST(Lora, GradientsEqualPeft) {
  TemporaryFolder folder;
  const TrainConfig config = TrainConfig::from_json(
      settings(folder / "out", {{"adapter", data_path("lora/plain").string()}, {"dropout", 0}}), "test");
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const Trainable trainable(context, config);
  ASSERT_EQ(trainable.tensors().size(), 28u);
  Tape tape;
  trainable.watch(tape);
  set_tape(context, &tape);
  const ForwardInput input = read_forward_input(SafetensorsFile::open(inputs()), "in.");
  tape.backward(context, trainable.model().forward(context, input).loss);
  set_tape(context, nullptr);
  const SafetensorsFile golden = SafetensorsFile::open(data_path("lora/plain.safetensors"));
  double worst = 0;
  for (const TrainedTensor& t : trainable.tensors()) {
    const Tensor ours = tape.gradient(t.value), theirs = golden.get("grad." + t.name);
    ASSERT_EQ(ours.shape(), theirs.shape()) << t.name;
    double largest = 0, magnitude = 0;
    for (int64_t i = 0; i < ours.numel(); ++i) {
      const double g = theirs.data<float>()[i];
      largest = std::max(largest, std::abs(ours.data<float>()[i] - g));
      magnitude = std::max(magnitude, std::abs(g));
    }
    EXPECT_GT(magnitude, 0) << t.name;
    EXPECT_LE(largest, 2e-4 * magnitude) << t.name;
    worst = std::max(worst, largest / magnitude);
  }
  std::printf("largest difference of a gradient: %.1e of its largest\n", worst);
}

TEST(Lora, AnAdapterLearnsAndNothingElseChanges) {
  TemporaryFolder folder;
  const std::string before = read_text(tiny() / "model.safetensors");
  const TrainReport report = run(settings(folder / "out", {{"rank", 8}, {"alpha", 16}}, 12));
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(read_text(tiny() / "model.safetensors"), before);
  EXPECT_FALSE(fs::exists(folder / "out" / "model.safetensors"));
  const Adapter adapter = Adapter::open(folder / "out", Config::from_pretrained(tiny()));
  EXPECT_EQ(adapter.layers.size(), 14u);
  EXPECT_TRUE(adapter.whole.empty());
  EXPECT_EQ(adapter.rank, 8);
  EXPECT_EQ(adapter.dropout, 0.05);
  EXPECT_EQ(adapter.base_model, tiny().string());
  const double first = loss_of({}), last = loss_of(folder / "out");
  EXPECT_LT(last, 0.8 * first);
  std::printf("loss %.3f, with the adapter %.3f\n", first, last);
}

// A new adapter changes nothing: B is 0. A is within PEFT's bounds and differs from layer to layer.
TEST(Lora, ANewAdapterBeginsAsPefts) {
  TemporaryFolder folder;
  Context context(ContextOptions{.num_threads = 1});
  const Trainable trainable(context,
                            TrainConfig::from_json(settings(folder / "out", Json::object()), "test"));
  fs::create_directory(folder / "out");
  trainable.save(folder / "out");
  EXPECT_EQ(loss_of(folder / "out"), loss_of({}));
  const Adapter adapter = Adapter::open(folder / "out", Config::from_pretrained(tiny()));
  EXPECT_EQ(adapter.rank, 64);
  EXPECT_EQ(adapter.scale(), 0.25f);
  const std::string layer = "model.language_model.layers.0.self_attn.";
  const Tensor q = adapter.layers.at(layer + "q_proj").a, k = adapter.layers.at(layer + "k_proj").a;
  EXPECT_NE(std::memcmp(q.raw(), k.raw(), q.bytes()), 0);
  double sum = 0, squares = 0, largest = 0;
  for (const float x : q.span<float>()) {
    sum += x;
    squares += x * x;
    largest = std::max(largest, std::abs(static_cast<double>(x)));
  }
  const double n = static_cast<double>(q.numel()), limit = 1 / std::sqrt(64.0);
  EXPECT_LE(largest, limit);
  EXPECT_NEAR(sum / n, 0, 4 * limit / std::sqrt(3 * n));
  EXPECT_NEAR(squares / n, limit * limit / 3, 0.1 * limit * limit / 3);
}

// With dropout, two passes a step, a projector that trains fully, and layers that run again on the way back.
TEST(Lora, AResumedRunHasTheSameBits) {
  TemporaryFolder folder;
  for (const std::string dtype : {"f32", "bf16"}) {
    const auto with = [&](const std::string& name, bool recompute) {
      Json json = settings(folder / (dtype + name),
                           {{"rank", 4}, {"dropout", 0.3}, {"targets", {"llm", "vision_encoder.fc1"}}});
      json["rates"] = {{"llm", 1e-2}, {"projector", 1e-3}, {"vision_encoder", 1e-3}};
      json["dtype"] = dtype;
      json["recompute"] = recompute;
      return json;
    };
    run(with("whole", false));
    run(with("again", true));
    const fs::path stopped = folder / (dtype + "stopped"), whole = folder / (dtype + "whole");
    fs::create_directories(stopped / "checkpoints");
    fs::copy(whole / "checkpoints" / "step-00000002", stopped / "checkpoints" / "step-00000002",
             fs::copy_options::recursive);
    const TrainReport report = run(with("stopped", false));
    EXPECT_EQ(report.resumed, 2);
    for (const std::string name : {"adapter_model.safetensors", "adapter_config.json",
                                   "checkpoints/step-00000006/training.safetensors"}) {
      EXPECT_TRUE(same_file(whole / name, stopped / name)) << dtype << " " << name;
      EXPECT_TRUE(same_file(whole / name, folder / (dtype + "again") / name)) << dtype << " " << name;
    }
    const Adapter adapter = Adapter::open(whole, Config::from_pretrained(tiny()));
    EXPECT_EQ(adapter.layers.size(), 16u);
    ASSERT_EQ(adapter.whole.size(), 4u);
    EXPECT_EQ(adapter.whole.begin()->second.dtype(), dtype == "f32" ? DType::kF32 : DType::kBF16);
    EXPECT_EQ(Json::parse(read_text(whole / "adapter_config.json"))["modules_to_save"],
              Json::array({"model.projector"}));
  }
}

TEST(Lora, GoesOnFromAnAdapter) {
  TemporaryFolder folder;
  const fs::path given = data_path("lora/mixed");
  Json json = settings(folder / "out", {{"adapter", given.string()}}, 3);
  json["rates"] = {{"llm", 5e-3}, {"vision_encoder", 1e-3}};  // its projector stays as it is
  run(json);
  const Config config = Config::from_pretrained(tiny());
  const Adapter before = Adapter::open(given, config), after = Adapter::open(folder / "out", config);
  EXPECT_EQ(after.rank, 3);
  EXPECT_EQ(after.layers.size(), before.layers.size());
  ASSERT_EQ(after.whole.size(), 4u);
  for (const auto& [name, tensor] : before.whole)
    EXPECT_EQ(std::memcmp(tensor.raw(), after.whole.at(name).raw(), tensor.bytes()), 0) << name;
  EXPECT_LT(loss_of(folder / "out"), loss_of(given));
}

TEST(Lora, WrongSettingsAreRefused) {
  TemporaryFolder folder;
  const auto with = [&](const Json& lora) { return settings(folder / "out", lora); };
  const auto refused = [&](const std::vector<std::string>& words, const Json& lora) {
    expect_failure(ErrorCode::kFormat, words, [&] { TrainConfig::from_json(with(lora), "test"); });
  };
  refused({"\"ranks\"", "rank, alpha, dropout, targets, adapter"}, {{"ranks", 3}});
  refused({"\"rank\"", "65536"}, {{"rank", 0}});
  refused({"\"dropout\"", "0.99"}, {{"dropout", 1}});
  refused({"\"alpha\""}, {{"alpha", "x"}});
  refused({"\"targets\""}, {{"targets", Json::array()}});
  refused({"\"rank\"", "\"adapter\""}, {{"adapter", "x"}, {"rank", 4}});
  expect_failure(ErrorCode::kInvalidArgument, {"[lora]", "lm_head"}, [&] {
    run(with({{"targets", {"lm_head"}}}));
  });
  expect_failure(ErrorCode::kInvalidArgument, {"projector", "rates"}, [&] {
    run(with({{"targets", {"projector"}}}));
  });
  Json fresh = with(Json::object());
  fresh["fresh"] = {"llm"};
  expect_failure(ErrorCode::kInvalidArgument, {"fresh", "llm"}, [&] { run(fresh); });
  // Written out and read again it says the same.
  for (const Json& lora : {Json{{"rank", 8}, {"targets", {"q_proj"}}}, Json{{"adapter", "x"}}}) {
    const Json once = TrainConfig::from_json(with(lora), "test").to_json();
    EXPECT_EQ(TrainConfig::from_json(once, "test").to_json(), once);
  }
}

TEST(Lora, ThePlanCountsWhatTrains) {
  TemporaryFolder folder;
  const Json plan = plan_training(TrainConfig::from_json(settings(folder / "out", {{"rank", 4}}), "test"));
  EXPECT_EQ(plan["adapter"]["layers"], 14);
  EXPECT_EQ(plan["adapter"]["parameters"], 8960);  // 2 layers · 4 · (128 + 96 + 96 + 128 + 3 · 224)
  EXPECT_EQ(plan["memory_bytes"]["weights_and_optimizer"], 16 * 8960);
}

// Of frozen matrices there is no product for the gradient of their weights.
TEST(Lora, AStepIsWorthWhatItComputes) {
  TemporaryFolder folder;
  const auto flops = [&](const std::string& name, const Json& lora) {
    Json json = settings(folder / name, lora, 1);
    if (lora.is_null()) json.erase("lora");
    Context context(ContextOptions{.num_threads = 2});
    double found = 0;
    train(context, TrainConfig::from_json(json, "test"),
          {.step = [&](const TrainStep& step) { found = step.flops; }});
    return found;
  };
  const double full = flops("full", nullptr), thin = flops("thin", {{"rank", 1}}),
               thick = flops("thick", {{"rank", 16}});
  EXPECT_LT(thin, 0.9 * full);
  EXPECT_GT(thin, 0.5 * full);
  EXPECT_GT(thick, 1.05 * thin);
}

}  // namespace
}  // namespace vl3
