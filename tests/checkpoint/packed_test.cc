// Checkpoints that AWQ, GPTQ and bitsandbytes packed: what comes out is what their own programs get.
#include <algorithm>
#include <cstring>
#include <set>

#include "base/file.h"
#include "checkpoint/checkpoint_files.h"
#include "checkpoint/half.h"

namespace vl3::test {
namespace {

namespace fs = std::filesystem;

// The weight that the cases of tests/data/checkpoint/packed.safetensors have the shape of, [8, 32].
constexpr const char* kBase = "model.language_model.layers.0.self_attn.v_proj";

Config packed_config() {
  Config config = small_config();
  config.text.hidden_size = 32;
  config.text.intermediate_size = 40;
  config.dtype = DType::kF16;
  return config;
}

struct Case {
  std::string name;
  Json quantization;
  NamedTensors parts;  // by name in the checkpoint
  Tensor dense;
};

std::vector<Case> cases() {
  const SafetensorsFile file = SafetensorsFile::open(data_path("checkpoint/packed.safetensors"));
  std::vector<Case> result;
  for (const auto& [name, config] : file.metadata()) {
    Case one{name, Json::parse(config), {}, file.get(name + "/dense")};
    for (const TensorInfo& info : file.tensors()) {
      if (!info.name.starts_with(name + "/") || info.name.ends_with("/dense")) continue;
      one.parts.emplace_back(kBase + ("." + info.name.substr(name.size() + 1)), file.get(info.name));
    }
    result.push_back(std::move(one));
  }
  return result;
}

Case the_case(const std::string& name) {
  for (Case& one : cases()) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << name;
  return {};
}

void write(const fs::path& folder, const Case& one, const std::set<std::string>& without = {}) {
  const Config config = packed_config();
  Json json = config.to_json(config.layout);
  json["quantization_config"] = one.quantization;
  write_text(folder / "config.json", json.dump());
  NamedTensors tensors = one.parts;
  for (auto& named : small_weights(config)) {
    if (named.first != std::string(kBase) + ".weight" && !without.contains(named.first))
      tensors.push_back(std::move(named));
  }
  write_safetensors(folder / "model.safetensors", tensors);
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

TEST(PackedWeights, EqualWhatTheirProgramsGet) {
  const auto all = cases();
  EXPECT_GE(all.size(), 13u);
  for (const Case& one : all) {
    SCOPED_TRACE(one.name);
    TemporaryFolder folder;
    write(folder.path(), one);
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    const Tensor weight = checkpoint.get(std::string(kBase) + ".weight");
    EXPECT_TRUE(same(weight, one.dense)) << to_string(weight.shape()) << " " << to_string(weight.dtype());
    EXPECT_TRUE(checkpoint.contains(std::string(kBase) + ".bias"));
    EXPECT_FALSE(checkpoint.contains(std::string(kBase) + ".qweight"));
    EXPECT_TRUE(inspect(folder.path())["problems"].empty()) << inspect(folder.path())["problems"].dump();
  }
}

// As AutoGPTQ writes them.
TEST(PackedWeights, BiasesOfZerosThatNoLayerHasArePassedOver) {
  Case one = the_case("gptq");
  const std::string name = "model.language_model.layers.0.self_attn.o_proj";  // [32, 16]
  const int64_t groups = 16 / one.quantization["group_size"].get<int64_t>();
  Tensor g_idx = Tensor::zeros({16}, DType::kI32), bias = Tensor::zeros({32}, DType::kF16);
  for (int64_t i = 0; i < 16; ++i) g_idx.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * groups / 16);
  one.parts.emplace_back(name + ".qweight", Tensor::zeros({2, 32}, DType::kI32));
  one.parts.emplace_back(name + ".qzeros", Tensor::zeros({groups, 4}, DType::kI32));
  one.parts.emplace_back(name + ".scales", Tensor::zeros({groups, 32}, DType::kF16));
  one.parts.emplace_back(name + ".g_idx", g_idx);
  one.parts.emplace_back(name + ".bias", bias);
  const TemporaryFolder folder;
  write(folder.path(), one, {name + ".weight"});
  EXPECT_FALSE(Checkpoint::open(folder.path()).contains(name + ".bias"));
  EXPECT_TRUE(inspect(folder.path())["problems"].empty()) << inspect(folder.path())["problems"].dump();
  reinterpret_cast<uint16_t*>(bias.mutable_raw())[31] = 0x3c00;  // 1
  write(folder.path(), one, {name + ".weight"});
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorCode::kFormat, {"unexpected", "o_proj.bias"});
}

// Sign, zero, the ends of the range and every half of f16 and bf16.
TEST(PackedWeights, HalvesRoundToNearestEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float f = from_f16(half), b = from_bf16(half);
    if (f == f) {
      ASSERT_EQ(to_f16(f), half) << bits;
    }
    if (b == b) {
      ASSERT_EQ(to_bf16(b), half) << bits;
    }
    // Halfway to the next one: to the even of the two.
    if ((half & 0x7fff) >= 0x7bff) continue;
    const float next = from_f16(static_cast<uint16_t>(half + 1)), middle = (f + next) / 2;
    ASSERT_EQ(to_f16(middle), half % 2 == 0 ? half : half + 1) << bits;
  }
  EXPECT_EQ(to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(to_f16(65519.0f), 0x7bff);
}

TEST(PackedWeights, ThatDoNotFitAreToldTogether) {
  TemporaryFolder folder;
  const auto broken = [&](const std::string& name, const auto& change,
                          const std::vector<std::string>& words) {
    Case one = the_case(name);
    change(one);
    write(folder.path(), one);
    expect_error([&] { Checkpoint::open(folder.path()).get(std::string(kBase) + ".weight"); },
                 ErrorCode::kFormat, words);
  };
  const auto without = [](const char* ending) {
    return [ending](Case& one) {
      std::erase_if(one.parts, [&](const auto& part) { return part.first.ends_with(ending); });
    };
  };
  broken("awq", without(".qzeros"), {"v_proj has no qzeros", "missing"});
  broken("awq", without(".scales"), {"v_proj has no scales"});
  broken("nf4", without(".absmax"), {"v_proj.weight", "blocks of 32"});
  broken("nf4_nested", without(".nested_absmax"), {"v_proj.weight"});
  broken("awq", [](Case& one) { one.quantization["group_size"] = 16; },
         {"scales of shape [4, 8], not [2, 8]"});
  broken("gptq", [](Case& one) { one.quantization["bits"] = 8; },
         {"v_proj has a qzeros of shape [4, 1], not [4, 2]", "g_idx"});
  broken("gptq_act_order",
         [](Case& one) {
           for (auto& [name, tensor] : one.parts) {
             if (!name.ends_with(".g_idx")) continue;
             tensor = tensor.clone();
             tensor.mutable_data<int32_t>()[3] = 4;
           }
         },
         {"g_idx\"[3] is 4, not a group from 0 to 3"});
  broken("awq_whole",
         [](Case& one) {
           for (auto& [name, tensor] : one.parts) {
             if (name.ends_with(".qweight")) tensor = Tensor::zeros({0, 1}, DType::kI32);
           }
         },
         {"v_proj has a qweight of shape [0, 1]"});
  // Packed weights without a word of it in config.json are no weights of this model.
  broken("awq", [](Case& one) { one.quantization = nullptr; }, {"unexpected", "v_proj.qweight"});
}

TEST(PackedWeights, OtherMethodsAreRefusedByName) {
  const std::pair<const char*, const char*> refused[] = {
      {R"({"quant_method": "fp8"})", "\"fp8\""},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})", "\"compressed-tensors\""},
      {R"({"quant_method": "hqq"})", "\"hqq\""},
      {R"({"quant_method": "auto-round", "bits": 4})", "\"auto-round\""},
      {R"({"quant_method": "torchao"})", "\"torchao\""},
      {R"({"quant_method": "awq", "version": "GEMV"})", "\"gemv\""},
      {R"({"quant_method": "awq", "version": "gemm", "backend": "llm-awq"})", "llm-awq"},
      {R"({"quant_method": "awq", "bits": 3})", "AWQ of 3 bits"},
      {R"({"quant_method": "gptq", "checkpoint_format": "marlin"})", "\"marlin\""},
      {R"({"quant_method": "gptq", "is_marlin_format": true})", "marlin"},
      {R"({"quant_method": "gptq", "bits": 5})", "GPTQ of 5 bits"},
      {R"({"quant_method": "gptq", "pack_dtype": "int16"})", "int16"},
      {R"({"quant_method": "bitsandbytes", "load_in_8bit": true})", "LLM.int8"},
      {R"({"load_in_8bit": true})", "LLM.int8"},
      {R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_storage": "bfloat16"})",
       "bfloat16"},
  };
  const Config config = packed_config();
  for (const auto& [quantization, words] : refused) {
    Json json = config.to_json(config.layout);
    json["quantization_config"] = Json::parse(quantization);
    expect_error([&] { Config::from_json(json, "config.json"); }, ErrorCode::kUnsupported,
                 {"config.json: quantization_config", words, "not supported", "not quantised"});
  }
  Json json = config.to_json(config.layout);
  json["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 0}};
  expect_error([&] { Config::from_json(json, "config.json"); }, ErrorCode::kFormat, {"group_size"});
}

}  // namespace
}  // namespace vl3::test
