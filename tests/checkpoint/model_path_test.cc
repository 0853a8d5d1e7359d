// What people give as a model, and what they are told where it is none.
#include <sys/stat.h>

#include <filesystem>

#include "base/model_folder.h"
#include "checkpoint/checkpoint_files.h"

namespace vl3::test {
namespace {

namespace fs = std::filesystem;

struct Folder {
  TemporaryFolder folder;
  fs::path root = folder / "model";
  Folder() {
    fs::create_directory(root);
    write_checkpoint(root, small_config(), small_weights(small_config()));
  }
};

TEST(ModelPath, AFileOfTheModelMeansItsFolder) {
  const Folder model;
  write_text(model.root / "tokenizer.json", "{}");
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    const Checkpoint checkpoint = Checkpoint::open(model.root / name);
    EXPECT_EQ(checkpoint.folder(), model.root) << name;
    EXPECT_EQ(checkpoint.tensors().size(), small_weights(small_config()).size()) << name;
    EXPECT_EQ(Config::from_pretrained(model.root / name), small_config()) << name;
  }
  EXPECT_EQ(model_folder(model.root), model.root);
  EXPECT_EQ(inspect(model.root / "config.json")["kind"], "checkpoint");
  EXPECT_EQ(inspect(model.root / "model.safetensors")["kind"], "safetensors");
  // Weights of another name are what was asked for.
  fs::copy_file(model.root / "model.safetensors", model.root / "ema.safetensors");
  write_text(model.root / "model.safetensors", "broken");
  EXPECT_EQ(Checkpoint::open(model.root / "ema.safetensors").folder(), model.root);
}

TEST(ModelPath, AShardMeansAllOfThem) {
  const Folder model;
  const NamedTensors weights = small_weights(small_config());
  fs::remove(model.root / "model.safetensors");
  Json index = {{"weight_map", Json::object()}};
  for (size_t i = 0; i < weights.size(); ++i)
    index["weight_map"][weights[i].first] =
        i < 5 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
  write_safetensors(model.root / "model-00001-of-00002.safetensors",
                    NamedTensors(weights.begin(), weights.begin() + 5));
  write_safetensors(model.root / "model-00002-of-00002.safetensors",
                    NamedTensors(weights.begin() + 5, weights.end()));
  write_text(model.root / "model.safetensors.index.json", index.dump());
  for (const char* name : {"model-00001-of-00002.safetensors", "model.safetensors.index.json"})
    EXPECT_EQ(Checkpoint::open(model.root / name).files().size(), 2u) << name;
}

TEST(ModelPath, SaysWhatElseAFolderIs) {
  struct Row {
    const char *file, *content;
    ErrorCode code;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"adapter_config.json",
       R"({"base_model_name_or_path": "DAMO/VL3-2B", "peft_type": "LORA"})",
       ErrorCode::kUnsupported,
       {"is an adapter of \"DAMO/VL3-2B\"", "--adapter", "merge"}},
      {"adapter_config.json", "broken", ErrorCode::kUnsupported, {"is an adapter", "--adapter"}},
      {"vl3-Q4_K_M.gguf",
       "GGUF",
       ErrorCode::kUnsupported,
       {"GGUF", "vl3-Q4_K_M.gguf", "original checkpoint"}},
      {"model.onnx", "x", ErrorCode::kUnsupported, {"ONNX", "model.onnx"}},
      {"openvino_model.xml", "x", ErrorCode::kUnsupported, {"OpenVINO"}},
      {"pytorch_model-00001-of-00002.bin",
       "x",
       ErrorCode::kUnsupported,
       {"pytorch_model-00001", "pickle", "convert"}},
      {"consolidated.00.pth", "x", ErrorCode::kUnsupported, {"consolidated.00.pth", "convert"}},
      {"tf_model.h5", "x", ErrorCode::kUnsupported, {"TensorFlow"}},
      {"flax_model.msgpack", "x", ErrorCode::kUnsupported, {"Flax"}},
      {"notes.md", "x", ErrorCode::kNotFound, {"no config.json"}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.file);
    const TemporaryFolder folder;
    write_text(folder / row.file, row.content);
    expect_error([&] { Checkpoint::open(folder.path()); }, row.code, row.words);
    const Json problems = inspect(folder.path())["problems"];
    EXPECT_NE(problems.dump().find(row.words[0].substr(0, 6)), std::string::npos) << problems.dump();
    // The same where config.json lies beside it, but for an adapter, which then is a model's.
    small_config().save(folder.path());
    if (row.code == ErrorCode::kUnsupported && std::string_view(row.file) != "adapter_config.json")
      expect_error([&] { Checkpoint::open(folder.path()); }, row.code, row.words);
  }
}

