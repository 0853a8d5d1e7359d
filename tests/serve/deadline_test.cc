// Requests whose time runs out before the model has begun with them.

#include <future>
#include <latch>

#include "serve/api_support.h"

namespace vl3::test {
namespace {

class Deadlines : public ApiTest {
 protected:
  Deadlines() { options_.keep_alive = std::chrono::milliseconds(40); }
  ~Deadlines() override { let_go(); }

  // Nothing that may wait for others gets a thread until let_go().
  void hold_fetchers() {
    const auto begun = std::make_shared<std::latch>(options_.fetching_threads);
    for (int i = 0; i < options_.fetching_threads; ++i)
      api().service().fetchers.post("somebody", [begun, held = held_] {
        begun->count_down();
        held.wait();
      });
    begun->wait();  // else a client whose turn it is would go before the second of them
  }
  void let_go() {
    if (!std::exchange(free_, true)) release_.set_value();
  }

 private:
  bool free_ = false;
  std::promise<void> release_;
  const std::shared_future<void> held_ = release_.get_future().share();
};

TEST_F(Deadlines, AreToldToWhatStillWaitsForItsTurn) {
  hold_fetchers();
  const Json form = {{"response_format", {{"type", "json_object"}}}, {"deadline_s", 0.05}};
  for (const bool stream : {false, true}) {
    Json body = chat_body("hello", form);
    body["stream"] = stream;
    const auto exchange = ask("/v1/chat/completions", body);
    const Json error = stream && exchange->status() == 200 ? exchange->events().back() : exchange->json();
    EXPECT_EQ(error["error"]["code"], "deadline_exceeded") << exchange->body();
    EXPECT_TRUE(stream || exchange->status() == 504) << exchange->status();
  }
  expect_error(
      *ask("/v1/completions", {{"prompt", "x"}, {"echo", true}, {"logprobs", 1}, {"deadline_s", 0.05}}), 504,
      "", "deadline_exceeded");
}

TEST_F(Deadlines, AreThoseOfTheServerForWhatIsComputed) {
  options_.deadline_s = 0.05;
  hold_fetchers();
  for (const char* route : {"/v1/embeddings", "/tokenize"})
    expect_error(*ask(route, {{"model", "demo"}, {"input", "x"}, {"prompt", "x"}}), 504, "",
                 "deadline_exceeded");
}

TEST_F(Deadlines, LeaveTheRestToTheAnswer) {
  hold_fetchers();
  const Json form = {{"response_format", {{"type", "json_object"}}}, {"deadline_s", 3600}};
  const auto exchange = start("/v1/chat/completions", chat_body("hello", form).dump());
  let_go();
  exchange->wait();
  EXPECT_EQ(exchange->status(), 200) << exchange->body();
}

}  // namespace
}  // namespace vl3::test
