// The C interface, from C and from C++: answers, streams, cancelling in every state, and every kind of error.

#include "vl3/vl3.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "capi/plain_c.h"
#include "support/support.h"
#include "vl3/answer_request.h"
#include "vl3/context.h"

namespace vl3 {
namespace {

std::filesystem::path project() { return test::data_path("").parent_path().parent_path().parent_path(); }
std::string model() { return (project() / "models/tiny").string(); }
std::string picture() { return (project() / "examples/media/shapes.png").string(); }
std::string clip() { return (project() / "examples/media/moving.mp4").string(); }

Json ask(const std::string& words, int64_t most_tokens = 12) {
  return {{"messages", {{{"role", "user"}, {"content", words}}}},
          {"generate", {{"max_new_tokens", most_tokens}}}};
}

Json ask_about(const std::string& kind, const std::string& path) {
  return {{"messages",
           {{{"role", "user"},
             {"content", {{{"type", kind}, {kind, path}}, {{"type", "text"}, {"text", "What is this?"}}}}}}},
          {"generate", {{"max_new_tokens", 8}}}};
}

// A string that came out of the library, freed at once.
std::string taken(char* string) {
  const std::string text = string != nullptr ? string : "";
  vl3_string_free(string);
  return text;
}

// That goes on for longer than any test has.
Json ask_for_ever(const std::string& words) {
  constexpr int64_t kEndless = 30'000;  // tokens; the context of models/tiny holds 32,768
  Json request = ask(words, kEndless);
  request["generate"]["min_new_tokens"] = kEndless;
  return request;
}

class Handle {
 public:
  explicit Handle(const char* options = nullptr) {
    char* error = nullptr;
    EXPECT_EQ(vl3_engine_open(model().c_str(), options, nullptr, nullptr, &engine_, &error), VL3_OK);
    EXPECT_EQ(taken(error), "");
  }
  ~Handle() { vl3_engine_free(engine_); }
  vl3_engine* get() const { return engine_; }
  void free() { vl3_engine_free(std::exchange(engine_, nullptr)); }

  vl3_request* submit(const Json& request) const {
    vl3_request* handle = nullptr;
    char* error = nullptr;
    EXPECT_EQ(vl3_submit(engine_, request.dump().c_str(), &handle, &error), VL3_OK);
    EXPECT_EQ(taken(error), "");
    return handle;
  }
  // The result, which must be there.
  Json answer(const Json& request) const {
    char *json = nullptr, *error = nullptr;
    EXPECT_EQ(vl3_answer(engine_, request.dump().c_str(), nullptr, nullptr, &json, &error), VL3_OK);
    EXPECT_EQ(taken(error), "");
    return Json::parse(taken(json));
  }

