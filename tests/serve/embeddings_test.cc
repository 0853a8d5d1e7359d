// POST /v1/embeddings, /tokenize, /detokenize, and the list of models.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "serve/api_support.h"
#include "vl3/answer_request.h"
#include "vl3/forward_input.h"

namespace vl3::test {
namespace {

class Embeddings : public ApiTest {
 protected:
  Json embed(const Json& input, const Json& more = Json::object()) {
    Json body = {{"model", "demo"}, {"input", input}};
    for (const auto& [key, value] : more.items()) body[key] = value;
    const auto exchange = ask("/v1/embeddings", body);
    EXPECT_EQ(exchange->status(), 200) << exchange->body();
    return exchange->json();
  }
  Json embed_media(const Json& parts, const Json& more = Json::object()) {
    Json body = {
        {"model", "demo"}, {"messages", {{{"role", "user"}, {"content", parts}}}}, {"normalize", false}};
    for (const auto& [key, value] : more.items()) body[key] = value;
    const auto exchange = ask("/v1/embeddings", body);
    EXPECT_EQ(exchange->status(), 200) << exchange->body();
    return exchange->json();
  }
  static void expect_near(const Json& got, std::span<const float> wanted) {
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(got[i].get<float>(), wanted[i], 2e-3) << i;
  }
};

TEST_F(Embeddings, OfTextsAreTheLastHiddenState) {
  // Longer than a chunk of the prompt.
  std::string text;
  for (int i = 0; i < 60; ++i) text += "a red cross and a blue ring. ";
  const auto ids = engine().processor().tokenizer().encode(text, false);
  ASSERT_GT(ids.size(), 300u);
  Context context(ContextOptions{.num_threads = 2});
  PastKeyValues past = engine().model().new_past(context, 1);
  Tensor hidden;
  for (size_t from = 0; from < ids.size(); from += 128) {  // the same chunks: the same roundings
    ForwardInput input;
    input.past = &past;
    input.ids = {{ids.begin() + static_cast<ptrdiff_t>(from),
                  ids.begin() + static_cast<ptrdiff_t>(std::min(from + 128, ids.size()))}};
    hidden = engine().model().model().forward(context, input).last_hidden_state;
  }
  const Json got = embed(text, {{"normalize", false}});
  const Json& values = got["data"][0]["embedding"];
  const auto wanted = hidden.span<float>().last(static_cast<size_t>(hidden.dim(2)));
  ASSERT_EQ(values.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_FLOAT_EQ(values[i].get<float>(), wanted[i]) << i;
  EXPECT_EQ(got["usage"]["prompt_tokens"], ids.size());
  EXPECT_EQ(embed(ids, {{"normalize", false}})["data"], got["data"]);
  double square = 0;
  const Json unit = embed(text);
  for (const Json& x : unit["data"][0]["embedding"]) square += x.get<double>() * x.get<double>();
  EXPECT_NEAR(square, 1, 1e-4);
}

TEST_F(Embeddings, OfAListAreThoseOfEach) {
  const Json all = embed({"a red cross", "left"});
  ASSERT_EQ(all["data"].size(), 2u);
  EXPECT_EQ(all["data"][0]["embedding"], embed("a red cross")["data"][0]["embedding"]);
  EXPECT_EQ(all["data"][1]["embedding"], embed("left")["data"][0]["embedding"]);
  const Json coded = embed("left", {{"encoding_format", "base64"}})["data"][0]["embedding"];
  std::vector<float> numbers;
  for (const Json& x : all["data"][1]["embedding"]) numbers.push_back(x.get<float>());
  std::string bytes(numbers.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  EXPECT_EQ(coded, base64(bytes));
}

TEST_F(Embeddings, OfMediaAreTheMeansOfTheirVisualTokens) {
  const Json messages = {
      {{"role", "user"},
       {"content",
        {{{"type", "video"}, {"video", (project() / "examples/media/scenes/count.mp4").string()}, {"fps", 1}},
         {{"type", "image"}, {"image", (project() / "examples/media/scenes/shapes.png").string()}}}}}};
  const AnswerRequest asked = parse_answer_request(engine(), {{"messages", messages}}, "test");
  Context context(ContextOptions{.num_threads = 2});
  ProcessorOutput inputs = engine().processor().process(context.threads(), asked.request);
  const auto kept = inputs.videos.clips[0].kept;
  const ForwardOutput output = engine().model().model().forward(context, forward_input(inputs));
  const auto mean = [](const Tensor& rows, int64_t from, int64_t count) {
    std::vector<float> sum(static_cast<size_t>(rows.dim(1)));
    for (int64_t r = from; r < from + count; ++r) {
      for (size_t x = 0; x < sum.size(); ++x)
        sum[x] += rows.span<float>()[static_cast<size_t>(r) * sum.size() + x] / static_cast<float>(count);
    }
    return sum;
  };
  const Json parts = {clip_part({{"fps", 1}}), picture_part()};
  const Json got = embed_media(parts);
  ASSERT_EQ(got["data"].size(), 2u);
  expect_near(got["data"][0]["embedding"],
              mean(output.video_hidden_states, 0, output.video_hidden_states.dim(0)));
  expect_near(got["data"][1]["embedding"],
              mean(output.image_hidden_states, 0, output.image_hidden_states.dim(0)));
  const Json frames = embed_media(parts, {{"per_frame", true}});
  ASSERT_EQ(frames["data"].size(), kept.size() + 1);
  expect_near(frames["data"][1]["embedding"], mean(output.video_hidden_states, kept[0], kept[1]));
  EXPECT_EQ(frames["data"][1]["tokens"], kept[1]);
  EXPECT_GT(frames["data"][1]["timestamp"], 0);
  // With text beside them the whole conversation is embedded.
  const Json whole = embed_media({picture_part(), words("what is this?")});
  ASSERT_EQ(whole["data"].size(), 1u);
  EXPECT_NE(whole["data"][0]["embedding"], got["data"][1]["embedding"]);
}

TEST_F(Embeddings, RefuseWhatIsNoInput) {
  const auto refused = [&](Json body, const char* param) {
    body["model"] = "demo";
    expect_error(*ask("/v1/embeddings", body), 400, param);
  };
  refused(Json::object(), "input");
  refused({{"input", ""}}, "input");
  refused({{"input", Json::array()}}, "input");
  refused({{"input", 5}}, "input");
  refused({{"input", {{1000000000}}}}, "input[0]");
  refused({{"input", "a"}, {"encoding_format", "morse"}}, "encoding_format");
  refused({{"input", "a"}, {"dimensions", 0}}, "dimensions");
  refused({{"input", "a"}, {"dimensions", 1000000000}}, "dimensions");
  refused({{"input", "a"}, {"dimensions", 3}}, "dimensions");
  refused({{"messages", {{{"role", "user"}, {"content", "x"}}}}, {"per_frame", true}}, "per_frame");
  refused({{"input", "a"}, {"per_frame", true}}, "per_frame");
}

class Tokens : public ApiTest {};

TEST_F(Tokens, ComeBackAsTheText) {
  for (const std::string& text :
       {std::string("a red cross"), std::string(), std::string("Ünïcödé 你好 🙂"),
        std::string("<|im_end|> <image>"), std::string(3000, 'x')}) {
    const Json told = ask("/tokenize", {{"content", text}})->json();
    EXPECT_EQ(told["count"], told["tokens"].size());
    EXPECT_EQ(told["tokens"], Json(engine().processor().tokenizer().encode(text, false)));
    EXPECT_EQ(ask("/detokenize", {{"tokens", told["tokens"]}})->json()["content"], text);
  }
}

TEST_F(Tokens, OfMessagesAreThoseOfTheChat) {
  const Json content = {picture_part(), clip_part({{"fps", 1}}), words("what?")};
  const Json counted = ask("/tokenize", chat_body(content))->json();
  const Json answer = chat(content, {{"max_tokens", 1}})->json();
  EXPECT_EQ(counted["count"], answer["usage"]["prompt_tokens"]);
  EXPECT_EQ(ask("/v1/chat/completions/input_tokens", chat_body(content))->json()["input_tokens"],
            answer["usage"]["prompt_tokens"]);
}

TEST_F(Tokens, RefuseWhatIsNone) {
  expect_error(*ask("/tokenize", Json::object()), 400);
  expect_error(*ask("/tokenize", {{"content", 5}}), 400, "content");
  expect_error(*ask("/tokenize", {{"messages", "x"}}), 400, "messages");
  expect_error(*ask("/tokenize", {{"content", "a"}, {"prompt", "b"}}), 400, "content");
  const Json messages = {{{"role", "user"}, {"content", "x"}}};
  expect_error(*ask("/tokenize", {{"content", "a"}, {"messages", messages}}), 400, "content");
  for (const Json& tokens : {Json::array({-1}), Json::array({1000000000}), Json::array({1.5}),
                             Json::array({"1"}), Json::array({18446744073709551615u}), Json(5)})
    expect_error(*ask("/detokenize", {{"tokens", tokens}}), 400, "tokens");
}

TEST_F(Tokens, ModelsAreListedWithTheirContext) {
  const Json list = serve::models_json(api().service());
  EXPECT_EQ(list["data"][0]["id"], "demo");
  EXPECT_EQ(list["data"][0]["max_model_len"], 8192);
  EXPECT_EQ(list["data"][0]["architecture"]["input_modalities"], Json({"text", "image", "video"}));
  EXPECT_EQ(serve::model_json(api().service(), "demo")["id"], "demo");
  EXPECT_THROW(serve::model_json(api().service(), "other"), serve::ApiError);
}

}  // namespace
}  // namespace vl3::test
