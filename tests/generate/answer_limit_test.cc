// Answers of a given form come to their end within the tokens that are left.

#include <algorithm>
#include <random>
#include <set>

#include "base/json.h"
#include "support/support.h"
#include "vl3/structured_output.h"
#include "vl3/tokenizer.h"

namespace vl3 {
namespace {

const char* const kColour = R"({"properties": {"colour": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["colour", "count"]})";
// An empty list is short, but not within so many levels as there are at most.
const char* const kNested = R"({"properties": {"next": {"anyOf": [{"const": "long"},
    {"type": "array", "maxItems": 0}, {"$ref": "#"}]}}, "required": ["next"]})";

class AnswerLimit : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    tokenizer_ =
        std::make_unique<Tokenizer>(Tokenizer::from_pretrained(test::data_path("../../models/demo")));
    compiler_ = std::make_unique<StructuredCompiler>(*tokenizer_);
  }
  static void TearDownTestSuite() {
    compiler_.reset();
    tokenizer_.reset();
  }
  static constexpr int64_t kEnd = 2;
  struct Form {
    const char* name;
    StructuredOutput form;
    std::string shortest;  // of its texts, one
  };
  static Form schema(const char* text, std::string shortest) {
    return {text, compiler_->json_schema(parse_json(text, "test")), std::move(shortest)};
  }
  static Form regex(const char* text, std::string shortest) {
    return {text, compiler_->regex(text), std::move(shortest)};
  }
  static std::vector<Form> forms() {
    StructuredLimits flat;
    flat.max_depth = 3;
    return {schema(kColour, R"({"colour":"","count":0})"),
            schema(R"({"type": "string", "minLength": 4, "maxLength": 300})", "\"aaaa\""),
            schema(R"({"type": "array", "items": {"type": "string"}, "minItems": 2})", R"(["",""])"),
            schema(R"({"type": "string", "format": "email"})", "\"a@b.c\""),
            schema(R"({"type": "number", "minimum": 12.5})", "13"),
            schema("{}", "0"),
            {"flat", StructuredCompiler(*tokenizer_, flat).json_schema(parse_json(kNested, "test")),
             R"({"next":[]})"},
            {"object", compiler_->json_object(), "{}"},
            {"choice", compiler_->choice(std::vector<std::string>{"in the middle", "left", "right"}), "left"},
            regex(".*", ""),
            regex("[^\\d\\s]{3}.*end|é[a-z ]{2,20}\\.?", "éaa"),
            regex("(ab|c{7})*d{2}", "dd")};
  }

  static std::vector<int64_t> allowed(const GenerationHooks& hooks, const std::vector<int64_t>& ids,
                                      int64_t left) {
    std::vector<uint32_t> mask(static_cast<size_t>((tokenizer_->vocab_size() + 31) / 32), 0);
    EXPECT_TRUE(hooks.allowed({0, 0, ids, ids, left}, mask));
    std::vector<int64_t> found;
    for (size_t id = 0; id < mask.size() * 32; ++id) {
      if ((mask[id / 32] >> (id % 32) & 1) != 0) found.push_back(static_cast<int64_t>(id));
    }
    return found;
  }
  static GenerationHooks hooks(const StructuredOutput& form, std::vector<int64_t> ends = {kEnd}) {
    GenerationHooks made;
    form.install(made, ends);
    return made;
  }
  static std::string text_of(const std::vector<int64_t>& ids) {
    std::string text;
    for (const int64_t id : ids) text += id == kEnd ? "" : std::string(tokenizer_->token_bytes(id));
    return text;
  }
  // At random; one that does not care to end takes its end token only where it must.
  static std::vector<int64_t> walk(const GenerationHooks& asked, int64_t limit, bool ends,
                                   std::mt19937& random) {
    std::vector<int64_t> ids;
    while (static_cast<int64_t>(ids.size()) < limit && (ids.empty() || ids.back() != kEnd)) {
      std::vector<int64_t> found = allowed(asked, ids, limit - static_cast<int64_t>(ids.size()));
      if (found.empty()) ADD_FAILURE() << "nothing is allowed after " << text_of(ids);
      if (found.empty()) break;
      if (!ends && found.size() > 1) std::erase(found, kEnd);
      ids.push_back(found[random() % found.size()]);
    }
    return ids;
  }

  static std::unique_ptr<Tokenizer> tokenizer_;
  static std::unique_ptr<StructuredCompiler> compiler_;
};
std::unique_ptr<Tokenizer> AnswerLimit::tokenizer_;
std::unique_ptr<StructuredCompiler> AnswerLimit::compiler_;

