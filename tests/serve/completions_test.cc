// POST /v1/completions and /v1/responses.

#include <cmath>

#include "serve/api_support.h"

namespace vl3::test {
namespace {

class Completions : public ApiTest {
 protected:
  std::shared_ptr<CaughtExchange> complete(const Json& prompt, const Json& more = Json::object()) {
    Json body = {{"model", "demo"}, {"prompt", prompt}, {"temperature", 0}, {"max_tokens", 6}};
    for (const auto& [key, value] : more.items()) body[key] = value;
    return ask("/v1/completions", body);
  }
  std::string text(const Json& prompt, const Json& more = Json::object()) {
    const auto exchange = complete(prompt, more);
    EXPECT_EQ(exchange->status(), 200) << exchange->body();
    return exchange->json()["choices"][0]["text"];
  }
};

TEST_F(Completions, TakeTextsAndIdsAlike) {
  const auto ids = engine().processor().tokenizer().encode("the red cross", false);
  const Json one = complete("the red cross")->json(), of_ids = complete(ids)->json();
  EXPECT_EQ(one["object"], "text_completion");
  EXPECT_EQ(of_ids["choices"], one["choices"]);
  EXPECT_EQ(of_ids["usage"]["prompt_tokens"], ids.size());
  const Json two = complete({"the red cross", "a blue ring"})->json();
  ASSERT_EQ(two["choices"].size(), 2u);
  EXPECT_EQ(two["choices"][0]["text"], one["choices"][0]["text"]);
  EXPECT_EQ(two["choices"][1]["text"], text("a blue ring"));
  const Json four = complete({ids, ids}, {{"n", 2}})->json();
  ASSERT_EQ(four["choices"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(four["choices"][i]["index"], i);
    EXPECT_EQ(four["choices"][i]["text"], one["choices"][0]["text"]);
  }
  Json without = {{"model", "demo"}, {"prompt", "the red cross"}, {"temperature", 0}};
  EXPECT_LE(ask("/v1/completions", without)->json()["usage"]["completion_tokens"], 16);
}

TEST_F(Completions, EchoThePromptWithItsLogprobs) {
  const std::string prompt = "the red cross", answer = text(prompt);
  EXPECT_EQ(text(prompt, {{"echo", true}}), prompt + answer);
  const auto ids = engine().processor().tokenizer().encode(prompt, false);
  const Json whole = complete(ids, {{"echo", true}, {"logprobs", 2}})->json()["choices"][0];
  const Json alone = complete(ids, {{"logprobs", 2}})->json()["choices"][0];
  const Json& told = whole["logprobs"];
  ASSERT_EQ(told["tokens"].size(), ids.size() + alone["logprobs"]["tokens"].size());
  EXPECT_TRUE(told["token_logprobs"][0].is_null());
  for (size_t i = 0; i < alone["logprobs"]["tokens"].size(); ++i) {
    EXPECT_EQ(told["tokens"][ids.size() + i], alone["logprobs"]["tokens"][i]);
    EXPECT_NEAR(told["token_logprobs"][ids.size() + i].get<double>(),
                alone["logprobs"]["token_logprobs"][i].get<double>(), 1e-3);
  }
  // The likelihood of a token behind a prompt is that of the prompt that ends with it.
  const Json scored = complete(std::vector<int64_t>(ids.begin(), ids.end()),
                               {{"echo", true}, {"logprobs", 1}, {"max_tokens", 0}})
                          ->json();
  EXPECT_EQ(scored["usage"]["completion_tokens"], 0);
  EXPECT_EQ(scored["choices"][0]["text"], prompt);
  ASSERT_EQ(scored["choices"][0]["logprobs"]["tokens"].size(), ids.size());
  for (size_t i = 1; i < ids.size(); ++i) {
    const std::vector<int64_t> before(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(i));
    const Json next =
        complete(before, {{"max_tokens", 1}, {"logprobs", 20}})->json()["choices"][0]["logprobs"];
    const auto name = told["tokens"][i].get<std::string>();
    if (!next["top_logprobs"][0].contains(name)) continue;
    EXPECT_NEAR(next["top_logprobs"][0][name].get<double>(), told["token_logprobs"][i].get<double>(), 1e-3)
        << name;
  }
  EXPECT_EQ(told["text_offset"][1], told["tokens"][0].get<std::string>().size());
}

TEST_F(Completions, PromptsThatFillTheContextAreEchoedAlone) {
  const int64_t most = engine().model().config().text.max_position_embeddings;
  std::vector<int64_t> ids(static_cast<size_t>(most), 65);
  Json wanted = {{"echo", true}, {"max_tokens", 0}, {"n", 2}, {"timings_per_token", true}};
  const Json told = complete(ids, wanted)->json();
  EXPECT_EQ(told["usage"]["prompt_tokens"], most);
  EXPECT_EQ(told["usage"]["completion_tokens"], 0);
  ASSERT_EQ(told["choices"].size(), 2U);
  for (const Json& choice : told["choices"]) {
    EXPECT_EQ(choice["text"], engine().processor().tokenizer().decode(ids));
    EXPECT_EQ(choice["finish_reason"], "length");
  }
  EXPECT_GE(told["timings"]["time_to_first_token_ms"], 0);
  wanted["stream"] = true;
  const auto streamed = complete(ids, wanted);
  std::map<int64_t, std::string> texts;
  for (const Json& event : streamed->events()) {
    for (const Json& choice : event["choices"])
      texts[choice["index"].get<int64_t>()] += choice["text"].get<std::string>();
  }
  EXPECT_EQ(texts[0], told["choices"][0]["text"]);
  EXPECT_EQ(texts[1], texts[0]);
  ids.push_back(65);
  expect_error(*complete(ids, {{"echo", true}, {"max_tokens", 0}}), 400, "prompt", "context_length_exceeded");
}

TEST_F(Completions, StreamAndPickTheBest) {
  for (const bool echo : {false, true}) {
    const auto exchange = complete(
        "the red cross", {{"stream", true}, {"echo", echo}, {"stream_options", {{"include_usage", true}}}});
    std::string joined;
    for (const Json& event : exchange->events()) {
      for (const Json& choice : event["choices"]) joined += choice["text"].get<std::string>();
    }
    EXPECT_EQ(joined, text("the red cross", {{"echo", echo}}));
    EXPECT_GT(exchange->events().back()["usage"]["total_tokens"], 0);
  }
  const Json draw = {{"temperature", 1.5}, {"seed", 1},     {"n", 4},
                     {"best_of", 4},       {"logprobs", 0}, {"ignore_eos", true}};
  Json best = draw;
  best["n"] = 1;
  double highest = -1e9;
  std::string wanted;
  const Json drawn = complete("tell", draw)->json();
  for (const Json& choice : drawn["choices"]) {
    double sum = 0;
    for (const Json& logprob : choice["logprobs"]["token_logprobs"]) sum += logprob.get<double>();
    if (sum > highest) wanted = choice["text"];
    highest = std::max(highest, sum);
  }
  EXPECT_EQ(text("tell", best), wanted);
}

TEST_F(Completions, RefuseWhatIsNoPrompt) {
  const int64_t placeholder = engine().processor().image_token_id();
  for (const Json& prompt : {Json(5), Json::object(), Json::array({-1}), Json::array({1000000000}),
                             Json::array({1, "a"}), Json::array(), Json(""), Json::array({placeholder}),
                             Json::array({Json::array({1}), "a"}), Json(nullptr)}) {
    const auto exchange = complete(prompt);
    if (prompt == Json::array({Json::array({1}), "a"})) continue;  // each may be either
    expect_error(*exchange, 400);
  }
  expect_error(*complete("a", {{"logprobs", 100}}), 400, "logprobs");
  expect_error(*complete("a", {{"n", 3}, {"best_of", 1}}), 400, "best_of");
  expect_error(*complete("a", {{"suffix", 5}}), 400, "suffix");
  expect_error(*complete("a", {{"max_tokens", 0}}), 400, "max_tokens");
  expect_error(*complete(std::vector<int64_t>(9000, 40)), 400, "", "context_length_exceeded");
}

TEST_F(Completions, TakeEitherNameOfTheLimit) {
  EXPECT_EQ(complete("a", {{"max_completion_tokens", 2}, {"ignore_eos", true}})
                ->json()["usage"]["completion_tokens"],
            2);
}

class Responses : public ApiTest {};

TEST_F(Responses, AnswerAsChatDoes) {
  const Json body = {
      {"model", "demo"}, {"input", "describe the picture."}, {"temperature", 0}, {"max_output_tokens", 40}};
  const Json answer = ask("/v1/responses", body)->json();
  EXPECT_EQ(answer["object"], "response");
  EXPECT_EQ(answer["status"], "completed");
  EXPECT_EQ(answer["output"][0]["content"][0]["text"], say("describe the picture.", {{"max_tokens", 40}}));
  EXPECT_EQ(answer["usage"]["total_tokens"].get<int64_t>(),
            answer["usage"]["input_tokens"].get<int64_t>() + answer["usage"]["output_tokens"].get<int64_t>());
  Json shorter = body;
  shorter["max_output_tokens"] = 2;
  EXPECT_EQ(ask("/v1/responses", shorter)->json()["incomplete_details"]["reason"], "max_output_tokens");
  shorter.erase("max_output_tokens");
  shorter["max_tokens"] = 3;
  EXPECT_EQ(ask("/v1/responses", shorter)->json()["usage"]["output_tokens"], 3);
  const Json seen = {{"model", "demo"},
                     {"temperature", 0},
                     {"instructions", "be short"},
                     {"max_output_tokens", 16},
                     {"input",
                      {{{"role", "user"},
                        {"content",
                         {{{"type", "input_image"},
                           {"image_url", data_url("examples/media/scenes/shapes.png", "image/png")}},
                          {{"type", "input_text"}, {"text", "describe the picture."}}}}}}}};
  Json chat = {{"model", "demo"},
               {"temperature", 0},
               {"max_tokens", 16},
               {"messages",
                {{{"role", "system"}, {"content", "be short"}},
                 {{"role", "user"}, {"content", {picture_part(), words("describe the picture.")}}}}}};
  EXPECT_EQ(ask("/v1/responses", seen)->json()["output"][0]["content"][0]["text"],
            text_of(ask("/v1/chat/completions", chat)->json()));
}

TEST_F(Responses, StreamTheirEvents) {
  const Json body = {{"model", "demo"},         {"input", "describe the picture."}, {"temperature", 0},
                     {"max_output_tokens", 40}, {"return_progress", true},          {"stream", true}};
  const std::vector<Json> events = ask("/v1/responses", body)->events(false);
  ASSERT_GE(events.size(), 8u);
  EXPECT_EQ(events[0]["type"], "response.created");
  EXPECT_EQ(events.back()["type"], "response.completed");
  std::string joined;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    EXPECT_FALSE(!joined.empty() && events[i]["type"] == "response.in_progress") << i;
    if (events[i]["type"] == "response.output_text.delta") joined += events[i]["delta"].get<std::string>();
  }
  EXPECT_EQ(joined, events.back()["response"]["output"][0]["content"][0]["text"]);
  EXPECT_FALSE(joined.empty());
}

TEST_F(Responses, RefuseWhatIsNotDone) {
  const auto with = [&](const char* key, const Json& value) {
    Json body = {{"model", "demo"}, {"input", "x"}};
    body[key] = value;
    return ask("/v1/responses", body);
  };
  expect_error(*with("previous_response_id", "resp_1"), 400, "previous_response_id");
  expect_error(*with("background", true), 400, "background");
  expect_error(*with("truncation", "auto"), 400, "truncation");
  expect_error(*with("input", 5), 400, "input");
  expect_error(*with("input", {{{"type", "function_call_output"}}}), 400, "input[0].type");
  expect_error(*with("echo", true), 400, "echo");
  // Instructions, which come first, do not count among the items.
  const Json bad = {
      {{"type", "input_image"}, {"image_url", "data:image/png;base64," + base64("words alone")}}};
  expect_error(*ask("/v1/responses",
                    {{"instructions", "be brief"}, {"input", {{{"role", "user"}, {"content", bad}}}}}),
               400, "input[0].content[0].image_url", "format");
  expect_error(*ask("/v1/responses", {{"model", "demo"}}), 400, "input");
}

}  // namespace
}  // namespace vl3::test