TEST(ModelPath, SaysWhereALinkLeadsNowhere) {
  const TemporaryFolder folder;
  small_config().save(folder.path());
  for (const char* target : {"../blobs/absent", "model.safetensors"}) {
    std::filesystem::create_symlink(target, folder / "model.safetensors");
    expect_error([&] { Checkpoint::open(folder.path()); }, ErrorCode::kUnsupported,
                 {"model.safetensors is a link to ", target, "not there"});
    std::filesystem::remove(folder / "model.safetensors");
  }
  // The model's own weights without a config.json are not what else there is.
  const TemporaryFolder other;
  write_text(other / "model.safetensors", "x");
  expect_error([&] { Checkpoint::open(other.path()); }, ErrorCode::kNotFound,
               {"no config.json", "no checkpoint"});
}

TEST(ModelPath, APipeIsNoFile) {
  const TemporaryFolder folder;
  small_config().save(folder.path());
  ASSERT_EQ(mkfifo((folder / "model.safetensors").c_str(), 0600), 0);
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorCode::kIo,
               {"model.safetensors", "not a regular file"});
}

TEST(ModelPath, SaysWhatElseAFileIs) {
  const TemporaryFolder folder;
  write_text(folder / "a.gguf", std::string("GGUF\3\0\0\0", 8));
  write_text(folder / "b.bin", std::string("PK\3\4zip"));
  write_text(folder / "c.onnx", "x");
  write_text(folder / "adapter_config.json", "{}");
  write_text(folder / "adapter_model.safetensors", "x");
  expect_error([&] { Checkpoint::open(folder / "a.gguf"); }, ErrorCode::kUnsupported,
               {"a.gguf] is a GGUF file"});
  expect_error([&] { Checkpoint::open(folder / "b.bin"); }, ErrorCode::kUnsupported,
               {"b.bin] is a pickle file"});
  expect_error([&] { Checkpoint::open(folder / "c.onnx"); }, ErrorCode::kUnsupported,
               {"c.onnx] is an ONNX file"});
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    expect_error([&] { Checkpoint::open(folder / name); }, ErrorCode::kUnsupported,
                 {"is an adapter", "--adapter"});
}

TEST(ModelPath, SaysWhatToDoWhereNothingIs) {
  expect_error([] { Checkpoint::open("DAMO-NLP-SG/VideoLLaMA3-2B"); }, ErrorCode::kNotFound,
               {"no such folder", "hub", "hf download DAMO-NLP-SG/VideoLLaMA3-2B"});
  const TemporaryFolder folder;
  expect_error([&] { Checkpoint::open(folder / "none"); }, ErrorCode::kNotFound, {"no such checkpoint"});
  // As a hub's cache, and a training, leave them.
  for (const char* inner : {"snapshots/0123abc", "checkpoint-500"}) {
    const TemporaryFolder outer;
    fs::create_directories(outer / inner);
    small_config().save(outer / inner);
    expect_error([&] { Checkpoint::open(outer.path()); }, ErrorCode::kNotFound,
                 {"no config.json", inner, "is one"});
  }
}

TEST(ModelPath, PointersOfGitLfsAreNamed) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
  for (const char* name : {"model.safetensors", "config.json"}) {
    const Folder model;
    write_text(model.root / name, pointer);
    expect_error([&] { Checkpoint::open(model.root); }, ErrorCode::kUnsupported,
                 {name, "Git LFS pointer", "git lfs pull"});
  }
}

TEST(ModelPath, OtherWeightsAreNamed) {
  const Folder model;
  fs::rename(model.root / "model.safetensors", model.root / "weights.safetensors");
  expect_error([&] { Checkpoint::open(model.root); }, ErrorCode::kUnsupported,
               {"neither model.safetensors", "weights.safetensors", "give that file"});
}

TEST(TensorNames, WrappersAreTakenOff) {
  const std::string inner = "model.language_model.layers.0.mlp.up_proj.weight";
  for (const char* wrapper :
       {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "base_model.model."}) {
    EXPECT_EQ(canonical_name(wrapper + inner), inner) << wrapper;
    EXPECT_EQ(canonical_name(wrapper + std::string("model.layers.1.input_layernorm.weight")),
              "model.language_model.layers.1.input_layernorm.weight");
  }
  EXPECT_EQ(canonical_name("model.language_model._orig_mod.layers.0._orig_mod.mlp.up_proj.weight"), inner);
  const Folder model;
  NamedTensors weights = small_weights(small_config());
  for (auto& [name, tensor] : weights) name = "module._orig_mod." + name;
  write_safetensors(model.root / "model.safetensors", weights);
  EXPECT_EQ(Checkpoint::open(model.root).get(inner).numel(), 24 * 16);
  // Twice there, wrapped and not: which one is meant cannot be known.
  weights.emplace_back(inner, Tensor::zeros({24, 16}, DType::kF32));
  write_safetensors(model.root / "model.safetensors", weights);
  expect_error([&] { Checkpoint::open(model.root); }, ErrorCode::kFormat,
               {"there twice", "module._orig_mod." + inner});
  // A model saved with an adapter's layers in it.
  weights.back() = {"base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight",
                    Tensor::zeros({2, 16}, DType::kF32)};
  write_safetensors(model.root / "model.safetensors", weights);
  expect_error([&] { Checkpoint::open(model.root); }, ErrorCode::kUnsupported,
               {"lora_A", "merge_and_unload", "--adapter"});
}

}  // namespace
}  // namespace vl3::test
