#include "vl3/checkpoint.h"

#include <cstring>
#include <random>
#include <set>

#include "checkpoint/checkpoint_files.h"
#include "checkpoint/folder_files.h"

namespace vl3::test {
namespace {

namespace fs = std::filesystem;

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

int64_t count_parameters(const Config& config) {
  int64_t count = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) count += num_elements(tensor.shape);
  return count;
}

TEST(ExpectedTensors, CountTheParametersOfThePublishedTwoBillion) {
  Config config;
  config.text.hidden_size = 1536;
  config.text.intermediate_size = 8960;
  config.text.num_hidden_layers = 28;
  config.text.num_attention_heads = 12;
  config.text.num_key_value_heads = 2;
  config.vision = {.hidden_size = 1152,
                   .intermediate_size = 4304,
                   .num_hidden_layers = 27,
                   .num_attention_heads = 16,
                   .patch_size = 14};
  config.tie_word_embeddings = true;
  EXPECT_EQ(count_parameters(config), 1959993584);
  config.tie_word_embeddings = false;
  EXPECT_EQ(count_parameters(config), 1959993584 + int64_t{151936} * 1536);
}

TEST(TensorNames, LayoutsTranslateBackAndForth) {
  int checked = 0;
  for (const ExpectedTensor& tensor : expected_tensors(small_config(false))) {
    for (const Layout layout : {Layout::kHuggingFace, Layout::kOriginal}) {
      EXPECT_EQ(canonical_name(layout_name(tensor.name, layout)), tensor.name);
      ++checked;
    }
    // Saved without the head: the prefix of the base model is gone.
    if (tensor.name.starts_with("model.")) {
      EXPECT_EQ(canonical_name(tensor.name.substr(6)), tensor.name);
    }
  }
  EXPECT_EQ(layout_name("model.vision_model.post_layernorm.bias", Layout::kOriginal),
            "model.vision_encoder.post_layernorm.bias");
  EXPECT_EQ(layout_name("model.projector.readout.0.bias", Layout::kOriginal),
            "model.mm_projector.readout.0.bias");
  EXPECT_EQ(layout_name("model.language_model.norm.weight", Layout::kOriginal), "model.norm.weight");
  std::printf("%d names translated\n", checked);
}

TEST(Checkpoint, OpensBothLayoutsWithEqualWeights) {
  for (const bool tied : {true, false}) {
    TemporaryFolder one, other;
    Config config = small_config(tied);
    const NamedTensors weights = small_weights(config);
    write_checkpoint(one.path(), config, weights);
    config.layout = Layout::kOriginal;
    config.video_token_id = config.image_token_id;
    write_checkpoint(other.path(), config, small_weights(config));
    const Checkpoint a = Checkpoint::open(one.path()), b = Checkpoint::open(other / "model.safetensors");
    EXPECT_EQ(b.config(), config);
    for (const auto& [name, tensor] : weights) {
      EXPECT_TRUE(same(a.get(name), tensor)) << name;
      EXPECT_TRUE(same(b.get(name), tensor)) << name;
    }
    EXPECT_EQ(same(a.get("lm_head.weight"), a.get("model.language_model.embed_tokens.weight")), tied);
    EXPECT_TRUE(a.contains("lm_head.weight"));
    EXPECT_FALSE(a.contains("lm_tail.weight"));
    expect_error([&] { a.get("lm_tail.weight"); }, ErrorCode::kNotFound, {"lm_tail.weight"});
    a.read_ahead();
  }
}

TEST(Checkpoint, TiesTheHeadAsTheReferenceDoes) {
  const Config config = small_config(true);
  const std::string embedding = "model.language_model.embed_tokens.weight";
  NamedTensors weights = small_weights(config);
  Tensor table;
  for (auto& [name, tensor] : weights) {
    if (name == embedding) table = tensor;
  }
  TemporaryFolder folder;
  weights.emplace_back("lm_head.weight", table);
  write_checkpoint(folder.path(), config, weights);
  EXPECT_TRUE(Checkpoint::open(folder.path()).config().tie_word_embeddings) << "the same twice";
  weights.back().second = table.clone();
  weights.back().second.mutable_data<float>()[3] += 1;
  write_checkpoint(folder.path(), config, weights);
  const Checkpoint untied = Checkpoint::open(folder.path());
  EXPECT_FALSE(untied.config().tie_word_embeddings) << "two different ones are not tied";
  EXPECT_TRUE(same(untied.get("lm_head.weight"), weights.back().second));
  std::erase_if(weights, [&](const auto& item) { return item.first == embedding; });
  write_checkpoint(folder.path(), config, weights);
  const Checkpoint head_only = Checkpoint::open(folder.path());
  EXPECT_TRUE(same(head_only.get(embedding), weights.back().second)) << "an only head is the embedding too";
}

TEST(Checkpoint, ListsEverythingThatIsWrongAtOnce) {
  TemporaryFolder folder;
  const Config config = small_config();
  NamedTensors weights = small_weights(config);
  const std::string gone = weights[0].first, bent = weights[4].first, wrong = weights[6].first;
  weights[4].second = Tensor::zeros({3, 3}, DType::kF32);
  weights[6].second = Tensor::zeros(weights[6].second.shape(), DType::kI64);
  weights.erase(weights.begin());
  weights.emplace_back("model.extra.weight", Tensor::zeros({1}, DType::kF32));
  weights.emplace_back("model.language_model.rotary_emb.inv_freq", Tensor::zeros({1}, DType::kF32));
  write_checkpoint(folder.path(), config, weights);
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorCode::kFormat,
               {"1 missing: " + gone + " [8, 3, 2, 2]", "1 misshapen: " + bent + " is [3, 3]",
                "1 unexpected: model.extra.weight", wrong + " is i64", "1 of a type"});
}