// From as many tokens as the shortest text has bytes on, whatever is chosen.
TEST_F(AnswerLimit, EveryAnswerIsCompleteFromTheShortestOn) {
  std::mt19937 random(1);
  for (const Form& form : forms()) {
    ASSERT_TRUE(form.form.matches(form.shortest)) << form.name;
    const auto least = static_cast<int64_t>(form.shortest.size());
    const GenerationHooks asked = hooks(form.form);
    for (int64_t limit = std::max<int64_t>(least, 1); limit < least + 40; ++limit) {
      for (const bool ends : {false, true}) {
        const std::vector<int64_t> ids = walk(asked, limit, ends, random);
        ASSERT_TRUE(form.form.matches(text_of(ids))) << form.name << ", " << limit << ": " << text_of(ids);
        if (limit > least) {
          ASSERT_EQ(ids.back(), kEnd) << form.name << ", " << limit;
        }
      }
    }
  }
}

// What is refused is what would come too late, and nothing else.
TEST_F(AnswerLimit, OnlyWhatComesTooLateIsExcluded) {
  const std::vector<std::string> texts = {"left", "leftmost", "right", "in the middle", "é"};
  const GenerationHooks asked = hooks(compiler_->choice(texts));
  const auto lacking = [&](const std::string& begun) {
    size_t least = 1000;
    for (const std::string& text : texts) {
      if (text.starts_with(begun)) least = std::min(least, text.size() - begun.size());
    }
    return static_cast<int64_t>(least);
  };
  std::mt19937 random(2);
  for (int64_t limit = 1; limit <= 16; ++limit) {
    for (int round = 0; round < 10; ++round) {
      std::vector<int64_t> ids;
      for (int64_t left = limit; left > 0 && (ids.empty() || ids.back() != kEnd); --left) {
        const std::string begun = text_of(ids);
        const int64_t now = lacking(begun);
        std::vector<int64_t> expected;
        for (const int64_t id : allowed(hooks(compiler_->choice(texts)), ids, 1000)) {
          const int64_t behind = id == kEnd ? 0 : lacking(begun + std::string(tokenizer_->token_bytes(id)));
          const bool in_time = left > now ? behind + 1 <= left - 1 : behind <= left - 1;
          if (id == kEnd || left < now || in_time) expected.push_back(id);
        }
        const std::vector<int64_t> found = allowed(asked, ids, left);
        ASSERT_EQ(found, expected) << begun << ", " << left;
        ids.push_back(found[random() % found.size()]);
      }
    }
  }
}

TEST_F(AnswerLimit, IsNotFeltWhileMuchIsLeft) {
  std::mt19937 random(3);
  for (const Form& form : forms()) {
    const GenerationHooks asked = hooks(form.form), other = hooks(form.form);
    std::vector<int64_t> ids;
    for (int step = 0; step < 25; ++step) {
      const std::vector<int64_t> found = allowed(asked, ids, 5000);
      std::vector<uint32_t> mask(static_cast<size_t>((tokenizer_->vocab_size() + 31) / 32), 0);
      ASSERT_EQ(found, allowed(other, ids, ConstraintQuery{}.left)) << form.name;
      ids.push_back(found[random() % found.size()]);
      if (ids.back() == kEnd) break;
    }
  }
}

// Then the answer is cut off, as the beginning of one.
TEST_F(AnswerLimit, TooFewTokensForAnyAnswerChangeNothing) {
  const StructuredOutput form = compiler_->json_schema(parse_json(kColour, "test"));
  const GenerationHooks asked = hooks(form);
  EXPECT_EQ(allowed(asked, {}, 3), allowed(asked, {}, 1000));
  std::mt19937 random(4);
  const std::vector<int64_t> ids = walk(asked, 3, true, random);
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_TRUE(form.begins(text_of(ids)));
}

// A brace that ends answers cannot close an object; what can comes too late to be waited for.
TEST_F(AnswerLimit, ABytesTokenThatEndsAnswersLeavesSomethingToChoose) {
  int64_t brace = -1;
  for (int64_t id = 0; id < tokenizer_->vocab_size(); ++id) {
    if (!tokenizer_->is_special(id) && tokenizer_->token_bytes(id) == "}") brace = id;
  }
  ASSERT_GE(brace, 0);
  const GenerationHooks asked = hooks(compiler_->json_object(), {kEnd, brace});
  std::vector<int64_t> ids;
  for (int64_t left = 6; left > 0; --left) {
    const std::vector<int64_t> found = allowed(asked, ids, left);
    ASSERT_FALSE(found.empty()) << text_of(ids) << ", " << left;
    ids.push_back(found.front());
  }
}

}  // namespace
}  // namespace vl3
