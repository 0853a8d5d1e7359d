// Losses, gradients and AdamW against the reference: the project's own goldens, made in double, and the
// shared ones, made in f32.

#include <cmath>

#include "train_support.h"
#include "vl3/forward_io.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

// What both runs' gradients may be off by, as a share of their tensor's largest: the f32 reference by up to
// 1.3e-5 against the same run in double (shared goldens and another seed's), ours by up to 1.1e-5.
constexpr double kGradientError = 2.5e-5;

struct Case {
  fs::path model, inputs, golden;
  Json rates;  // by the reference's names of the parts
  std::string cpu;
  bool recompute = false;
};

Json settings_of(const Case& c, const fs::path& output) {
  const std::map<std::string, std::string> names = {
      {"vision_model", "vision_encoder"}, {"projector", "projector"}, {"language_model", "llm"}};
  Json rates = Json::object();
  for (const auto& [part, rate] : c.rates.items()) rates[names.at(part)] = rate;
  return {{"model", c.model.string()},
          {"output", output.string()},
          {"data", {{{"tensors", c.inputs.string()}, {"prefix", "in."}}}},
          {"rates", rates},
          {"weight_decay", 0.05},
          {"schedule", "constant"},
          {"warmup", 0},
          {"steps", 3},
          {"recompute", c.recompute}};
}

// Every gradient: within 1e-4 of the larger of its tensor's largest magnitude and a thousandth of the model's
// largest.
void compare_gradients(const Case& c, const Json& settings, const SafetensorsFile& golden) {
  test::Differentiated ours(settings, c.cpu);
  ForwardInput input = read_forward_input(SafetensorsFile::open(c.inputs), "in.");
  ours.go_back(input);
  const auto gradients = ours.gradients();
  double model = 0;
  for (const std::string& name : golden.names())
    if (name.starts_with("grad.")) model = std::max(model, test::largest(golden.get(name)));
  size_t compared = 0;
  for (const auto& [name, gradient] : gradients) {
    ASSERT_TRUE(golden.contains("grad." + name)) << name;
    const Tensor wanted = golden.get("grad." + name);
    ASSERT_TRUE(gradient.defined()) << name;
    EXPECT_LE(test::distance(gradient, wanted), 1e-4 * std::max(test::largest(wanted), 1e-3 * model)) << name;
    ++compared;
  }
  size_t expected = 0;
  for (const std::string& name : golden.names()) expected += name.starts_with("grad.");
  EXPECT_EQ(compared, expected);
}

double rate_of(const std::string& parameter, const Json& rates) {
  for (const auto& [part, rate] : rates.items()) {
    if (parameter.find("." + part + ".") != std::string::npos) return rate;
  }
  return rates["language_model"];  // of the head
}

// Parameters after three steps: 99.9 % of a tensor's elements within 1e-4 of its largest magnitude, all of
// them within 4e-3. Tensors of fewer than 1000 elements may have none off, and some (keys' biases above all)
// have gradients so near to zero that the reference in f32 and in double differ by more: AdamW divides by the
// gradient g, so an error of it moves a weight by up to rate · error / |g| in every step. Elements of small
// tensors are allowed that much beside the 1e-4.
void compare_parameters(const SafetensorsFile& ours, const SafetensorsFile& golden,
                        const SafetensorsFile& gradients, const Json& rates) {
  for (const std::string& name : golden.names()) {
    if (!name.starts_with("after.")) continue;
    const std::string parameter = name.substr(6);
    const Tensor wanted = golden.get(name), got = ours.get(parameter),
                 gradient = gradients.get("grad." + parameter);
    const double magnitude = test::largest(wanted), error = kGradientError * test::largest(gradient);
    const bool small = wanted.numel() < 1000;
    int64_t off = 0;
    for (int64_t i = 0; i < wanted.numel(); ++i) {
      const double moved = 3 * rate_of(parameter, rates) * error / std::abs(gradient.data<float>()[i]);
      const double distance = std::abs(static_cast<double>(got.data<float>()[i]) - wanted.data<float>()[i]);
      off += !(distance <= 1e-4 * magnitude + (small ? moved : 0));
    }
    EXPECT_LE(test::distance(got, wanted), 4e-3 * magnitude) << name;
    EXPECT_LE(off, wanted.numel() / 1000) << name << " of " << wanted.numel();
  }
}

// gradients: the file that has them for these inputs.
void compare(const Case& c, const fs::path& gradients_file) {
  SCOPED_TRACE(c.golden.string() + " " + c.cpu + (c.recompute ? " recompute" : ""));
  const test::TemporaryFolder folder;
  const Json settings = settings_of(c, folder / "out");
  const SafetensorsFile golden = SafetensorsFile::open(c.golden),
                        gradients = SafetensorsFile::open(gradients_file);
  if (c.golden == gradients_file) compare_gradients(c, settings, golden);
  test::run(settings, nullptr, c.cpu);
  const std::vector<Json> log = test::log_of(folder / "out");
  ASSERT_EQ(log.size(), 3U);
  for (size_t i = 0; i < log.size(); ++i) {
    EXPECT_NEAR(log[i]["loss"].get<double>(), golden.get(fmt::format("loss.{}", i)).data<float>()[0], 1e-4);
    EXPECT_NEAR(
        log[i]["grad_norm"].get<double>() / golden.get(fmt::format("grad_norm.{}", i)).data<float>()[0], 1,
        2e-4);
  }
  compare_parameters(SafetensorsFile::open(folder / "out" / "model.safetensors"), golden, gradients, c.rates);
}

TEST(TrainingGoldens, OwnOnesOnEveryPath) {
  const fs::path data = test::data_path("train");
  const Json stages = parse_json(test::read_text(data / "stages.json"), "stages.json");
  for (const auto& [stage, facts] : stages.items()) {
    const std::string inputs = facts["inputs"];
    const std::string with_gradients = inputs == "mixed" ? "vision_language_alignment" : stage;
    for (const char* cpu : {"", "baseline"}) {
      for (const bool recompute : {false, true}) {
        compare({data / "model", data / (inputs + ".safetensors"), data / (stage + ".safetensors"),
                 facts["rates"], cpu, recompute},
                data / (with_gradients + ".safetensors"));
      }
    }
  }
}

TEST(TrainingGoldens, SharedOnes) {
  VL3_NEED_SHARED(folder, "goldens/train");
  const Json stages = parse_json(test::read_text(folder / "stages.json"), "stages.json")["stages"];
  for (const char* model : {"tied", "untied_gqa"}) {
    for (const auto& [stage, rates] : stages.items()) {
      const fs::path golden = folder / fmt::format("{}.{}.safetensors", model, stage);
      for (const auto& [cpu, recompute] : {std::pair{"", false}, {"", true}, {"baseline", false}})
        compare({folder.parent_path() / "models" / model, golden, golden, rates, cpu, recompute}, golden);
    }
  }
}

}  // namespace
}  // namespace vl3
