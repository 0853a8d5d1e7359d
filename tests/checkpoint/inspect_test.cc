#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_files.h"

namespace vl3::test {
namespace {

TEST(Inspect, TellsWhatIsInACheckpoint) {
  TemporaryFolder folder;
  const Config config = small_config(false);
  write_checkpoint(folder.path(), config, small_weights(config));
  const Json report = inspect(folder.path());
  EXPECT_TRUE(report["problems"].empty()) << report["problems"];
  EXPECT_EQ(report["layout"], "video_llama_3");
  EXPECT_EQ(report["context_length"], 32768);
  EXPECT_EQ(report["tokens"]["image"], 40);
  EXPECT_EQ(report["tokens"]["eos"], Json::array({2}));
  EXPECT_EQ(report["parts"]["embeddings"]["parameters"], 50 * 16);
  EXPECT_EQ(report["parts"]["head"]["bytes"], 50 * 16 * 4);
  EXPECT_EQ(report["parts"]["projector"]["parameters"], 16 * 8 + 16 + 16 * 16 + 16);
  EXPECT_EQ(report["dtypes"]["f32"]["parameters"], report["total"]["parameters"]);
  int64_t sum = 0;
  for (const auto& [part, values] : report["parts"].items()) sum += values["parameters"].get<int64_t>();
  EXPECT_EQ(sum, report["total"]["parameters"].get<int64_t>());
  bool tokenizer = false;
  for (const Json& missing : report["missing_files"])
    tokenizer = tokenizer || missing["file"] == "tokenizer.json";
  EXPECT_TRUE(tokenizer);
  const std::string text = inspect_text(report);
  for (const char* word :
       {"video_llama_3", "32768 tokens", "projector", "model.safetensors", "missing files"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " not in\n" << text;
  }
}

TEST(Inspect, WorksWhereThingsAreMissing) {
  TemporaryFolder folder;
  Json report = inspect(folder.path());
  EXPECT_EQ(report["problems"].size(), 2u) << "neither config.json nor weights";
  EXPECT_FALSE(report.contains("layout"));
  EXPECT_FALSE(inspect_text(report).empty());
  small_config().save(folder.path());
  NamedTensors weights = small_weights(small_config());
  weights.pop_back();
  write_safetensors(folder / "model.safetensors", weights);
  report = inspect(folder.path());
  ASSERT_EQ(report["problems"].size(), 1u);
  EXPECT_NE(report["problems"][0].get<std::string>().find("1 missing"), std::string::npos);
  EXPECT_EQ(report["layout"], "video_llama_3");
  EXPECT_EQ(report["total"]["tensors"], weights.size());
  expect_error([&] { inspect(folder / "none"); }, ErrorCode::kNotFound, {"none"});
}

TEST(Inspect, TellsWhatIsInOneFile) {
  TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", NamedTensors{{"a", Tensor::zeros({2, 3}, DType::kF32)},
                                                           {"b", Tensor::zeros({4}, DType::kI64)}});
  Json report = inspect(folder / "x.safetensors");
  EXPECT_EQ(report["tensors"].size(), 2u);
  EXPECT_EQ(report["tensors"][0]["name"], "b");
  EXPECT_EQ(report["tensors"][1]["shape"], Json::array({2, 3}));
  EXPECT_EQ(report["metadata"]["format"], "pt");
  EXPECT_NE(inspect_text(report).find("[2,3]"), std::string::npos);
  write_text(folder / "x.safetensors", "broken");
  report = inspect(folder / "x.safetensors");
  EXPECT_EQ(report["problems"].size(), 1u);
  EXPECT_FALSE(inspect_text(report).empty());
}

}  // namespace
}  // namespace vl3::test
