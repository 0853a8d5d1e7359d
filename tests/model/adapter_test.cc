// Adapters of Hugging Face PEFT: what it saved opens, and the network computes with it what PEFT does.

#include "vl3/adapter.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "support/expect_failure.h"
#include "support/support.h"
#include "vl3/checkpoint.h"
#include "vl3/error.h"
#include "vl3/forward_io.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

using namespace test;
namespace fs = std::filesystem;

fs::path tiny() { return data_path("../../models/tiny"); }
fs::path adapter_path(const std::string& name) { return data_path("lora/" + name); }
Config tiny_config() { return Config::from_pretrained(tiny()); }

ForwardOutput answer(const ForConditionalGeneration& model, Compute compute = Compute::kF32) {
  Context context(ContextOptions{.num_threads = 2, .compute = compute});
  return model.forward(
      context, read_forward_input(SafetensorsFile::open(data_path("model/forward.safetensors")), "in."));
}

struct Difference {
  double largest = 0, magnitude = 0;
};
// Of the last columns, which hold no padding.
Difference compare(const Tensor& logits, const Tensor& expected) {
  const int64_t batch = expected.dim(0), columns = expected.dim(1), width = expected.dim(2);
  Difference d;
  for (int64_t b = 0; b < batch; ++b) {
    const float* ours = logits.data<float>() + ((b + 1) * logits.dim(1) - columns) * width;
    const float* theirs = expected.data<float>() + b * columns * width;
    for (int64_t i = 0; i < columns * width; ++i) {
      d.largest = std::max(d.largest, std::abs(static_cast<double>(ours[i]) - theirs[i]));
      d.magnitude = std::max(d.magnitude, std::abs(static_cast<double>(theirs[i])));
    }
  }
  return d;
}

TEST(Adapter, LogitsAndLossEqualPeft) {
  const Tensor without = answer(ForConditionalGeneration::from_pretrained(tiny())).logits;
  for (const std::string name : {"plain", "mixed"}) {
    const SafetensorsFile golden = SafetensorsFile::open(data_path("lora/" + name + ".safetensors"));
    const auto output = answer(ForConditionalGeneration::from_pretrained(tiny(), adapter_path(name)));
    const Difference d = compare(output.logits, golden.get("out.logits"));
    EXPECT_LE(d.largest, 2e-4 * d.magnitude) << name;
    EXPECT_GE(compare(without, golden.get("out.logits")).largest, 0.1 * d.magnitude) << "the adapter counts";
    EXPECT_NEAR(output.loss.data<float>()[0], golden.get("out.loss").data<float>()[0], 1e-4) << name;
    std::printf("%s: largest difference %.1e of %.2f\n", name.c_str(), d.largest, d.magnitude);
  }
}

// In f32: a model of f32 weights, so that merging rounds no more than products do.
TEST(Adapter, AMergedModelAnswersTheSame) {
  TemporaryFolder folder;
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  fs::create_directory(folder / "wide");
  const Checkpoint half = Checkpoint::open(tiny());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const ExpectedTensor& e : half.tensors()) {
    const Tensor stored = half.get(e.name), wide = Tensor::zeros(e.shape, DType::kF32);
    for (int64_t i = 0; i < wide.numel(); ++i) {
      const uint32_t bits = static_cast<uint32_t>(stored.data<bf16>()[i].bits) << 16;
      std::memcpy(wide.mutable_data<float>() + i, &bits, sizeof bits);
    }
    tensors.emplace_back(e.name, wide);
  }
  write_safetensors(folder / "wide" / "model.safetensors", tensors);
  fs::copy_file(tiny() / "config.json", folder / "wide" / "config.json");
  for (const std::string name : {"plain", "mixed"}) {
    const MergeReport report = merge_adapter(context, folder / "wide", adapter_path(name), folder / name);
    EXPECT_EQ(report.merged, name == "plain" ? 14 : 20);
    EXPECT_EQ(report.replaced, name == "plain" ? 0 : 4);
    const Tensor beside =
        answer(ForConditionalGeneration::from_pretrained(folder / "wide", adapter_path(name))).logits;
    const Difference d =
        compare(answer(ForConditionalGeneration::from_pretrained(folder / name)).logits, beside);
    EXPECT_LE(d.largest, 2e-5 * d.magnitude) << name;
  }
  // Into bf16 weights it rounds once, and says where it cannot.
  merge_adapter(context, tiny(), adapter_path("plain"), folder / "half");
  EXPECT_EQ(Checkpoint::open(folder / "half").get("model.language_model.layers.0.mlp.up_proj.weight").dtype(),
            DType::kBF16);
  EXPECT_TRUE(fs::exists(folder / "half" / "tokenizer.json"));
  expect_failure(ErrorCode::kInvalidArgument, {"is there already"},
                 [&] { merge_adapter(context, tiny(), adapter_path("plain"), folder / "half"); });
}

