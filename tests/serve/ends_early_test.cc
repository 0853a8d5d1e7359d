// What ends before its answer does: clients that leave, queues that are full, servers that end; and what a
// stream says meanwhile.

#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "serve/api_support.h"

namespace vl3::test {
namespace {

using EndsEarly = ApiTest;

// Stops the engine's thread between two of its steps: no answer goes on or ends before it is let go.
class HeldEngine {
 public:
  explicit HeldEngine(serve::Api& api) : api_(api) {}
  ~HeldEngine() { let_go(); }
  HeldEngine(const HeldEngine&) = delete;
  HeldEngine& operator=(const HeldEngine&) = delete;

  // Also by that thread, which then stops behind the step that it is in.
  void hold() {
    EngineThread& thread = api_.service().thread;
    thread.post([until = until_](Context&) {
      until.wait();
      return false;
    });
  }
  void let_go() {
    if (!std::exchange(is_let_go_, true)) let_go_.set_value();
  }

 private:
  serve::Api& api_;
  std::promise<void> let_go_;
  const std::shared_future<void> until_ = let_go_.get_future().share();
  bool is_let_go_ = false;
};

// Until all that was asked has an answer, or is given up.
void wait_until_none_is_open(const serve::Api& api) {
  for (int i = 0; i < 30'000 && api.open() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(api.open(), 0);
}

TEST_F(EndsEarly, StopsWhenTheClientLeaves) {
  HeldEngine engine_thread(api());
  const auto exchange = std::make_shared<CaughtExchange>();
  exchange->at_piece(3, [&] { engine_thread.hold(); });
  start("/v1/chat/completions",
        chat_body("hello", {{"stream", true}, {"max_tokens", 7000}, {"ignore_eos", true}}).dump(), "",
        exchange);
  exchange->wait(3);
  EXPECT_EQ(api().open(), 1);
  exchange->leave();
  engine_thread.let_go();
  wait_until_none_is_open(api());
  EXPECT_LT(exchange->written(), 10u);
  EXPECT_FALSE(say("hello").empty()) << "others are answered";
}

TEST_F(EndsEarly, RefusesMoreThanItsQueueHoldsAndAllWhileDraining) {
  options_.max_open = 2;
  HeldEngine engine_thread(api());
  engine_thread.hold();
  const Json endless = chat_body("hello", {{"stream", true}, {"max_tokens", 7000}, {"ignore_eos", true}});
  const auto a = start("/v1/chat/completions", endless.dump()),
             b = start("/v1/chat/completions", endless.dump());
  const auto refused = chat("hello");
  expect_error(*refused, 429, "", "queue_full");
  EXPECT_NE(refused->fields().find("retry-after"), nullptr);
  a->leave();
  b->leave();
  engine_thread.let_go();
  wait_until_none_is_open(api());
  EXPECT_EQ(chat("hello")->status(), 200);
  api().drain();
  expect_error(*chat("hello"), 503, "", "shutting_down");
}

TEST_F(EndsEarly, WhatIsCutOffAtTheEndIsTold) {
  HeldEngine engine_thread(api());
  const Json more = {{"max_tokens", 7000}, {"ignore_eos", true}};
  Json streamed = more;
  streamed["stream"] = true;
  const auto stream = std::make_shared<CaughtExchange>();
  stream->at_piece(3, [&] { engine_thread.hold(); });
  start("/v1/chat/completions", chat_body("hello", streamed).dump(), "", stream);
  stream->wait(3);
  const auto whole = start("/v1/chat/completions", chat_body("hello", more).dump());
  api().drain();
  api().cut_off();
  whole->wait();
  stream->wait();
  expect_error(*whole, 503, "", "shutting_down");
  EXPECT_NE(whole->fields().find("retry-after"), nullptr);
  EXPECT_NE(stream->body().find("\"shutting_down\""), std::string::npos) << stream->body();
  EXPECT_EQ(api().open(), 0);
}

TEST_F(EndsEarly, SaysSomethingWhileAStreamWaits) {
  options_.keep_alive = std::chrono::milliseconds(40);
  options_.scheduler.max_running = 1;
  HeldEngine engine_thread(api());
  engine_thread.hold();
  const auto first =
      start("/v1/chat/completions",
            chat_body("hello", {{"stream", true}, {"max_tokens", 2000}, {"ignore_eos", true}}).dump());
  const auto second = start("/v1/chat/completions", chat_body("hello", {{"stream", true}}).dump());
  second->wait(3);  // role, and pings
  EXPECT_NE(second->body().find(": ping\n\n"), std::string::npos);
  first->leave();
  engine_thread.let_go();
  second->wait();
  EXPECT_EQ(second->events().back()["choices"][0]["finish_reason"], "stop");
}

}  // namespace
}  // namespace vl3::test