 private:
  vl3_engine* engine_ = nullptr;
};

Json result_of(vl3_request* request, vl3_status wanted = VL3_OK) {
  char *json = nullptr, *error = nullptr;
  EXPECT_EQ(vl3_request_result(request, &json, &error), wanted) << (error != nullptr ? error : "");
  vl3_string_free(error);
  return Json::parse(json != nullptr ? taken(json) : "null");
}

TEST(CInterface, IsPlainC) {
  const Json request = ask_about("image", picture());
  const char* wrong = use_library_from_c(model().c_str(), request.dump().c_str());
  EXPECT_EQ(wrong, nullptr) << wrong;
}

// What the engine answers to the same request, without the interface.
TEST(CInterface, AnswersAsTheEngineDoes) {
  const Handle handle;
  const Engine engine = Engine::open(model());
  Context context;
  Json several = {{"conversations",
                   {ask("Hello")["messages"], ask_about("image", picture())["messages"],
                    ask_about("video", clip())["messages"]}},
                  {"generate", {{"max_new_tokens", 9}, {"logprobs", 2}}}};
  const AnswerRequest asked = parse_answer_request(engine, several, "test");
  const Answers expected = engine.answer(context, asked.request, asked.settings);
  const Json got = handle.answer(several);
  ASSERT_EQ(got["answers"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const Json& answer = got["answers"][i];
    EXPECT_EQ(answer["conversation"], i);
    EXPECT_EQ(answer["text"], expected.results[i].text);
    EXPECT_EQ(answer["new_ids"], Json(expected.results[i].new_ids));
    EXPECT_EQ(answer["finish_reason"], to_string(expected.results[i].finish_reason));
    EXPECT_EQ(answer["prompt_tokens"], expected.results[i].ids.size() - expected.results[i].new_ids.size());
    ASSERT_EQ(answer["logprobs"].size(), expected.results[i].new_ids.size());
    EXPECT_EQ(answer["logprobs"][0]["logprob"].get<float>(), expected.results[i].logprobs[0].logprob);
  }
  EXPECT_EQ(got["videos"].size(), 1u);
  EXPECT_GT(got["timings"]["generate_s"], 0.0);
}

TEST(CInterface, TellsTokensInOrder) {
  const Handle handle;
  Json request = ask("Tell me something", 16);
  request["generate"]["logprobs"] = 0;
  struct Seen {
    std::vector<int64_t> tokens;
    std::string text;
    int finish = 0;
    bool wrong = false;
  } seen;
  const vl3_event_fn see = [](const vl3_event* event, void* user) {
    Seen& to = *static_cast<Seen*>(user);
    to.wrong = to.wrong || event->size != sizeof(vl3_event);
    if (event->kind != VL3_EVENT_TOKEN) {
      to.wrong = to.wrong || event->stage == nullptr || event->done > event->total;
      return 0;
    }
    to.wrong = to.wrong || event->index != static_cast<int64_t>(to.tokens.size()) ||
               std::isnan(event->logprob) || event->text[event->text_bytes] != '\0' || to.finish != 0;
    to.tokens.push_back(event->token);
    to.text += event->text;
    to.finish = event->finish;
    return 0;
  };
  char* json = nullptr;
  ASSERT_EQ(vl3_answer(handle.get(), request.dump().c_str(), see, &seen, &json, nullptr), VL3_OK);
  const Json answer = Json::parse(taken(json))["answers"][0];
  EXPECT_FALSE(seen.wrong);
  EXPECT_EQ(answer["new_ids"], Json(seen.tokens));
  EXPECT_EQ(answer["text"], seen.text);
  EXPECT_NE(seen.finish, VL3_FINISH_NONE);
}

TEST(CInterface, ACallbackCancels) {
  const Handle handle;
  const Json request = ask_for_ever("Count");
  const vl3_event_fn stop_at_third = [](const vl3_event* event, void*) {
    return event->kind == VL3_EVENT_TOKEN && event->index >= 2 ? 1 : 0;
  };
  char* json = nullptr;
  ASSERT_EQ(vl3_answer(handle.get(), request.dump().c_str(), stop_at_third, nullptr, &json, nullptr), VL3_OK);
  const Json answer = Json::parse(taken(json))["answers"][0];
  EXPECT_EQ(answer["finish_reason"], "cancelled");
  EXPECT_GE(answer["new_ids"].size(), 3u);
  EXPECT_NE(handle.answer(ask("Hello"))["answers"][0]["finish_reason"], "cancelled") << "others go on";
}

// That it ends cut off: with nothing, or with the tokens that there were.
void expect_cancelled(vl3_request* request) {
  const vl3_status status = vl3_request_run(request, nullptr, nullptr, nullptr);
  if (status == VL3_OK)
    EXPECT_EQ(result_of(request)["answers"][0]["finish_reason"], "cancelled");
  else
    EXPECT_EQ(status, VL3_CANCELLED);
}

TEST(CInterface, RequestsAreCancelledAlone) {
  const Handle handle;
  vl3_request* first = handle.submit(ask_for_ever("Count"));
  vl3_request* second = handle.submit(ask_for_ever("Hello"));
  vl3_request* third = handle.submit(ask("Hello"));
  vl3_request* fourth = handle.submit(ask_for_ever("Hello"));
  vl3_request_cancel(second);
  expect_cancelled(second);
  vl3_request_free(fourth);  // before it is done
  vl3_request_cancel(first);
  expect_cancelled(first);
  EXPECT_EQ(vl3_request_run(third, nullptr, nullptr, nullptr), VL3_OK);
  EXPECT_EQ(result_of(third)["answers"][0]["text"], handle.answer(ask("Hello"))["answers"][0]["text"]);
  for (vl3_request* request : {first, second, third}) vl3_request_free(request);
}

TEST(CInterface, RequestsOutliveTheirEngine) {
  Handle handle;
  vl3_request* done = handle.submit(ask("Hello"));
  ASSERT_EQ(vl3_request_run(done, nullptr, nullptr, nullptr), VL3_OK);
  vl3_request* running = handle.submit(ask_for_ever("Count"));
  vl3_request* waiting = handle.submit(ask("Hello"));
  ASSERT_EQ(vl3_request_poll(running, -1, nullptr, nullptr, nullptr), VL3_PENDING) << "it has begun";
  handle.free();
  for (vl3_request* request : {running, waiting}) {  // they have ended; the short one perhaps by itself
    const vl3_status status = vl3_request_run(request, nullptr, nullptr, nullptr);
    EXPECT_TRUE(status == VL3_OK || status == VL3_CANCELLED) << status;
  }
  char* json = nullptr;
  if (vl3_request_result(running, &json, nullptr) == VL3_OK) {
    EXPECT_EQ(Json::parse(taken(json))["answers"][0]["finish_reason"], "cancelled");
  }
  EXPECT_EQ(result_of(done)["answers"].size(), 1u);
  for (vl3_request* request : {done, running, waiting}) {
    vl3_request_cancel(request);
    vl3_request_free(request);
  }
}

TEST(CInterface, ManyThreadsAsk) {
  const Handle handle("{\"threads\": 2}");
  const Json expected = handle.answer(ask("Hello"))["answers"][0]["new_ids"];
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 3; ++k) {
        vl3_request* request = handle.submit(ask("Hello"));
        if ((i + k) % 3 == 0) vl3_request_cancel(request);
        const vl3_status status = vl3_request_run(request, nullptr, nullptr, nullptr);
        if (status == VL3_OK) {
          const Json answer = result_of(request)["answers"][0];
          if (answer["finish_reason"] != "cancelled" && answer["new_ids"] != expected) ++wrong;
        } else if (status != VL3_CANCELLED) {
          ++wrong;
        }
        vl3_request_free(request);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(CInterface, SaysWhatIsWrongWithARequest) {
  const Handle handle;
  const std::tuple<std::string, vl3_status, std::string> rows[] = {
      {"{", VL3_FORMAT, "not valid JSON"},
      {"", VL3_FORMAT, "request"},
      {"7", VL3_INVALID_ARGUMENT, "request"},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"mesages\": 1}", VL3_INVALID_ARGUMENT,
       "mesages"},
      {ask("Hello", -3).dump(), VL3_INVALID_ARGUMENT, "max_new_tokens"},
      {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}], \"generate\": {\"temprature\": 1}}",
       VL3_INVALID_ARGUMENT, "temperature"},
  };
  for (const auto& [text, status, words] : rows) {
    vl3_request* request = nullptr;
    char* error = nullptr;
    EXPECT_EQ(vl3_submit(handle.get(), text.c_str(), &request, &error), status) << text;
    EXPECT_EQ(request, nullptr);
    const std::string message = taken(error);
    EXPECT_NE(message.find(words), std::string::npos) << text << ": " << message;
  }
}

TEST(CInterface, AMissingPictureEndsItsRequestAlone) {
  const Handle handle;
  vl3_request* request = handle.submit(ask_about("image", "/nowhere/cat.png"));
  char* error = nullptr;
  EXPECT_EQ(vl3_request_run(request, nullptr, nullptr, &error), VL3_NOT_FOUND);
  EXPECT_NE(taken(error).find("/nowhere/cat.png"), std::string::npos);
  result_of(request, VL3_NOT_FOUND);
  vl3_request_free(request);
  EXPECT_EQ(handle.answer(ask("Hello"))["answers"].size(), 1u);
}

TEST(CInterface, ResultsOfWhatGoesOnArePending) {
  const Handle handle;
  Json longer = ask("Count", 500);
  longer["generate"]["min_new_tokens"] = 500;
  vl3_request* request = handle.submit(longer);
  result_of(request, VL3_PENDING);
  EXPECT_EQ(vl3_request_poll(request, 0, nullptr, nullptr, nullptr), VL3_PENDING);
  vl3_request_free(request);  // while it is computed
}

TEST(CInterface, SaysWhatIsWrongWithOptions) {
  const std::tuple<std::string, vl3_status, std::string> rows[] = {
      {"[]", VL3_FORMAT, "object"},
      {"{\"thread\": 2}", VL3_INVALID_ARGUMENT, "threads"},
      {"{\"threads\": \"two\"}", VL3_FORMAT, "threads"},
      {"{\"threads\": -1}", VL3_FORMAT, "threads"},
      {"{\"compute\": \"f64\"}", VL3_INVALID_ARGUMENT, "f32"},
      {"{\"cache\": \"int4\"}", VL3_INVALID_ARGUMENT, "int8"},
      {"{\"cpu\": \"z80\"}", VL3_INVALID_ARGUMENT, "z80"},
      {"{\"adapter\": \"/nowhere\"}", VL3_NOT_FOUND, "/nowhere"},
      {"{\"max_memory_bytes\": -1}", VL3_FORMAT, "max_memory_bytes"},
      {"{\"limits\": 3}", VL3_FORMAT, "limits"},
      {"{\"limits\": {\"max_pixel\": 3}}", VL3_INVALID_ARGUMENT, "max_pixels"},
      {"{\"limits\": {\"max_duration_s\": -1}}", VL3_INVALID_ARGUMENT, "max_duration_s"},
  };
  for (const auto& [options, status, words] : rows) {
    vl3_engine* engine = nullptr;
    char* error = nullptr;
    EXPECT_EQ(vl3_engine_open(model().c_str(), options.c_str(), nullptr, nullptr, &engine, &error), status)
        << options;
    EXPECT_EQ(engine, nullptr);
    const std::string message = taken(error);
    EXPECT_NE(message.find(words), std::string::npos) << options << ": " << message;
  }
}

TEST(CInterface, OptionsAreHeeded) {
  const Handle small("{\"limits\": {\"max_pixels\": 100}, \"compute\": \"f32\", \"cache\": null}");
  char *json = nullptr, *error = nullptr;
  EXPECT_EQ(
      vl3_answer(small.get(), ask_about("image", picture()).dump().c_str(), nullptr, nullptr, &json, &error),
      VL3_LIMIT_EXCEEDED);
  EXPECT_NE(taken(error).find("max_pixels"), std::string::npos);
}

TEST(CInterface, NullIsRefusedOrPassedOver) {
  const Handle handle;
  vl3_request* request = nullptr;
  char *json = nullptr, *error = nullptr;
  EXPECT_EQ(vl3_engine_open(nullptr, nullptr, nullptr, nullptr, nullptr, &error), VL3_INVALID_ARGUMENT);
  EXPECT_NE(taken(error).find("NULL"), std::string::npos);
  EXPECT_EQ(vl3_submit(nullptr, "{}", &request, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_submit(handle.get(), nullptr, &request, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_submit(handle.get(), "{}", nullptr, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_request_run(nullptr, nullptr, nullptr, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_request_poll(nullptr, 0, nullptr, nullptr, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_request_result(nullptr, &json, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_engine_describe(handle.get(), nullptr, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_describe_library(nullptr, nullptr), VL3_INVALID_ARGUMENT);
  EXPECT_EQ(vl3_answer(handle.get(), ask("Hello", 2).dump().c_str(), nullptr, nullptr, nullptr, nullptr),
            VL3_INVALID_ARGUMENT)
      << "nowhere to put the result";
  vl3_request_cancel(nullptr);
}

}  // namespace
}  // namespace vl3