TEST(Checkpoint, RefusesOneWeightUnderTwoNames) {
  TemporaryFolder folder;
  const Config config = small_config();
  NamedTensors weights = small_weights(config);
  weights.emplace_back("model.mm_projector.readout.0.bias", Tensor::zeros({16}, DType::kF32));
  write_checkpoint(folder.path(), config, weights);
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorCode::kFormat,
               {"1 there twice", "model.mm_projector.readout.0.bias", "model.projector.readout.0.bias"});
}

// A checkpoint in two shards with its index, as JSON to be changed.
struct Sharded {
  explicit Sharded(const fs::path& folder) : root(folder) {
    const Config config = small_config();
    config.save(root);
    const NamedTensors weights = small_weights(config);
    const auto half = weights.begin() + static_cast<std::ptrdiff_t>(weights.size() / 2);
    write_safetensors(root / "model-1.safetensors", NamedTensors(weights.begin(), half));
    write_safetensors(root / "model-2.safetensors", NamedTensors(half, weights.end()));
    index["metadata"] = {{"total_size", 0}};
    for (auto item = weights.begin(); item != weights.end(); ++item) {
      index["weight_map"][item->first] = item < half ? "model-1.safetensors" : "model-2.safetensors";
    }
    save();
  }
  void save() const { write_text(root / "model.safetensors.index.json", index.dump()); }
  fs::path root;
  Json index;
};

TEST(Checkpoint, OpensShardsAndRefusesBrokenIndexes) {
  TemporaryFolder folder;
  Sharded sharded(folder.path());
  const auto open = [&] { Checkpoint::open(folder.path()); };
  EXPECT_EQ(Checkpoint::open(folder.path()).files().size(), 2u);
  const Json good = sharded.index;
  const std::string some = "model.projector.readout.0.bias";
  const auto with = [&](const std::string& file) {
    sharded.index = good;
    sharded.index["weight_map"][some] = file;
    sharded.save();
  };
  with("model-3.safetensors");
  expect_error(open, ErrorCode::kNotFound, {"index.json", "1 of 3", "model-3.safetensors"});
  with("../other.safetensors");
  expect_error(open, ErrorCode::kFormat, {"index.json", some, "../other.safetensors", "no plain name"});
  with("/etc/passwd");
  expect_error(open, ErrorCode::kFormat, {"index.json", "/etc/passwd"});
  with("..");
  expect_error(open, ErrorCode::kFormat, {"index.json", "\"..\""});
  with("");
  expect_error(open, ErrorCode::kFormat, {"index.json", some});
  with("model-1.bin");
  expect_error(open, ErrorCode::kUnsupported, {"index.json", "model-1.bin", ".safetensors"});
  with(good["weight_map"][some] == "model-1.safetensors" ? "model-2.safetensors" : "model-1.safetensors");
  expect_error(open, ErrorCode::kFormat, {"not in the file the index names", some});
  sharded.index["weight_map"][some] = 3;
  sharded.save();
  expect_error(open, ErrorCode::kFormat, {"index.json", some, "string"});
  sharded.index.erase("weight_map");
  sharded.save();
  expect_error(open, ErrorCode::kFormat, {"index.json", "weight_map"});
  write_text(folder / "model.safetensors.index.json", "{\"weight_map\":\n 1e999}");
  expect_error(open, ErrorCode::kFormat,
               {"index.json] is not valid JSON at line 2, column 6 (byte 21 of 22): number overflow"});
  write_text(folder / "model.safetensors.index.json", "{\"weight_map\": {");
  expect_error(open, ErrorCode::kFormat,
               {"index.json] is not valid JSON at line 1", "unexpected end of input"});
  sharded.index = good;
  sharded.save();
  fs::remove(folder / "model-2.safetensors");
  expect_error(open, ErrorCode::kNotFound, {"index.json", "1 of 2", "model-2.safetensors"});
  const std::string shard = read_text(folder / "model-1.safetensors");
  write_text(folder / "model-2.safetensors", shard);
  expect_error(open, ErrorCode::kFormat, {"there twice"});
  write_text(folder / "model-2.safetensors", shard.substr(0, shard.size() / 2));
  expect_error(open, ErrorCode::kFormat, {"model-2.safetensors"});
}

