// Answers of a given form from the tiny model, whose weights are random: under every strategy, beside other
// requests, and through request files.

#include "base/json.h"
#include "engine/scheduler_support.h"
#include "support/expect_failure.h"
#include "vl3/answer_request.h"
#include "vl3/structured_output.h"

namespace vl3 {
namespace {

const char* const kPerson = R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 6},
    "age": {"type": "integer", "minimum": 0, "maximum": 150},
    "tags": {"type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 1, "maxItems": 3}},
    "required": ["name", "age", "tags"], "additionalProperties": false})";

void expect_person(const std::string& text) {
  const Json person = parse_json(text, text);
  ASSERT_EQ(person.size(), 3u) << text;
  EXPECT_LE(person["age"].get<int64_t>(), 150) << text;
  EXPECT_GE(person["age"].get<int64_t>(), 0) << text;
  ASSERT_TRUE(person["tags"].size() >= 1 && person["tags"].size() <= 3) << text;
  for (const Json& tag : person["tags"]) EXPECT_TRUE(tag == "red" || tag == "blue") << text;
}

class StructuredAnswers : public SchedulerTest {
 protected:
  static StructuredCompiler compiler() { return StructuredCompiler(engine().processor().tokenizer()); }
  static RequestOptions asked(const StructuredOutput& form, int64_t new_tokens = 200) {
    RequestOptions options;
    options.generation = engine().default_settings();
    options.generation.do_sample = false;
    options.generation.max_new_tokens = new_tokens;
    options.generation.seed = 3;
    install_structured(form, options.generation, options.hooks);
    return options;
  }
  static std::vector<GenerationResult> answers(RequestOptions options, std::vector<Json> parts = {}) {
    Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
    Scheduler scheduler(context, engine());
    const RequestId id = scheduler.submit(request(std::move(parts), "Who?"), std::move(options));
    scheduler.run(id);
    return scheduler.take(id).results;
  }

  // Greedy, sampled, beams, prompt lookup.
  static std::vector<RequestOptions> strategies(const RequestOptions& asked) {
    std::vector<RequestOptions> all(4, asked);
    all[1].generation.do_sample = true;
    all[1].generation.top_k = 0;
    all[1].generation.temperature = 2;
    all[1].generation.num_return_sequences = 3;
    all[2].generation.num_beams = 3;
    all[2].generation.num_return_sequences = 2;
    all[3].generation.prompt_lookup_num_tokens = 5;
    return all;
  }
};

TEST_F(StructuredAnswers, KeepTheirFormUnderEveryStrategy) {
  const StructuredOutput form = compiler().json_schema(parse_json(kPerson, "test"));
  const std::vector<RequestOptions> all = strategies(asked(form));
  std::vector<std::string> greedy;
  for (size_t i = 0; i < all.size(); ++i) {
    for (const GenerationResult& result : answers(all[i], {picture()})) {
      EXPECT_EQ(result.finish_reason, FinishReason::kStop) << result.text;
      expect_person(result.text);
      if (i == 0 || i == 3) greedy.push_back(result.text);
    }
  }
  ASSERT_EQ(greedy.size(), 2u);
  EXPECT_EQ(greedy[0], greedy[1]) << "prompt lookup changes nothing";
}

TEST_F(StructuredAnswers, OfCommonStepsAreThoseOfEachAlone) {
  const StructuredCompiler made = compiler();
  const std::vector<StructuredOutput> forms = {
      made.json_schema(parse_json(kPerson, "test")), made.regex("[a-z]{3,9}( [a-z]{2,4}){2}\\."),
      made.choice(std::vector<std::string>{"left", "right"}), made.regex("\\d{4}-\\d{2}-\\d{2}")};
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  Scheduler scheduler(context, engine());
  std::vector<RequestId> ids;
  for (const StructuredOutput& form : forms)
    ids.push_back(scheduler.submit(request({}, "Who?"), asked(form)));
  for (size_t i = 0; i < forms.size(); ++i) {
    scheduler.run(ids[i]);
    const std::string text = scheduler.take(ids[i]).results[0].text;
    EXPECT_TRUE(forms[i].matches(text)) << text;
    EXPECT_EQ(text, answers(asked(forms[i]))[0].text);
  }
}

// Random weights never close a string by themselves.
TEST_F(StructuredAnswers, ComeToTheirEndWithinTheLimitUnderEveryStrategy) {
  const StructuredOutput form = compiler().json_schema(parse_json(
      R"({"properties": {"colour": {"type": "string"}, "count": {"type": "integer"}},
          "required": ["colour", "count"]})",
      "test"));
  for (const int64_t limit : {26, 27, 30, 45, 80}) {
    const std::vector<RequestOptions> all = strategies(asked(form, limit));
    std::vector<std::string> greedy;
    for (size_t i = 0; i < all.size(); ++i) {
      for (const GenerationResult& result : answers(all[i])) {
        EXPECT_TRUE(form.matches(result.text)) << i << ", " << limit << ": " << result.text;
        EXPECT_EQ(result.finish_reason, FinishReason::kStop) << i << ", " << limit;
        EXPECT_LE(static_cast<int64_t>(result.new_ids.size()), limit);
        if (i == 0 || i == 3) greedy.push_back(result.text);
      }
    }
    ASSERT_EQ(greedy.size(), 2u);
    EXPECT_EQ(greedy[0], greedy[1]) << "prompt lookup changes nothing";
  }
}

TEST_F(StructuredAnswers, CutOffTheyAreBeginnings) {
  const StructuredOutput form = compiler().json_schema(parse_json(kPerson, "test"));
  const GenerationResult result = answers(asked(form, 5))[0];
  EXPECT_EQ(result.finish_reason, FinishReason::kLength);
  EXPECT_TRUE(form.begins(result.text)) << result.text;
  EXPECT_FALSE(form.matches(result.text)) << result.text;
}

TEST_F(StructuredAnswers, RequestsSayTheForm) {
  const auto parse = [](const char* structured, const char* generate = "{}") {
    return parse_answer_request(engine(),
                                {{"messages", question({}, "Who?")},
                                 {"structured", parse_json(structured, "test")},
                                 {"generate", parse_json(generate, "test")}},
                                "request");
  };
  Context context(ContextOptions{.num_threads = 1});
  const AnswerRequest asked = parse(R"({"choice": ["left", "right"]})");
  const std::string text =
      engine().answer(context, asked.request, asked.settings, asked.hooks).results[0].text;
  EXPECT_TRUE(text == "left" || text == "right") << text;
  EXPECT_EQ(parse_answer_request(engine(), {{"messages", question({}, "Who?")}}, "request").hooks.allowed,
            nullptr);
  test::expect_failure(ErrorCode::kInvalidArgument, {"[request: structured]"}, [&] { parse("5"); });
  test::expect_failure(ErrorCode::kUnsupported, {"lookahead"}, [&] { parse(R"x({"regex": "(?=a)"})x"); });
  test::expect_failure(ErrorCode::kInvalidArgument, {"a token to end with"},
                       [&] { parse(R"({"json_object": true})", R"({"eos_token_id": []})"); });
}

}  // namespace
}  // namespace vl3