TEST(Adapter, SavedAndOpenedAgainIsTheSame) {
  TemporaryFolder folder;
  const Config config = tiny_config();
  for (const std::string name : {"plain", "mixed"}) {
    const Adapter first = Adapter::open(adapter_path(name), config);
    fs::create_directory(folder / name);
    first.save(folder / name, config);
    const Adapter again = Adapter::open(folder / name, config);
    EXPECT_EQ(again.rank, first.rank);
    EXPECT_EQ(again.scale(), first.scale());
    EXPECT_EQ(again.dropout, 0.05);
    ASSERT_EQ(again.layers.size(), first.layers.size());
    ASSERT_EQ(again.whole.size(), name == "plain" ? 0u : 4u);
    const SafetensorsFile ours = SafetensorsFile::open(folder / name / "adapter_model.safetensors"),
                          theirs = SafetensorsFile::open(adapter_path(name) / "adapter_model.safetensors");
    ASSERT_EQ(ours.names().size(), theirs.names().size());
    for (const std::string& tensor : theirs.names()) {
      const Tensor a = ours.get(tensor), b = theirs.get(tensor);
      EXPECT_TRUE(a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0) << tensor;
    }
  }
}

TEST(Adapter, TargetsNameLayersAndParts) {
  const Config config = tiny_config();
  EXPECT_EQ(targeted_layers(config, {"llm"}).size(), 14u);
  EXPECT_EQ(targeted_layers(config, {"q_proj", "v_proj"}).size(), 4u);  // none of the vision encoder's
  EXPECT_EQ(targeted_layers(config, {"layers.1.mlp.down_proj"}).size(), 1u);
  EXPECT_EQ(targeted_layers(config, {"vision_encoder.q_proj", "projector"}).size(), 4u);
  EXPECT_EQ(targeted_layers(config, {"vision_encoder"}).size(), 12u);  // without the convolution
  for (const std::string bad : {"lm_head", "embed_tokens", "vision_encoder.gate_proj", "proj"}) {
    expect_failure(ErrorCode::kInvalidArgument, {"[lora]", bad}, [&] { targeted_layers(config, {bad}); });
  }
}

TEST(Adapter, WhatDoesNotFitIsRefused) {
  TemporaryFolder folder;
  const Config config = tiny_config();
  expect_failure(ErrorCode::kNotFound, {"no such adapter folder"},
                 [&] { Adapter::open(folder / "none", config); });
  expect_failure(ErrorCode::kNotFound, {"adapter_config.json"}, [&] { Adapter::open(tiny(), config); });
  const fs::path copy = folder / "copy";
  fs::copy(adapter_path("plain"), copy);
  const Json good = Json::parse(read_text(copy / "adapter_config.json"));
  const auto with = [&](const char* key, const Json& value) {
    Json changed = good;
    changed[key] = value;
    write_text(copy / "adapter_config.json", changed.dump());
    return [&] { Adapter::open(copy, config); };
  };
  const auto unsupported = [&](const char* key, const Json& value) {
    expect_failure(ErrorCode::kUnsupported, {key}, with(key, value));
  };
  unsupported("peft_type", "IA3");
  unsupported("bias", "all");
  unsupported("fan_in_fan_out", true);
  unsupported("use_dora", true);
  unsupported("rank_pattern", {{"q_proj", 2}});
  unsupported("alpha_pattern", {{"q_proj", 2}});
  unsupported("init_lora_weights", "pissa");
  expect_failure(ErrorCode::kFormat, {"\"r\""}, with("r", 0));
  expect_failure(ErrorCode::kFormat, {"lora_dropout"}, with("lora_dropout", 1.5));
  expect_failure(ErrorCode::kFormat, {"adapter_model.safetensors", "[4, 64], not [5, 64]", "18 more"},
                 with("r", 5));

  const std::string layer = "base_model.model.model.language_model.layers.0.self_attn.q_proj";
  const auto holding = [&](const std::string& name, const Shape& shape, DType dtype = DType::kF32) {
    write_text(copy / "adapter_config.json", good.dump());
    const std::pair<std::string, Tensor> tensors[] = {
        {layer + ".lora_A.weight", Tensor::zeros({4, 64}, DType::kF32)}, {name, Tensor::zeros(shape, dtype)}};
    write_safetensors(copy / "adapter_model.safetensors", tensors);
    return [&] { Adapter::open(copy, config); };
  };
  expect_failure(ErrorCode::kFormat, {"q_proj has no lora_B", "lora_magnitude_vector"},
                 holding(layer + ".lora_magnitude_vector.weight", {64}));
  expect_failure(ErrorCode::kFormat, {"[3, 64]"}, holding(layer + ".lora_B.weight", {3, 64}));
  expect_failure(ErrorCode::kFormat, {"lora_B", "i64"},
                 holding(layer + ".lora_B.weight", {64, 4}, DType::kI64));
  expect_failure(ErrorCode::kFormat, {"lm_head", "no linear layer"},
                 holding("base_model.model.lm_head.lora_A.weight", {4, 64}));
  expect_failure(ErrorCode::kFormat, {"begin with"}, holding("model.x.lora_A.weight", {4, 64}));
  holding(layer + ".lora_B.weight", {64, 4});
  EXPECT_EQ(Adapter::open(copy, config).layers.size(), 1u);
  fs::remove(copy / "adapter_model.safetensors");
  expect_failure(ErrorCode::kNotFound, {"adapter_model.safetensors"}, [&] { Adapter::open(copy, config); });
  write_text(copy / "adapter_model.bin", "x");
  expect_failure(ErrorCode::kUnsupported, {"adapter_model.bin"}, [&] { Adapter::open(copy, config); });
}

}  // namespace
}  // namespace vl3