TEST(Checkpoint, RefusesFoldersWithoutWeightsItCanRead) {
  TemporaryFolder folder;
  const auto open = [&] { Checkpoint::open(folder.path()); };
  expect_error([&] { Checkpoint::open(folder / "none"); }, ErrorCode::kNotFound, {"none"});
  expect_error(open, ErrorCode::kNotFound, {"config.json"});
  small_config().save(folder.path());
  expect_error(open, ErrorCode::kNotFound, {"model.safetensors"});
  for (const char* name : {"pytorch_model.bin", "weights.pt", "weights.pth", "last.ckpt"}) {
    write_text(folder / name, "anything");
    expect_error(open, ErrorCode::kUnsupported, {name, "convert", "safetensors"});
    fs::remove(folder / name);
  }
  write_text(folder / "other.bin", std::string("PK\3\4") + "zip");
  expect_error(open, ErrorCode::kUnsupported, {"other.bin", "pickle"});
  expect_error([&] { Checkpoint::open(folder / "other.bin"); }, ErrorCode::kUnsupported,
               {"other.bin", "pickle"});
  write_text(folder / "model.safetensors", std::string("PK\3\4") + std::string(40, 'z'));
  expect_error(open, ErrorCode::kUnsupported, {"model.safetensors", "pickle"});
}

TEST(Checkpoint, OpensTheGoldenModels) {
  VL3_NEED_SHARED(models, "goldens/models");
  size_t opened = 0, tensors = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(models)) {
    SCOPED_TRACE(entry.path().string());
    const Checkpoint checkpoint = Checkpoint::open(entry.path());
    for (const ExpectedTensor& tensor : checkpoint.tensors()) {
      const Tensor weight = checkpoint.get(tensor.name);
      EXPECT_EQ(weight.dtype(), checkpoint.config().dtype);
      EXPECT_EQ(weight.shape(), tensor.shape);
      ++tensors;
    }
    EXPECT_TRUE(inspect(entry.path())["problems"].empty());
    ++opened;
  }
  const Checkpoint tied = Checkpoint::open(models / "tied"),
                   original = Checkpoint::open(models / "original_layout");
  for (const ExpectedTensor& tensor : tied.tensors()) {
    EXPECT_TRUE(same(tied.get(tensor.name), original.get(tensor.name))) << tensor.name;
  }
  EXPECT_EQ(original.config().layout, Layout::kOriginal);
  EXPECT_EQ(original.config().image_token_id, 600);
  EXPECT_EQ(original.config().video_token_id, 600);
  EXPECT_EQ(tied.config().text.rope, original.config().text.rope);
  EXPECT_EQ(Checkpoint::open(models / "untied_gqa").files().size(), 11u);
  EXPECT_FALSE(Checkpoint::open(models / "untied_gqa").config().tie_word_embeddings);
  std::printf("%zu golden models opened, %zu tensors; the original layout's %zu equal\n", opened, tensors,
              tied.tensors().size());
}

TEST(Checkpoint, ReadsWhatTheReferenceWrote) {
  const Checkpoint checkpoint = Checkpoint::open(data_path("checkpoint/reference"));
  const Json expected = Json::parse(read_text(data_path("checkpoint/reference/expected.json")));
  size_t checked = 0;
  for (const auto& [name, sum] : expected["sums"].items()) {
    double total = 0;
    for (const float value : checkpoint.get(name).span<float>()) total += value;
    EXPECT_NEAR(total, sum.get<double>(), 1e-5) << name;
    ++checked;
  }
  EXPECT_EQ(checked, checkpoint.tensors().size());
  std::printf("%zu sums equal\n", checked);
}

TEST(OtherFiles, AreCopiedWithoutWeightsAndWithoutATrainingsOwn) {
  TemporaryFolder source, target;
  for (const char* name : {"config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors",
                           "model.safetensors.index.json", "log.jsonl", "training.json"})
    write_text(source.path() / name, "{}");
  write_text(target.path() / "log.jsonl", "its own");
  copy_other_files(source.path(), target.path());
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(target.path()))
    names.insert(entry.path().filename().string());
  EXPECT_EQ(names, (std::set<std::string>{"chat_template.jinja", "log.jsonl", "tokenizer.json"}));
  EXPECT_EQ(read_text(target.path() / "log.jsonl"), "its own");
}

}  // namespace
}  // namespace vl3::test
