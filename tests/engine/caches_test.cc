// What is kept from one request to the next must not show in the answers.

#include <filesystem>
#include <map>

#include "base/json.h"
#include "support/support.h"
#include "vl3/engine.h"

namespace vl3 {
namespace {

std::string media(const char* name) { return test::data_path("../../examples/media").string() + "/" + name; }

Engine open(int64_t feature_bytes, int64_t prefix_bytes) {
  EngineOptions options;
  options.feature_cache_bytes = feature_bytes;
  options.prefix_cache_bytes = prefix_bytes;
  return Engine::open(test::data_path("../../models/tiny"), options);
}

Json user(std::vector<Json> media_parts, const std::string& text) {
  Json content = Json::array();
  for (Json& part : media_parts) content.push_back(std::move(part));
  content.push_back({{"type", "text"}, {"text", text}});
  return {{"role", "user"}, {"content", content}};
}

Json picture() { return {{"type", "image"}, {"image", media("shapes.png")}}; }
Json clip() { return {{"type", "video"}, {"video", media("moving.mp4")}}; }

std::vector<int64_t> answer(const Engine& engine, const Json& messages, Compute compute = Compute::kF32) {
  Context context(ContextOptions{.compute = compute});
  GenerationConfig settings = engine.default_settings();
  settings.max_new_tokens = 8;
  return engine.answer(context, engine.processor().request_for(messages), settings).results[0].new_ids;
}

TEST(Caches, AnswersAreThoseOfAnEngineThatKeepsNothing) {
  const Engine plain = open(0, 0), keeps = open(int64_t{1} << 30, int64_t{1} << 30);
  std::vector<Json> requests;
  for (const char* text : {"What is it?", "And now?", "What colour has the circle?"}) {
    requests.push_back(Json::array({user({picture()}, text)}));
    requests.push_back(Json::array({user({clip()}, text)}));
    requests.push_back(Json::array({user({picture(), clip()}, text)}));
    requests.push_back(Json::array({user({}, text)}));
  }
  for (const Json& first : std::vector<Json>(requests)) {  // a second turn of each
    Json turns = first;
    turns.push_back({{"role", "assistant"}, {"content", "A thing."}});
    turns.push_back(user({}, "Tell me more."));
    requests.push_back(turns);
  }
  for (const Json& request : requests) EXPECT_EQ(answer(keeps, request), answer(plain, request)) << request;
  const CacheStats saved = keeps.cache_stats();
  EXPECT_EQ(saved.pictures, 24 - 2);  // every picture and clip but the first of each
  EXPECT_GT(saved.prompt_tokens, 1000);
  EXPECT_GT(saved.bytes, 0);
  EXPECT_EQ(plain.cache_stats().pictures, 0);
}

TEST(Caches, WhatABatchShowsRepeatedlyIsEncodedOnce) {
  const Engine plain = open(0, 0), keeps = open(int64_t{1} << 30, 0);
  ProcessorRequest request = keeps.processor().request_for(Json::array({user({picture()}, "What is it?")}));
  request.conversations.push_back(Json::array({user({clip(), picture()}, "And now?")}));
  request.conversations.push_back(Json::array({user({clip()}, "What moves?")}));
  request.conversations.push_back(Json::array({user({}, "Nothing?")}));
  Context context(ContextOptions{.compute = Compute::kF32});
  GenerationConfig settings = keeps.default_settings();
  settings.max_new_tokens = 8;
  const auto results = keeps.answer(context, request, settings).results;
  ASSERT_EQ(results.size(), 4U);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i].new_ids, answer(plain, request.conversations[i]));
  EXPECT_EQ(keeps.cache_stats().pictures, 2);
  EXPECT_GT(keeps.cache_stats().asked_pictures, 2);
}

TEST(Caches, ArithmeticIsNotMixed) {
  const Engine keeps = open(int64_t{1} << 30, int64_t{1} << 30);
  const Json request = Json::array({user({picture()}, "What is it?")});
  answer(keeps, request, Compute::kF32);
  answer(keeps, request, Compute::kAuto);
  EXPECT_EQ(keeps.cache_stats().pictures, 0);
  EXPECT_EQ(keeps.cache_stats().prompt_tokens, 0);
}

