// The whole network against what the reference recorded, stage by stage.

#include <cmath>
#include <map>

#include "support/support.h"
#include "vl3/checkpoint.h"
#include "vl3/forward_io.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

struct Difference {
  double largest = 0;    // |ours - golden|, over the rows that count
  double magnitude = 0;  // largest |golden|
};

// rows: which rows of [.., D] tensors count; empty: all of them.
Difference compare(const Tensor& ours, const Tensor& golden, const std::vector<bool>& rows) {
  EXPECT_EQ(ours.numel(), golden.numel());
  Difference d;
  const int64_t width = golden.dim(-1);
  for (int64_t i = 0; i < golden.numel() && ours.numel() == golden.numel(); ++i) {
    if (!rows.empty() && !rows[static_cast<size_t>(i / width)]) continue;
    const double g = golden.data<float>()[i], o = ours.data<float>()[i];
    if (!std::isfinite(o)) d.largest = INFINITY;
    d.largest = std::max(d.largest, std::abs(o - g));
    d.magnitude = std::max(d.magnitude, std::abs(g));
  }
  return d;
}

std::vector<bool> flags(const Tensor& tensor) {
  std::vector<bool> result;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    result.push_back(tensor.dtype() == DType::kI64 ? tensor.data<int64_t>()[i] != 0
                                                   : tensor.raw()[i] != std::byte{0});
  }
  return result;
}

// Which rows of a stage the goldens bind: real tokens, and visual tokens that the mask keeps.
std::vector<bool> rows_that_count(const std::string& name, const SafetensorsFile& golden) {
  const bool clip = golden.contains("in.pixel_values_videos") &&
                    (name.ends_with(".1") || !golden.contains("in.pixel_values"));
  if (name.starts_with("out.text") || name == "out.logits") return flags(golden.get("in.attention_mask"));
  if (clip && (name.starts_with("out.vision.out") || name.starts_with("out.projector"))) {
    return flags(golden.get("in.video_compression_mask"));
  }
  return {};
}

std::map<std::string, Difference> differences(const std::filesystem::path& model_folder,
                                              const std::filesystem::path& golden_file) {
  const auto model = ForConditionalGeneration::from_pretrained(model_folder);
  const SafetensorsFile golden = SafetensorsFile::open(golden_file);
  Context context(ContextOptions{.compute = Compute::kF32});
  const auto outputs = forward_all_stages(context, model, read_forward_input(golden, "in."));
  std::map<std::string, Tensor> ours(outputs.begin(), outputs.end());
  std::map<std::string, Difference> result;
  for (const std::string& name : golden.names()) {
    if (!name.starts_with("out.")) continue;
    const auto found = ours.find(name.substr(4));
    if (found == ours.end()) {
      ADD_FAILURE() << "no output " << name;
      continue;
    }
    result[name] = compare(found->second, golden.get(name), rows_that_count(name, golden));
  }
  return result;
}

const char* const kCases[] = {"text", "image", "two_images", "video", "mixed_batch"};

TEST(Forward, EveryStageEqualsTheReference) {
  VL3_NEED_SHARED(shared, "goldens");
  int tensors = 0;
  for (const std::string model : {"tied", "untied_gqa", "real_heads"}) {
    for (const std::string name : kCases) {
      const auto file = shared / "forward" / (model + "." + name + ".safetensors");
      for (const auto& [stage, d] : differences(shared / "models" / model, file)) {
        EXPECT_LE(d.largest, 2e-4 * d.magnitude) << model << " " << name << " " << stage;
        ++tensors;
      }
    }
  }
  std::printf("%d tensors of the reference compared\n", tensors);
}

TEST(Forward, TheOriginalLayoutIsTheSameModel) {
  VL3_NEED_SHARED(shared, "goldens");
  for (const std::string name : {"text", "image", "two_images"}) {
    const auto file = shared / "forward" / ("tied." + name + ".safetensors");
    for (const auto& [stage, d] : differences(shared / "models" / "original_layout", file)) {
      EXPECT_LE(d.largest, 2e-4 * d.magnitude) << name << " " << stage;
    }
  }
}

// Half-precision weights: no further from the float32 result of the same model than the reference's own run
// in that type.
TEST(Forward, HalfPrecisionWeightsStayWithinTheReferencesOwnError) {
  VL3_NEED_SHARED(shared, "goldens");
  int tensors = 0;
  for (const std::string type : {"bf16", "f16"}) {
    for (const std::string name : kCases) {
      const auto exact_file = shared / "forward" / ("real_heads." + name + ".safetensors");
      const auto half_file = shared / "forward" / ("real_heads_" + type + "." + name + ".safetensors");
      const auto exact = SafetensorsFile::open(exact_file), half = SafetensorsFile::open(half_file);
      for (const auto& [stage, d] : differences(shared / "models" / ("real_heads_" + type), exact_file)) {
        if (!half.contains(stage) || half.get(stage).shape() != exact.get(stage).shape()) continue;
        const Difference reference =
            compare(half.get(stage), exact.get(stage), rows_that_count(stage, exact));
        EXPECT_LE(d.largest, reference.largest) << type << " " << name << " " << stage;
        ++tensors;
      }
    }
  }
  std::printf("%d tensors in half precision compared\n", tensors);
}

TEST(Forward, TheBundledModelEqualsTheReference) {
  const auto root = test::data_path("").parent_path().parent_path().parent_path();
  const auto found = differences(root / "models" / "tiny", test::data_path("model/forward.safetensors"));
  EXPECT_GE(found.size(), 3U);
  for (const auto& [stage, d] : found) EXPECT_LE(d.largest, 2e-4 * d.magnitude) << stage;
}

}  // namespace
}  // namespace vl3
