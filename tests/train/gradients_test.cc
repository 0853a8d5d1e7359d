// Gradients of the whole model: packed samples against samples alone, small passes against one, and finite
// differences; and that bf16 learns.

#include <cmath>
#include <cstring>

#include "base/random.h"
#include "train/data/samples.h"
#include "train_support.h"
#include "vl3/forward_io.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

Json turn(const std::string& from, const std::string& value) { return {{"from", from}, {"value", value}}; }
std::string tiny() { return test::data_path("../../models/tiny").string(); }

std::vector<Json> rows() {
  return {
      {{"image", "shapes.png"},
       {"conversations", {turn("human", "<image>\nwhat is this?"), turn("gpt", "a red circle")}}},
      {{"conversations",
        {turn("human", "one two three"), turn("gpt", "four"), turn("human", "and?"), turn("gpt", "five")}}},
      {{"video", "moving.mp4"},
       {"conversations", {turn("human", "<video>\nwhat happened?"), turn("gpt", "the star moves right")}}},
      {{"image", "shapes.png"},
       {"conversations", {turn("human", "green<image>\nor blue?"), turn("gpt", "a green triangle")}}}};
}

// Settings for these rows, which fill one step.
Json settings(const test::TemporaryFolder& folder, const std::string& output = "out") {
  std::string text;
  for (const Json& row : rows()) text += row.dump() + "\n";
  test::write_text(folder / "rows.jsonl", text);
  return {{"model", tiny()},
          {"output", (folder / output).string()},
          {"data",
           {{{"rows", (folder / "rows.jsonl").string()},
             {"media", test::data_path("../../examples/media").string()}}}},
          {"rates", {{"vision_encoder", 1e-3}, {"projector", 1e-3}, {"llm", 1e-3}}},
          {"media", {{"max_visual_tokens", 64}}},
          {"batch", 4},
          {"schedule", "constant"},
          {"warmup", 0},
          {"steps", 1}};
}

// 2e-5 of the model's largest gradient, in every tensor: sums in another order.
void expect_equal(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  double model = 0;
  for (const auto& [name, gradient] : a) model = std::max(model, test::largest(gradient));
  for (const auto& [name, gradient] : a)
    EXPECT_LE(test::distance(gradient, b.at(name)), 2e-5 * std::max(test::largest(gradient), 0.1 * model))
        << name;
}

TEST(TrainingGradients, OfPackedSamplesAreTheSumOfEachAlone) {
  const test::TemporaryFolder folder;
  const Json json = settings(folder);
  const SampleMaker maker(Processor::from_pretrained(tiny()), test::config_of(json));
  ThreadPool threads(1);
  std::vector<Sample> samples;
  std::vector<const Sample*> all;
  double targets = 0;
  for (const Json& row : rows()) {
    samples.push_back(maker.make(threads, parse_row(row, "row", test::data_path("../../examples/media"))));
    targets += static_cast<double>(samples.back().targets);
  }
  for (const Sample& sample : samples) all.push_back(&sample);
  const auto input_of = [&](const std::vector<const Sample*>& of) {
    ForwardInput input = collate(of);
    input.loss_divisor = targets;
    return input;
  };
  test::Differentiated packed(json), alone(json);
  const double loss = packed.go_back(input_of(all));
  double sum = 0;
  for (const Sample* sample : all) sum += alone.go_back(input_of({sample}));
  EXPECT_NEAR(loss, sum, 1e-6 * loss);
  expect_equal(packed.gradients(), alone.gradients());
}

TEST(TrainingGradients, SmallPassesAddUpToOne) {
  const test::TemporaryFolder folder;
  Json once = settings(folder, "once"), often = settings(folder, "often");
  often["batch_tokens"] = 1;
  test::run(once);
  test::run(often);
  const Json a = test::log_of(folder / "once")[0], b = test::log_of(folder / "often")[0];
  EXPECT_EQ(a["samples"], 4);
  for (const char* key : {"samples", "tokens", "targets"}) EXPECT_EQ(a[key], b[key]) << key;
  for (const char* key : {"loss", "grad_norm"})
    EXPECT_NEAR(a[key].get<double>(), b[key].get<double>(), 1e-5 * a[key].get<double>()) << key;
  // The first moments are the gradients, clipped and times 1 - beta1.
  const auto moments = [&](const std::string& run) {
    const auto file = SafetensorsFile::open(folder / run / "checkpoints/step-00000001/training.safetensors");
    std::map<std::string, Tensor> result;
    for (const std::string& name : file.names())
      if (name.ends_with(".m")) result[name] = file.get(name);
    return result;
  };
  expect_equal(moments("once"), moments("often"));
}

// The first clip's second frame shows what its first one shows.
ForwardInput clips_with_equal_frames() {
  ForwardInput input =
      read_forward_input(SafetensorsFile::open(test::data_path("train/clips.safetensors")), "in.");
  const int64_t* grid = input.video_grid_thw.data<int64_t>();
  const int64_t patches = grid[1] * grid[2];
  EXPECT_GE(grid[0], 3);
  Tensor pixels = input.pixel_values_videos.clone();
  std::memcpy(pixels.rows(patches, 2 * patches).mutable_raw(), pixels.raw(), pixels.rows(0, patches).bytes());
  input.pixel_values_videos = pixels;
  return input;
}