// What an answer tells of its progress: stages by name.
std::map<std::string, int> stages_of(const Engine& engine, const ProcessorRequest& request,
                                     std::vector<int64_t>* ids = nullptr) {
  std::map<std::string, int> stages;
  Probe probe;
  probe.progress = [&](std::string_view stage, int64_t, int64_t) { ++stages[std::string(stage)]; };
  Context context(ContextOptions{.compute = Compute::kF32});
  GenerationConfig settings = engine.default_settings();
  settings.max_new_tokens = 8;
  const Answers answers = engine.answer(context, request, settings, {}, &probe);
  if (ids != nullptr) *ids = answers.results[0].new_ids;
  return stages;
}

TEST(Caches, WhatIsHeldIsNotDecoded) {
  const Engine keeps = open(int64_t{1} << 30, 0);
  for (const Json& part : {picture(), clip()}) {
    const ProcessorRequest request =
        keeps.processor().request_for(Json::array({user({part}, "What is it?")}));
    std::vector<int64_t> first, second;
    std::map<std::string, int> stages = stages_of(keeps, request, &first);
    EXPECT_GT(stages["encode"], 0);
    stages = stages_of(keeps, request, &second);
    EXPECT_EQ(stages["encode"] + stages["decode"], 0);
    EXPECT_EQ(second, first);
  }
}

TEST(Caches, TheSameContentIsFoundHoweverItComes) {
  const Engine keeps = open(int64_t{1} << 30, 0), plain = open(0, 0);
  const test::TemporaryFolder folder;
  std::filesystem::copy_file(media("shapes.png"), folder / "a copy.png");
  const Json named = Json::array({user({{{"type", "image"}, {"image", "it"}}}, "What is it?")});
  ProcessorRequest bytes = keeps.processor().request_for(named);
  bytes.media.emplace("it", MediaSource::bytes(test::read_text(media("shapes.png")), "bytes"));
  const ProcessorRequest file = keeps.processor().request_for(
      Json::array({user({{{"type", "image"}, {"image", (folder / "a copy.png").string()}}}, "What is it?")}));
  std::vector<int64_t> expected, first, second;
  stages_of(plain, file, &expected);
  EXPECT_GT(stages_of(keeps, bytes, &first)["encode"], 0);
  EXPECT_EQ(stages_of(keeps, file, &second)["encode"], 0);
  EXPECT_EQ(first, expected);
  EXPECT_EQ(second, expected);
  EXPECT_EQ(keeps.cache_stats().pictures, 1);
}

// Another file under the same name, of the same size and with the old one's time, too.
TEST(Caches, AFileThatChangesGivesTheNewAnswer) {
  const Engine keeps = open(int64_t{1} << 30, int64_t{1} << 30), plain = open(0, 0);
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "it.ppm";
  const auto write = [&](uint8_t red) {
    std::string pixels;
    for (int i = 0; i < 112 * 112; ++i)
      pixels += {static_cast<char>(red), static_cast<char>(i % 112), static_cast<char>(i / 112)};
    test::write_text(path, "P6 112 112 255\n" + pixels);
  };
  const Json request = Json::array({user({{{"type", "image"}, {"image", path.string()}}}, "What is it?")});
  const ProcessorRequest asked = keeps.processor().request_for(request);
  std::filesystem::file_time_type time;
  for (const uint8_t red : {0, 200, 0}) {
    write(red);
    if (red == 0)
      time = std::filesystem::last_write_time(path);
    else
      std::filesystem::last_write_time(path, time);
    std::vector<int64_t> got, expected;
    stages_of(keeps, asked, &got);
    stages_of(plain, asked, &expected);
    EXPECT_EQ(got, expected) << int{red};
  }
  EXPECT_EQ(keeps.cache_stats().pictures, 1);  // the third is the first again
}

TEST(Caches, StayWithinTheirSize) {
  const int64_t limit = int64_t{1} << 20;
  const Engine small = open(limit, limit), none = open(0, 0);
  for (int i = 0; i < 6; ++i) {
    const Json request =
        Json::array({user({i % 2 == 0 ? picture() : clip()}, "Number " + std::to_string(i))});
    EXPECT_EQ(answer(small, request), answer(none, request));
    EXPECT_LE(small.cache_stats().bytes, 2 * limit);
  }
}

}  // namespace
}  // namespace vl3
