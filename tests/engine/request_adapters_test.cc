// Adapters that requests name: each answers as an engine that was opened with it, also in common steps.

#include "engine/scheduler_support.h"

namespace vl3 {
namespace {

std::filesystem::path tiny() { return test::data_path("../../models/tiny"); }
std::filesystem::path plain() { return test::data_path("lora/plain"); }

RequestOptions asked(const Engine& engine, int64_t adapter) {
  RequestOptions options;
  options.generation = engine.default_settings();
  options.generation.eos_token_id.clear();
  options.generation.do_sample = false;
  options.generation.max_new_tokens = 12;
  options.adapter = adapter;
  return options;
}

TEST(RequestAdapters, AnswerAsAnEngineThatWasOpenedWithThem) {
  EngineOptions with_one, with_many;
  with_one.adapter = plain();
  with_many.request_adapters = {plain()};
  with_many.prefix_cache_bytes = int64_t{64} << 20;  // prompts with and without are not mixed up
  const Engine base = Engine::open(tiny()), one = Engine::open(tiny(), with_one),
               many = Engine::open(tiny(), with_many);
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const Json messages = question({picture()}, "What is it?");
  const auto alone = [&](const Engine& engine) {
    return engine.answer(context, engine.processor().request_for(messages), asked(engine, -1).generation)
        .results[0]
        .new_ids;
  };
  const std::vector<int64_t> without = alone(base), with = alone(one);
  ASSERT_NE(without, with);
  for (int round = 0; round < 2; ++round) {  // the second finds its prompts in the cache
    Scheduler scheduler(context, many);
    std::vector<RequestId> ids;
    for (const int64_t adapter : {0, -1, 0})
      ids.push_back(scheduler.submit(many.processor().request_for(messages), asked(many, adapter)));
    for (const RequestId id : ids) scheduler.run(id);
    EXPECT_EQ(scheduler.take(ids[0]).results[0].new_ids, with);
    EXPECT_EQ(scheduler.take(ids[1]).results[0].new_ids, without);
    EXPECT_EQ(scheduler.take(ids[2]).results[0].new_ids, with);
  }
}

TEST(RequestAdapters, WhatThereIsNotIsRefused) {
  EngineOptions options;
  options.request_adapters = {plain()};
  const Engine engine = Engine::open(tiny(), options);
  Context context(ContextOptions{.num_threads = 1});
  Scheduler scheduler(context, engine);
  for (const int64_t adapter : {-2, 1}) {
    try {
      scheduler.submit(engine.processor().request_for(question({}, "?")), asked(engine, adapter));
      ADD_FAILURE() << adapter;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(std::to_string(adapter)), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace vl3