TEST(TrainingGradients, OfEqualFramesAreAsIfEachWereEncoded) {
  test::Differentiated once(test::small_settings("/tmp/none")), every(test::small_settings("/tmp/none"));
  ForwardInput input = clips_with_equal_frames();
  const double loss = once.go_back(input);
  Probe probe;
  int stages = 0;
  probe.stage = [&](const std::string&, const Tensor&) { ++stages; };
  input.probe = &probe;  // a probe is shown every frame
  EXPECT_NEAR(loss, every.go_back(input), 1e-6 * loss);
  EXPECT_GT(stages, 0);
  expect_equal(once.gradients(), every.gradients());
}

// (L(w + h d) - L(w - h d)) / 2h along d, the direction of a tensor's gradient, is that gradient's length.
TEST(TrainingGradients, AreTheSlopeOfTheLoss) {
  test::Differentiated model(test::small_settings("/tmp/none"));
  const ForwardInput input =
      read_forward_input(SafetensorsFile::open(test::data_path("train/mixed.safetensors")), "in.");
  model.go_back(input);
  const auto gradients = model.gradients();
  std::map<Part, int> checked;
  for (uint32_t draw = 0; draw < 200; ++draw) {
    auto& tensors = model.tensors();
    TrainedTensor& t =
        tensors[static_cast<size_t>(uniform(5, 0, 0, draw) * static_cast<double>(tensors.size()))];
    if (checked[t.part] >= 6) continue;
    const std::span<const float> g = gradients.at(t.name).span<float>();
    double length = 0;
    for (const float v : g) length += static_cast<double>(v) * v;
    length = std::sqrt(length);
    if (length < 1e-2) continue;  // lost in the rounding of the loss
    ++checked[t.part];
    const Tensor before = t.value.clone();
    const auto loss_at = [&](double h) {
      for (size_t i = 0; i < g.size(); ++i)
        t.value.mutable_data<float>()[i] = static_cast<float>(before.data<float>()[i] + h * g[i] / length);
      const double loss = model.loss(input);
      std::copy_n(before.data<float>(), g.size(), t.value.mutable_data<float>());
      return loss;
    };
    constexpr double kStep = 4e-3;  // losses near 5 are rounded to 5e-7, which is 6e-5 of a slope
    const double slope =
        (8 * (loss_at(kStep) - loss_at(-kStep)) - (loss_at(2 * kStep) - loss_at(-2 * kStep))) / (12 * kStep);
    EXPECT_NEAR(slope, length, 1e-2 * length + 3e-4) << t.name;
  }
  for (const Part part : {Part::kVisionEncoder, Part::kProjector, Part::kLanguageModel})
    EXPECT_GE(checked[part], 3) << static_cast<int>(part);
}

TEST(Training, LowersTheLossInBf16AndF32) {
  const test::TemporaryFolder folder;
  for (const std::string name : {"f32", "bf16", "bf16 masters"}) {
    const std::string dtype = name.substr(0, name.find(' '));
    Json json = settings(folder, name);
    json["dtype"] = dtype;
    if (name != dtype) json["masters"] = dtype;
    json["recompute"] = true;
    json["steps"] = 25;
    test::run(json);
    const std::vector<Json> log = test::log_of(folder / name);
    ASSERT_EQ(log.size(), 25U);
    EXPECT_LT(log.back()["loss"].get<double>(), 0.5 * log.front()["loss"].get<double>()) << name;
    const SafetensorsFile model = SafetensorsFile::open(folder / name / "model.safetensors");
    EXPECT_EQ(model.get("model.language_model.norm.weight").dtype(),
              dtype == "bf16" ? DType::kBF16 : DType::kF32);
  }
}

TEST(Training, FrozenPartsStayAndFreshOnesAreDrawnByTheSeed) {
  const test::TemporaryFolder folder;
  const auto weights = [&](const std::string& name, uint64_t seed) {
    Json json = test::small_settings(folder / name);
    json["rates"] = {{"projector", 1e-3}};
    json["fresh"] = {"projector"};
    json["seed"] = seed;
    json["steps"] = 2;
    test::run(json);
    return SafetensorsFile::open(folder / name / "model.safetensors");
  };
  const SafetensorsFile one = weights("one", 1), same = weights("same", 1), other = weights("other", 2),
                        source = SafetensorsFile::open(test::small_model() + "/model.safetensors");
  ASSERT_EQ(one.names().size(), source.names().size());
  for (const std::string& name : source.names()) {
    const bool learned = name.find("projector") != std::string::npos;
    EXPECT_EQ(test::distance(one.get(name), same.get(name)), 0) << name;
    EXPECT_EQ(test::distance(one.get(name), source.get(name)) == 0, !learned) << name;
    if (learned && name.ends_with("weight")) {
      EXPECT_GT(test::distance(one.get(name), other.get(name)), 0.01) << name;
    }
  }
}

TEST(Training, FromTheOutputOfAnotherKeepsItsOwnLog) {
  const test::TemporaryFolder folder;
  Json first = test::small_settings(folder / "first"), second = test::small_settings(folder / "second");
  first["steps"] = 3;
  second["steps"] = 2;
  second["model"] = (folder / "first").string();
  test::run(first);
  test::run(second);
  EXPECT_EQ(test::log_of(folder / "first").size(), 3U);
  EXPECT_EQ(test::log_of(folder / "second").size(), 2U);
}

}  // namespace
}  // namespace vl3
