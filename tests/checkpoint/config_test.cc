#include "vl3/config.h"

#include "checkpoint/checkpoint_files.h"

namespace vl3::test {
namespace {

Json text_json() { return small_config().to_json(Layout::kHuggingFace); }

Config parse(const Json& json) { return Config::from_json(json, "config.json"); }

TEST(Config, DefaultsAreThoseOfTheReferencesClasses) {
  const Config config = parse({{"model_type", "video_llama_3"}});
  EXPECT_EQ(config, Config());
  EXPECT_EQ(config.text.hidden_size, 4096);
  EXPECT_EQ(config.vision.patch_size, 16);
  EXPECT_EQ(config.text.rope.theta, 10000.0);
}

TEST(Config, SurvivesBeingWrittenInBothLayouts) {
  Config config = small_config(false);
  config.text.rope.type = "yarn";
  config.text.rope.theta = 1e6;
  config.text.rope.factor = 4.0;
  config.text.rope.original_max_position_embeddings = 8192;
  config.text.rope.attention_factor = 1.25;
  config.text.rope.mscale = 0.7;
  config.text.rope.truncate = false;
  config.text.head_dim = 8;  // not hidden_size / heads
  config.text.eos_token_ids = {2, 3};
  config.text.bos_token_id = 1;
  EXPECT_EQ(parse(config.to_json(Layout::kHuggingFace)), config);
  config.layout = Layout::kOriginal;
  config.video_token_id = config.image_token_id;
  config.use_token_compression = true;
  EXPECT_EQ(parse(config.to_json(Layout::kOriginal)), config);
  TemporaryFolder folder;
  config.save(folder.path());
  EXPECT_EQ(Config::from_pretrained(folder.path()), config);
  config.video_token_id = 7;
  expect_error([&] { config.to_json(Layout::kOriginal); }, ErrorCode::kInvalidArgument, {"one image token"});
}

TEST(Config, ReadsKeysOfReleaseFourAndFive) {
  Json four = text_json();
  four["torch_dtype"] = "bfloat16";
  four.erase("dtype");
  four["text_config"].erase("rope_parameters");
  four["text_config"].erase("layer_types");
  four["text_config"]["rope_theta"] = 5e5;
  four["text_config"]["rope_scaling"] = {{"type", "linear"}, {"factor", 2}};
  four["vision_config"].erase("rope_parameters");
  const Config config = parse(four);
  EXPECT_EQ(config.dtype, DType::kBF16);
  EXPECT_EQ(config.text.rope.type, "linear");
  EXPECT_EQ(config.text.rope.theta, 5e5);
  EXPECT_EQ(config.text.rope.factor, 2.0);
  four["text_config"]["rope_scaling"] = nullptr;
  EXPECT_EQ(parse(four).text.rope.type, "default");
  EXPECT_EQ(parse(four).text.rope.theta, 5e5);
}

TEST(Config, TiesWhereEitherPlaceSaysSo) {
  Json json = text_json();
  json["tie_word_embeddings"] = false;
  json["text_config"]["tie_word_embeddings"] = true;
  EXPECT_TRUE(parse(json).tie_word_embeddings);
  json["tie_word_embeddings"] = true;
  json["text_config"]["tie_word_embeddings"] = false;
  EXPECT_TRUE(parse(json).tie_word_embeddings);
  json.erase("tie_word_embeddings");
  EXPECT_FALSE(parse(json).tie_word_embeddings);
}

TEST(Config, YarnTakesItsDefaultsAsTheReferenceDoes) {
  Json json = text_json();
  Json& rope = json["text_config"]["rope_parameters"];
  rope = {{"rope_type", "yarn"}, {"rope_theta", 1e6}, {"factor", 4}, {"beta_fast", 0}};
  RopeConfig yarn = parse(json).text.rope;
  EXPECT_EQ(yarn.original_max_position_embeddings, 32768);
  EXPECT_EQ(yarn.beta_fast, 32.0);
  EXPECT_FALSE(yarn.attention_factor.has_value());
  EXPECT_TRUE(yarn.truncate);
  rope["factor"] = nullptr;
  rope["original_max_position_embeddings"] = 8192;
  rope["truncate"] = nullptr;
  yarn = parse(json).text.rope;
  EXPECT_EQ(yarn.factor, 4.0);
  EXPECT_FALSE(yarn.truncate);
}

struct BadValue {
  const char* pointer;  // which value of the good file is replaced
  Json value;
  ErrorCode code;
  std::vector<std::string> words;
};

const std::vector<BadValue>& bad_values() {
  const auto format = ErrorCode::kFormat, unsupported = ErrorCode::kUnsupported;
  static const std::vector<BadValue> values = {
      {"/model_type", "qwen2_vl", unsupported, {"model_type", "qwen2_vl", "video_llama_3"}},
      {"/model_type", 3, format, {"model_type", "3"}},
      {"/model_type", nullptr, format, {"model_type"}},
      {"/quantization_config", Json::object(), unsupported, {"quantization_config"}},
      {"/dtype", "float8_e4m3fn", unsupported, {"dtype", "float8_e4m3fn"}},
      {"/image_token_id", 50, format, {"image_token_id", "50", "49"}},
      {"/image_token_id", nullptr, format, {"no \"image_token_id\"", "151655"}},
      {"/video_token_id", -1, format, {"video_token_id", "-1"}},
      {"/tie_word_embeddings", "yes", format, {"tie_word_embeddings", "yes"}},
      {"/text_config", Json::array(), format, {"text_config"}},
      {"/text_config/model_type", "llama", unsupported, {"text_config", "model_type", "llama"}},
      {"/text_config/vocab_size", 0, format, {"vocab_size", "from 1"}},
      {"/text_config/vocab_size", 1e12, format, {"vocab_size"}},
      {"/text_config/hidden_size", -16, format, {"hidden_size", "-16"}},
      {"/text_config/hidden_size", "16", format, {"hidden_size", "\"16\""}},
      {"/text_config/hidden_size", 16.5, format, {"hidden_size", "16.5"}},
      {"/text_config/hidden_size", 18, format, {"hidden_size", "18", "divisible", "4"}},
      {"/text_config/intermediate_size", 0, format, {"intermediate_size"}},
      {"/text_config/num_hidden_layers", 5000, format, {"num_hidden_layers", "4096"}},
      {"/text_config/num_hidden_layers", 3, format, {"layer_types", "3"}},
      {"/text_config/num_attention_heads", 0, format, {"num_attention_heads"}},
      {"/text_config/num_key_value_heads", 3, format, {"num_attention_heads", "divisible", "3"}},
      {"/text_config/head_dim", 3, format, {"3 wide", "multiple of 2"}},
      {"/text_config/head_dim", 1048576, format, {"head_dim", "1048576"}},
      {"/text_config/max_position_embeddings", 0, format, {"max_position_embeddings"}},
      {"/text_config/rms_norm_eps", -1e-6, format, {"rms_norm_eps"}},
      {"/text_config/initializer_range", -0.1, format, {"initializer_range", "-0.1"}},
      {"/text_config/rms_norm_eps", "tiny", format, {"rms_norm_eps", "tiny"}},
      {"/text_config/hidden_act", "relu", unsupported, {"hidden_act", "relu", "silu"}},
      {"/text_config/layer_types/1", "sliding_attention", unsupported, {"layer_types", "sliding_attention"}},
      {"/text_config/layer_types", "full_attention", format, {"layer_types"}},
      {"/text_config/attention_bias", false, unsupported, {"attention_bias"}},
      {"/text_config/mlp_bias", true, unsupported, {"mlp_bias"}},
      {"/text_config/eos_token_id", 50, format, {"eos_token_id", "50"}},
      {"/text_config/eos_token_id", Json::array({2, "x"}), format, {"eos_token_id", "x"}},
      {"/text_config/pad_token_id", 999, format, {"pad_token_id", "999"}},
      {"/text_config/rope_parameters", "default", format, {"rope_parameters"}},
      {"/text_config/rope_parameters/rope_theta", 0, format, {"rope_theta"}},
      {"/text_config/rope_parameters/rope_type", "llama3", unsupported, {"rope_type", "llama3", "yarn"}},
      {"/text_config/rope_parameters/rope_type", "longrope", unsupported, {"rope_type", "longrope"}},
      {"/text_config/rope_parameters/rope_type", "mrope", unsupported, {"rope_type", "mrope"}},
      {"/text_config/rope_parameters/rope_type", "linear", format, {"factor", "linear"}},
      {"/text_config/rope_parameters/partial_rotary_factor",
       0.5,
       unsupported,
       {"partial_rotary_factor", "0.5"}},
      {"/text_config/rope_parameters/full_attention", Json::object(), unsupported, {"full_attention"}},
      {"/text_config/rope_scaling", {{"type", "dynamic"}, {"factor", 0}}, format, {"rope_scaling", "factor"}},
      {"/text_config/rope_scaling",
       {{"type", "yarn"}, {"factor", 2}, {"beta_fast", 1}, {"beta_slow", 2}},
       format,
       {"beta_fast", "beta_slow"}},
      {"/text_config/rope_scaling",
       {{"type", "yarn"}, {"factor", 2}, {"attention_factor", -1}},
       format,
       {"attention_factor"}},
      {"/vision_config/model_type", "siglip", unsupported, {"vision_config", "model_type", "siglip"}},
      {"/vision_config/hidden_size", 10, format, {"vision_config", "5 wide", "multiple of 4"}},
      {"/vision_config/patch_size", Json::array({2, 2}), unsupported, {"patch_size", "[2,2]"}},
      {"/vision_config/patch_size", 0, format, {"patch_size"}},
      {"/vision_config/num_channels", 0, format, {"num_channels"}},
      {"/vision_config/hidden_act", "relu", unsupported, {"hidden_act", "relu", "gelu"}},
      {"/vision_config/layer_norm_eps", 2, format, {"layer_norm_eps", "2"}},
      {"/vision_config/head_dim", 8, unsupported, {"head_dim", "8"}},
      {"/vision_config/rope_parameters/rope_type",
       "yarn",
       unsupported,
       {"vision_config", "rope_type", "axial"}},
  };
  return values;
}

TEST(Config, RefusesBadValuesOneByOne) {
  ASSERT_EQ(parse(text_json()), small_config());
  for (const BadValue& bad : bad_values()) {
    SCOPED_TRACE(std::string(bad.pointer) + " = " + bad.value.dump());
    Json json = text_json();
    json[Json::json_pointer(bad.pointer)] = bad.value;
    auto words = bad.words;
    words.push_back("config.json");
    expect_error([&] { parse(json); }, bad.code, words);
  }
  std::printf("%zu bad values refused\n", bad_values().size());
}

TEST(Config, SlidingWindowsCountOnlyWhereALayerUsesThem) {
  Json json = text_json();
  json["text_config"].erase("layer_types");
  json["text_config"]["use_sliding_window"] = true;
  EXPECT_NO_THROW(parse(json));  // 28 layers before the first with a window
  json["text_config"]["max_window_layers"] = 1;
  expect_error([&] { parse(json); }, ErrorCode::kUnsupported, {"use_sliding_window", "layers 1 to 1"});
  json["text_config"]["sliding_window"] = nullptr;
  EXPECT_NO_THROW(parse(json));
}

TEST(Config, RefusesBrokenFiles) {
  TemporaryFolder folder;
  const auto read = [&] { Config::from_pretrained(folder.path()); };
  expect_error(read, ErrorCode::kNotFound, {"config.json"});
  write_text(folder / "config.json", text_json().dump().substr(0, 300));
  expect_error(read, ErrorCode::kFormat, {"config.json] is not valid JSON at line 1, column ", "(byte "});
  write_text(folder / "config.json", "[]");
  expect_error(read, ErrorCode::kFormat, {"config.json", "object"});
  write_text(folder / "config.json", "");
  expect_error(read, ErrorCode::kFormat, {"config.json"});
  Json original = small_config().to_json(Layout::kHuggingFace)["text_config"];
  original["model_type"] = "videollama3_qwen2";
  write_text(folder / "config.json", original.dump());
  expect_error(read, ErrorCode::kFormat, {"config.json", "vision_encoder_config"});
  original["vision_encoder_config"] = text_json()["vision_config"];
  write_text(folder / "config.json", original.dump());
  expect_error(read, ErrorCode::kFormat, {"config.json", "image_token_index"});
  original["image_token_index"] = -1;
  write_text(folder / "config.json", original.dump());
  expect_error(read, ErrorCode::kFormat, {"config.json", "image_token_index", "-1"});
  original["image_token_index"] = 4;
  original["mm_projector_type"] = "linear";
  write_text(folder / "config.json", original.dump());
  expect_error(read, ErrorCode::kUnsupported, {"mm_projector_type", "linear"});
}

TEST(Config, GenerationConfigIsReadWhereItIs) {
  TemporaryFolder folder;
  EXPECT_FALSE(read_generation_config(folder.path()).has_value());
  write_text(folder / "generation_config.json", R"({"do_sample": true, "top_p": 0.9})");
  EXPECT_EQ((*read_generation_config(folder.path()))["top_p"], 0.9);
  write_text(folder / "generation_config.json", "3");
  expect_error([&] { read_generation_config(folder.path()); }, ErrorCode::kFormat,
               {"generation_config.json"});
}

}  // namespace
}  // namespace vl3::test
