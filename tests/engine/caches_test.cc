// What is kept from one request to the next must not show in the answers.

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
}

TEST(Caches, ArithmeticIsNotMixed) {
  const Engine keeps = open(int64_t{1} << 30, int64_t{1} << 30);
  const Json request = Json::array({user({picture()}, "What is it?")});
  answer(keeps, request, Compute::kF32);
  answer(keeps, request, Compute::kAuto);
  EXPECT_EQ(keeps.cache_stats().pictures, 0);
  EXPECT_EQ(keeps.cache_stats().prompt_tokens, 0);
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
