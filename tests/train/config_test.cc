// The configuration: presets, what is refused, and what the refusal says.

#include "train_support.h"

namespace vl3 {
namespace {

Json good() { return test::small_settings("/tmp/none"); }

std::string refusal(const Json& json) {
  ErrorCode code{};
  std::string message = test::message_of([&] { TrainConfig::from_json(json, "settings.json"); }, &code);
  EXPECT_EQ(code, ErrorCode::kFormat) << message;
  EXPECT_TRUE(message.starts_with("[settings.json")) << message;
  return message;
}

TEST(TrainConfig, ErrorsNameKeyValueAndLimit) {
  struct Bad {
    const char *key, *value;
    std::vector<const char*> told;
  };
  const Bad cases[] = {
      {"batch", "0", {"batch", "0", "1"}},
      {"batch", "\"four\"", {"batch", "four"}},
      {"batch", "1.5", {"batch", "1.5"}},
      {"batch_tokens", "0", {"batch_tokens", "1"}},
      {"max_length", "1", {"max_length", "2"}},
      {"steps", "-1", {"steps", "-1", "0"}},
      {"epochs", "0", {"epochs", "0", "1e-06"}},
      {"save_every", "-5", {"save_every", "-5", "0"}},
      {"keep", "0", {"keep", "0", "1"}},
      {"workers", "0", {"workers", "1", "1024"}},
      {"warmup", "-2", {"warmup", "-2", "-1"}},
      {"warmup_ratio", "1.5", {"warmup_ratio", "1.5", "0 to 1"}},
      {"weight_decay", "-0.1", {"weight_decay", "-0.1", "0 to 10"}},
      {"eps", "2", {"eps", "2", "0 to 1"}},
      {"clip_norm", "-1", {"clip_norm", "-1", "0 to"}},
      {"betas", "[0.9]", {"betas", "[0.9]", "two numbers"}},
      {"betas", "[0.9, 1.0]", {"betas", "0 to below 1"}},
      {"schedule", "\"linear\"", {"schedule", "linear", "cosine, constant"}},
      {"dtype", "\"f16\"", {"dtype", "f16", "f32, bf16"}},
      {"masters", "\"f16\"", {"masters", "f16", "f32, bf16"}},
      {"masters", "\"bf16\"", {"masters", "dtype", "f32"}},
      {"recompute", "1", {"recompute", "1"}},
      {"seed", "-1", {"seed", "-1"}},
      {"fresh", "[\"head\"]", {"fresh", "head", "vision_encoder, projector, llm"}},
      {"rates", "{\"head\": 1}", {"head", "vision_encoder, projector, llm"}},
      {"rates", "{\"llm\": 2}", {"rates", "llm", "2", "0 to 1"}},
      {"rates", "{\"llm\": \"fast\"}", {"rates", "llm", "fast"}},
      {"rates", "{}", {"rates", "nothing would be trained"}},
      {"rates", "3", {"rates", "3"}},
      {"media", "{\"fps\": 0}", {"media", "fps", "0.01 to 1000"}},
      {"media", "{\"size\": 3}", {"media", "size", "max_frames"}},
      {"media", "{\"times\": \"seconds\"}", {"media", "times", "timestamps, frames"}},
      {"media", "{\"rotate\": true}", {"media", "rotate"}},
      {"media", "{\"skip_broken_frames\": 1}", {"media", "skip_broken_frames"}},
      {"media", "{\"pictures_rate\": 0}", {"media", "pictures_rate", "0.01 to 1000"}},
      {"media", "{\"max_frames\": 0}", {"media", "max_frames", "1"}},
      {"media", "{\"image_merge_size\": 17}", {"media", "image_merge_size", "17", "16"}},
      {"data", "[]", {"data", "at least one"}},
      {"data", "{}", {"data", "list"}},
      {"data", "[{\"file\": \"x\"}]", {"data[0]", "file", "rows, media, weight"}},
      {"data", "[{\"media\": \"x\"}]", {"data[0]", "rows"}},
      {"data", "[{\"rows\": \"x\", \"weight\": -1}]", {"data[0]", "weight", "-1"}},
      {"data", "[{\"rows\": \"x\"}, {\"tensors\": \"y\"}]", {"data", "not both"}},
      {"learning_rate", "1e-5", {"learning_rate", "rates"}},
      {"model", "7", {"model", "7"}},
      {"output", "\"\"", {"output", "missing"}},
  };
  for (const Bad& bad : cases) {
    Json json = good();
    json[bad.key] = parse_json(bad.value, "case");
    const std::string message = refusal(json);
    for (const char* word : bad.told)
      EXPECT_NE(message.find(word), std::string::npos) << bad.key << " " << bad.value << ": " << message;
  }
}

TEST(TrainConfig, WhatMustBeThere) {
  for (const char* key : {"model", "output", "data"}) {
    Json json = good();
    json.erase(key);
    EXPECT_NE(refusal(json).find(fmt::format("\"{}\" is missing", key)), std::string::npos);
  }
  Json json = good();
  json.erase("steps");
  EXPECT_NE(refusal(json).find("\"steps\" is missing"), std::string::npos);
}

TEST(TrainConfig, StagesFillInWhatIsNotGiven) {
  for (const std::string& stage : stage_names()) {
    Json json = good();
    json.erase("rates");
    json["stage"] = stage;
    json["batch"] = 3;
    const TrainConfig config = test::config_of(json);
    EXPECT_EQ(config.rates.llm.has_value(), stage != "vision_encoder_adaptation");
    EXPECT_EQ(config.media.image_merge_size, stage == "video_centric_fine_tuning" ? 2 : 1);
    EXPECT_EQ(config.batch, 3);
    EXPECT_EQ(config.dtype, "bf16");
  }
  Json json = good();
  json["stage"] = "fifth";
  const std::string message = test::message_of([&] { test::config_of(json); });
  EXPECT_NE(message.find("fifth"), std::string::npos) << message;
  EXPECT_NE(message.find("video_centric_fine_tuning"), std::string::npos) << message;
}

TEST(TrainConfig, IsWhatItWritesDown) {
  Json json = good();
  json["media"] = {{"fps", 2},
                   {"max_frames", 7},
                   {"use_token_compression", false},
                   {"times", "frames"},
                   {"rotate", "auto"},
                   {"skip_broken_frames", true},
                   {"pictures_rate", 2.5}};
  json["fresh"] = {"projector"};
  json["betas"] = {0.8, 0.95};
  const Json written = test::config_of(json).to_json();
  EXPECT_EQ(test::config_of(written).to_json(), written);
  for (const auto& [key, value] : json["media"].items()) EXPECT_EQ(written["media"][key], value) << key;
  for (const TrainKey& key : train_keys()) EXPECT_TRUE(written.contains(key.name)) << key.name;
}

}  // namespace
}  // namespace vl3
