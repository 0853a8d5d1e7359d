// Answers of a given form over the API: every spelling, whole and streamed, and what is refused.

#include <regex>

#include "serve/api_support.h"

namespace vl3::test {
namespace {

using Structured = ApiTest;

Json schema_of_two() {
  return {{"type", "object"},
          {"properties",
           {{"colour", {{"enum", {"red", "blue"}}}},
            {"count", {{"type", "integer"}, {"minimum", 0}, {"maximum", 99}}}}},
          {"required", {"colour", "count"}},
          {"additionalProperties", false}};
}

TEST_F(Structured, AnswersHaveTheirFormInEverySpelling) {
  const Json format = {{"type", "json_schema"},
                       {"json_schema", {{"name", "x"}, {"strict", true}, {"schema", schema_of_two()}}}};
  for (const Json& more :
       {Json{{"response_format", format}}, Json{{"guided_json", schema_of_two()}},
        Json{{"structured_outputs", {{"json", schema_of_two()}}}},
        Json{{"json_schema", schema_of_two().dump()}},
        Json{{"response_format", {{"type", "json_object"}, {"schema", schema_of_two()}}}},
        Json{{"response_format", {{"type", "json_schema"}, {"schema", schema_of_two()}}}}}) {
    Json wanted = more;
    wanted["max_tokens"] = 100;
    const Json answer = Json::parse(say("describe a shape", wanted));
    EXPECT_TRUE(answer["colour"] == "red" || answer["colour"] == "blue") << answer.dump();
    EXPECT_LE(answer["count"], 99);
    wanted["stream"] = true;
    std::string joined;
    for (const Json& event : chat("describe a shape", wanted)->events())
      joined += event["choices"][0]["delta"].value("content", "");
    EXPECT_EQ(Json::parse(joined), answer);
  }
  const std::string date =
      say("when?", {{"structured_outputs", {{"regex", "\\d{4}-\\d{2}"}}}, {"max_tokens", 40}});
  EXPECT_TRUE(std::regex_match(date, std::regex("[0-9]{4}-[0-9]{2}"))) << date;
  EXPECT_EQ(say("when?", {{"regex", "\\d{4}-\\d{2}"}, {"max_tokens", 40}}), date);
  EXPECT_TRUE(
      Json::parse(say("x", {{"response_format", {{"type", "json_object"}, {"schema", Json::object()}}},
                            {"max_tokens", 60}}))
          .is_object());
  const std::string side = say("where?", {{"guided_choice", {"left", "right"}}});
  EXPECT_TRUE(side == "left" || side == "right") << side;
  EXPECT_EQ(say("hello", {{"response_format", {{"type", "text"}}}}), say("hello"));
  const Json body = {
      {"model", "demo"},
      {"input", "x"},
      {"temperature", 0},
      {"max_output_tokens", 100},
      {"text", {{"format", {{"type", "json_schema"}, {"name", "x"}, {"schema", schema_of_two()}}}}}};
  const Json answer = ask("/v1/responses", body)->json();
  EXPECT_TRUE(Json::parse(answer["output"][0]["content"][0]["text"].get<std::string>()).contains("count"));
}

TEST_F(Structured, AllowedIdsAreTheOnlyOnes) {
  const auto ids = engine().processor().tokenizer().encode("red blue", false);
  const std::string text = say("hello", {{"allowed_token_ids", ids}, {"max_tokens", 8}});
  for (const int64_t id : engine().processor().tokenizer().encode(text, false)) {
    const auto bytes = engine().processor().tokenizer().token_bytes(id);
    EXPECT_NE(std::string("red blue").find(bytes), std::string::npos) << bytes;
  }
}

TEST_F(Structured, RefuseWhatIsNoForm) {
  const auto refused = [&](const Json& more, const char* param) {
    expect_error(*chat("x", more), 400, param);
  };
  const auto schema = [](const Json& of) {
    return Json{
        {"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", of}}}}}};
  };
  refused({{"response_format", "json"}}, "response_format");
  refused({{"response_format", {{"type", "sound"}}}}, "response_format.type");
  refused({{"response_format", {{"type", "json_schema"}}}}, "response_format.json_schema");
  refused({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}}}}}},
          "response_format.json_schema.schema");
  refused(schema({{"type", "hiccup"}}), "response_format.json_schema.schema");
  refused(schema({{"$ref", "http://127.0.0.1/x.json"}}), "response_format.json_schema.schema");
  refused({{"structured_outputs", {{"regx", "a"}}}}, "structured_outputs");
  refused({{"structured_outputs", {{"regex", "("}}}}, "structured_outputs.regex");
  refused({{"structured_outputs", {{"regex", "(a)\\1"}}}}, "structured_outputs.regex");
  refused({{"structured_outputs", {{"regex", "a"}, {"choice", {"b"}}}}}, "structured_outputs.choice");
  refused({{"guided_regex", "a"}, {"guided_choice", {"b"}}}, "guided_choice");
  refused({{"guided_choice", {"b"}}, {"regex", "a"}}, "regex");
  refused({{"response_format", {{"type", "json_object"}, {"schema", {{"type", "hiccup"}}}}}},
          "response_format.schema");
  Json twice = schema(schema_of_two());
  twice["response_format"]["schema"] = schema_of_two();
  refused(twice, "response_format.json_schema.schema");
  refused({{"guided_regex", "a"}, {"ignore_eos", true}}, "ignore_eos");
  const auto words_of = [&](const Json& more) {
    return chat("x", more)->json()["error"]["message"].get<std::string>();
  };
  EXPECT_NE(words_of({{"guided_json", "{"}}).find("is not valid JSON at line 1"), std::string::npos);
}

// As a class of data has an address: a long bound beside a format.
TEST_F(Structured, AnAddressWithALongestLength) {
  const Json url = {{"type", "string"}, {"format", "uri"}, {"minLength", 1}, {"maxLength", 2083}};
  const Json schema = {{"type", "object"}, {"properties", {{"url", url}}}, {"required", {"url"}}};
  const Json answer = Json::parse(say("x", {{"guided_json", schema}, {"max_tokens", 60}}));
  const auto text = answer["url"].get<std::string>();
  EXPECT_TRUE(text.starts_with("http://") || text.starts_with("https://")) << text;
}

TEST_F(Structured, SettingsThatLeaveNothingSayWhatToEase) {
  const auto ids = engine().processor().tokenizer().encode("a", false);
  const auto refused = chat("x", {{"allowed_token_ids", ids}, {"bad_words", {"a"}}});
  EXPECT_EQ(refused->status(), 400);
  const auto words = refused->json()["error"]["message"].get<std::string>();
  EXPECT_NE(words.find("allow more tokens, or forbid fewer"), std::string::npos) << words;
  EXPECT_EQ(words.find("bad_words_ids"), std::string::npos) << "a name of the library: " << words;
}

}  // namespace
}  // namespace vl3::test
