// The thread that steps a scheduler, and what requests of servers ask for: an end with the context, and
// caches that are nobody else's.

#include "engine/engine_thread.h"

#include <atomic>
#include <future>

#include "engine/scheduler_support.h"
#include "generate/prefix_tree.h"
#include "vl3/context_exceeded.h"

namespace vl3 {
namespace {

class EngineThreads : public SchedulerTest {
 protected:
  static std::future<EndedRequest> submit(EngineThread& thread, ProcessorRequest asked, RequestOptions wanted,
                                          RequestId* id = nullptr) {
    auto promise = std::make_shared<std::promise<EndedRequest>>();
    std::future<EndedRequest> ended = promise->get_future();
    const RequestId given = thread.submit(std::move(asked), std::move(wanted), [promise](EndedRequest told) {
      promise->set_value(std::move(told));
    });
    if (id != nullptr) *id = given;
    return ended;
  }
};

TEST_F(EngineThreads, TellsEveryRequestOfItsEndOnce) {
  const ProcessorRequest asked = request({picture()}, "What is this?");
  const std::vector<int64_t> expected = alone(asked, options().generation);
  EngineThread thread(context_, engine());
  std::vector<std::future<EndedRequest>> all;
  for (int i = 0; i < 5; ++i) all.push_back(submit(thread, asked, options()));
  all.push_back(submit(thread, request({absent()}, "?"), options()));
  for (int i = 0; i < 5; ++i) {
    const EndedRequest ended = all[static_cast<size_t>(i)].get();
    EXPECT_FALSE(ended.failure);
    EXPECT_EQ(ended.answers.results[0].new_ids, expected);
    EXPECT_EQ(ended.status.outcome, RequestOutcome::kFinished);
  }
  EXPECT_TRUE(all.back().get().failure) << "a file that is not there";
}

TEST_F(EngineThreads, CancelsAndEndsWithWhatIsUnderWay) {
  std::future<EndedRequest> cancelled, left;
  {
    EngineThread thread(context_, engine());
    RequestId id = 0;
    cancelled = submit(thread, request({}, "Tell me."), options(kEndless), &id);
    thread.cancel(id);
    EXPECT_EQ(cancelled.get().status.outcome, RequestOutcome::kCancelled);
    left = submit(thread, request({}, "Tell me."), options(kEndless));
  }
  EXPECT_EQ(left.get().status.outcome, RequestOutcome::kCancelled) << "the destructor ends it";
}

TEST_F(EngineThreads, TakesTurnsWithOtherWork) {
  EngineThread thread(context_, engine());
  auto running = submit(thread, request({}, "Tell me."), options(300));
  std::promise<int> promise;
  int turns = 0;
  ASSERT_TRUE(thread.post([&](Context&) {
    if (++turns < 20) return true;
    promise.set_value(turns);
    return false;
  }));
  EXPECT_EQ(promise.get_future().get(), 20);
  EXPECT_EQ(running.get().answers.results[0].new_ids.size(), 300u);
}

// What the model was made for bounds every answer.
TEST_F(EngineThreads, AnswersEndWithTheContext) {
  constexpr int64_t context_tokens = 512;
  const test::TemporaryFolder folder;
  std::filesystem::copy(test::data_path("../../models/tiny"), folder / "model",
                        std::filesystem::copy_options::recursive);
  Json config = Json::parse(test::read_text(folder / "model/config.json"));
  config["text_config"]["max_position_embeddings"] = context_tokens;
  test::write_text(folder / "model/config.json", config.dump());
  const Engine small = Engine::open(folder / "model");
  std::string text;
  while (static_cast<int64_t>(text.size()) < 8 * context_tokens) text += "word ";
  EngineThread thread(context_, small);
  RequestOptions cut = options();
  cut.cut_to_context = true;
  try {
    std::rethrow_exception(submit(thread, request({}, text), cut).get().failure);
    FAIL() << "the prompt is longer than the context";
  } catch (const ContextExceeded& error) {
    EXPECT_EQ(error.context_tokens(), context_tokens);
    EXPECT_GT(error.prompt_tokens(), context_tokens);
    EXPECT_NE(std::string(error.what()).find(std::to_string(context_tokens)), std::string::npos);
  }
  // A prompt that leaves a few tokens, by ids so that it is exact.
  ForwardInput input;
  input.ids = {std::vector<int64_t>(static_cast<size_t>(context_tokens) - 3, 40)};
  cut.generation.max_new_tokens = 100;
  std::promise<EndedRequest> promise;
  thread.submit(input, cut, [&](EndedRequest ended) { promise.set_value(std::move(ended)); });
  const EndedRequest ended = promise.get_future().get();
  ASSERT_FALSE(ended.failure);
  EXPECT_EQ(ended.answers.results[0].new_ids.size(), 3u);
  EXPECT_EQ(ended.answers.results[0].finish_reason, FinishReason::kLength);
}

TEST_F(EngineThreads, CachesServeTheirOwnSalt) {
  EngineOptions with_caches;
  with_caches.feature_cache_bytes = with_caches.prefix_cache_bytes = int64_t{32} << 20;
  const Engine cached = Engine::open(test::data_path("../../models/tiny"), with_caches);
  EngineThread thread(context_, cached);
  std::string text;
  for (int i = 0; i < 60; ++i) text += "the red cross ";
  const auto hits = [&](const std::string& salt) {
    RequestOptions wanted = options();
    wanted.cache_salt = salt;
    const int64_t pictures = cached.cache_stats().pictures;
    const EndedRequest ended = submit(thread, request({picture()}, text), wanted).get();
    return std::pair(ended.status.cached_tokens, cached.cache_stats().pictures - pictures);
  };
  EXPECT_EQ(hits("a"), std::pair(int64_t{0}, int64_t{0}));
  const auto own = hits("a");
  EXPECT_GT(own.first, 64);
  EXPECT_EQ(own.second, 1);
  EXPECT_EQ(hits("b"), std::pair(int64_t{0}, int64_t{0}));
  EXPECT_EQ(hits(""), std::pair(int64_t{0}, int64_t{0}));
}

// Bytes are more than tokens: a text is counted before it is refused.
TEST_F(EngineThreads, PlansCountLongTexts) {
  const Engine demo = Engine::open(test::data_path("../../models/demo"));
  const int64_t context_tokens = demo.model().config().text.max_position_embeddings;
  std::string text;
  while (static_cast<int64_t>(text.size()) < context_tokens + 1000) text += "the red cross ";
  GenerationConfig settings = demo.default_settings();
  settings.max_new_tokens = 1;
  const auto messages = question({}, text);
  const Plan plan = demo.plan(nullptr, demo.processor().request_for(messages), settings, nullptr, false);
  const auto ids = demo.processor().encode_text(demo.processor().render(messages, true), true);
  EXPECT_EQ(plan.prompt_tokens, static_cast<int64_t>(ids.size()));
  EXPECT_LE(plan.prompt_tokens + plan.new_tokens, context_tokens);
}

}  // namespace
}  // namespace vl3
