// Which tokens a form allows: against asking about every token's bytes, in any order of questions.

#include "vl3/structured_output.h"

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "base/json.h"
#include "support/expect_failure.h"
#include "support/support.h"
#include "vl3/tokenizer.h"

namespace vl3 {
namespace {

const char* const kPerson = R"({"properties": {"name": {"type": "string", "maxLength": 6},
    "note": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"]})";

class StructuredOutputTest : public testing::Test {
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

  static std::vector<StructuredOutput> forms() {
    return {compiler_->regex("[^\\d\\s]{3}|é[a-z ]{2,20}\\.?"),
            compiler_->choice(std::vector<std::string>{"left", "right", "in the middle", "é"}),
            compiler_->json_object(), compiler_->json_schema(parse_json(kPerson, "test")),
            compiler_->json_schema(parse_json(R"({"anyOf": [{"type": "string", "maxLength": 2},
                {"type": "string", "pattern": "^[a-z]{4,9}$"}]})",
                                              "test"))};
  }

  static std::set<int64_t> allowed(const GenerationHooks& hooks, const std::vector<int64_t>& ids,
                                   int64_t prompt = 0) {
    std::vector<uint32_t> mask(static_cast<size_t>((tokenizer_->vocab_size() + 31) / 32) + 3, 0);
    EXPECT_TRUE(hooks.allowed({prompt, 0, ids, ids}, mask));
    std::set<int64_t> found;
    for (size_t id = 0; id < mask.size() * 32; ++id) {
      if ((mask[id / 32] >> (id % 32) & 1) != 0) found.insert(static_cast<int64_t>(id));
    }
    return found;
  }
  static GenerationHooks hooks(const StructuredOutput& form, std::vector<int64_t> ends = {kEnd}) {
    GenerationHooks made;
    form.install(made, ends);
    return made;
  }
  // The token of a single byte.
  static int64_t byte_id(char byte) {
    for (int64_t id = 0; id < tokenizer_->vocab_size(); ++id) {
      if (!tokenizer_->is_special(id) && tokenizer_->token_bytes(id) == std::string_view(&byte, 1)) return id;
    }
    ADD_FAILURE() << "no token of byte " << int{byte};
    return 0;
  }
  static std::string text_of(const std::vector<int64_t>& ids) {
    std::string text;
    for (const int64_t id : ids) text += id == kEnd ? "" : std::string(tokenizer_->token_bytes(id));
    return text;
  }
  // What a token may be, by the form's own word about texts.
  static std::set<int64_t> expected(const StructuredOutput& form, const std::string& text) {
    std::set<int64_t> ids;
    for (int64_t id = 0; id < tokenizer_->vocab_size(); ++id) {
      const std::string bytes{tokenizer_->token_bytes(id)};
      if (!bytes.empty() && !tokenizer_->is_special(id) && form.begins(text + bytes)) ids.insert(id);
    }
    if (form.matches(text)) ids.insert(kEnd);
    return ids;
  }

  static std::unique_ptr<Tokenizer> tokenizer_;
  static std::unique_ptr<StructuredCompiler> compiler_;
};
std::unique_ptr<Tokenizer> StructuredOutputTest::tokenizer_;
std::unique_ptr<StructuredCompiler> StructuredOutputTest::compiler_;

TEST_F(StructuredOutputTest, MasksAreThoseOfEveryTokenAskedAlone) {
  std::mt19937 random(1);
  for (const StructuredOutput& form : forms()) {
    int ended = 0;
    for (int walk = 0; walk < 8; ++walk) {
      const GenerationHooks asked = hooks(form);
      std::vector<int64_t> ids;
      for (int step = 0; step < 60; ++step) {
        const std::set<int64_t> found = allowed(asked, ids);
        ASSERT_EQ(found, expected(form, text_of(ids))) << text_of(ids);
        ASSERT_FALSE(found.empty()) << text_of(ids);
        ids.push_back(*std::next(found.begin(), static_cast<ptrdiff_t>(random() % found.size())));
        if (ids.back() != kEnd) continue;
        EXPECT_TRUE(form.matches(text_of(ids)));
        EXPECT_EQ(allowed(asked, ids), std::set<int64_t>{kEnd});
        ++ended;
        break;
      }
    }
    EXPECT_TRUE(ended > 0 || form.begins("{")) << "only an open object may go on for so long";
  }
}

// Whatever text has the form, each of its tokenisations is allowed, byte by byte too.
TEST_F(StructuredOutputTest, NothingThatHasTheFormIsExcluded) {
  const StructuredOutput form = compiler_->json_schema(parse_json(kPerson, "test"));
  std::mt19937 random(2);
  for (int round = 0; round < 60; ++round) {
    Json value;
    const std::vector<std::string> names = {"", "ann", "é🙂", "a\"b\\", "\n\t\u0001", "abcdef"};
    value["name"] = names[random() % names.size()];
    if (random() % 2 == 0)
      value["note"] = names[random() % names.size()] + "中文, " + std::string(random() % 9, 'x');
    value["age"] = random() % 151;
    std::string text = value.dump();
    if (random() % 2 == 0) {
      std::string spaced;
      bool quoted = false;
      for (size_t i = 0; i < text.size(); ++i) {
        spaced += text[i];
        if (text[i] == '"' && (i == 0 || text[i - 1] != '\\' || text[i - 2] == '\\')) quoted = !quoted;
        if (!quoted && (text[i] == ',' || text[i] == ':')) spaced += ' ';
      }
      text = spaced;
    }
    ASSERT_TRUE(form.matches(text)) << text;
    const GenerationHooks asked = hooks(form);
    std::vector<std::vector<int64_t>> ways = {tokenizer_->encode(text, false), {}};
    for (const char c : text) ways[1].push_back(byte_id(c));
    for (const std::vector<int64_t>& ids : ways) {
      for (size_t i = 0; i < ids.size(); ++i) {
        const std::vector<int64_t> before(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(i));
        ASSERT_TRUE(allowed(asked, before).contains(ids[i])) << text << " at token " << i;
      }
      EXPECT_TRUE(allowed(asked, ids).contains(kEnd));
    }
  }
}

// Drafts, beams and several prompts: the answer depends on the ids alone, not on what was asked before.
TEST_F(StructuredOutputTest, QuestionsInAnyOrderHaveTheSameAnswers) {
  const StructuredOutput form = compiler_->json_schema(parse_json(kPerson, "test"));
  std::mt19937 random(3);
  std::vector<std::vector<int64_t>> beginnings = {{}};
  const GenerationHooks once = hooks(form);
  for (int i = 0; i < 120; ++i) {
    std::vector<int64_t> ids = beginnings[random() % beginnings.size()];
    const std::set<int64_t> found = allowed(once, ids);
    ids.push_back(*std::next(found.begin(), static_cast<ptrdiff_t>(random() % found.size())));
    beginnings.push_back(ids);
  }
  beginnings.push_back({5000});  // no token
  beginnings.push_back({0});     // a special one
  const GenerationHooks mixed = hooks(form);
  for (int i = 0; i < 600; ++i) {
    const std::vector<int64_t>& ids = beginnings[random() % beginnings.size()];
    ASSERT_EQ(allowed(mixed, ids, static_cast<int64_t>(random() % 3)), allowed(hooks(form), ids));
  }
  EXPECT_TRUE(allowed(mixed, {0}).empty());
}

TEST_F(StructuredOutputTest, OneFormServesManyThreads) {
  const StructuredOutput form = compiler_->json_object();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      const GenerationHooks own = hooks(form);
      std::vector<int64_t> ids;
      for (int i = 0; i < 80; ++i) {
        const std::set<int64_t> found = allowed(own, ids);
        if (found.empty()) ++wrong;
        if (found.empty() || found.contains(kEnd)) break;
        ids.push_back(*std::next(found.begin(), static_cast<ptrdiff_t>(random() % found.size())));
        if (!form.begins(text_of(ids))) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(StructuredOutputTest, AnEndTokenThatIsTextEndsNothingEarly) {
  const int64_t brace = byte_id('}');
  const GenerationHooks asked = hooks(compiler_->json_object(), {kEnd, brace});
  EXPECT_FALSE(allowed(asked, {byte_id('{')}).contains(brace));
  test::expect_failure(ErrorCode::kInvalidArgument, {"[constraint]", "a token to end with"},
                       [] { hooks(compiler_->json_object(), {}); });
}

TEST_F(StructuredOutputTest, FormsFromJson) {
  const auto from = [](const char* text) {
    return compiler_->from_json(parse_json(text, "test"), "request");
  };
  EXPECT_TRUE(from(R"({"regex": "a+"})").matches("aaa"));
  EXPECT_TRUE(from(R"({"choice": ["x", "y"]})").matches("y"));
  EXPECT_TRUE(from(R"({"json": {"type": "null"}})").matches("null"));
  EXPECT_TRUE(from(R"({"json": "{\"type\": \"null\"}"})").matches("null"));
  EXPECT_TRUE(from(R"({"json_object": true})").matches("{}"));
  for (const auto& [text, what] :
       std::vector<std::pair<const char*, const char*>>{{"[]", "one of"},
                                                        {"{}", "one of"},
                                                        {R"({"regex": "a", "choice": ["b"]})", "one of"},
                                                        {R"({"regex": 5})", "regex should be a string"},
                                                        {R"({"choice": []})", "choice should be a list"},
                                                        {R"({"choice": [1]})", "choice should be a list"},
                                                        {R"({"grammar": "x"})", "one of"},
                                                        {R"({"json_object": false})", "true"}}) {
    test::expect_failure(ErrorCode::kInvalidArgument, {"[request]", what},
                         [&from, form = text] { from(form); });
  }
}

TEST_F(StructuredOutputTest, LimitsHold) {
  StructuredLimits limits;
  limits.max_source_bytes = 100;
  limits.max_states = 200;
  const StructuredCompiler small(*tokenizer_, limits);
  test::expect_failure(ErrorCode::kLimitExceeded, {"[regex] has 101 bytes"},
                       [&] { small.regex(std::string(101, 'a')); });
  test::expect_failure(ErrorCode::kLimitExceeded, {"more than 200 states"}, [&] { small.regex("a{150}"); });
  test::expect_failure(ErrorCode::kLimitExceeded, {"[choice] has"},
                       [&] { small.choice(std::vector<std::string>(30, "four")); });
  // Wrapped by moves: to copy a deep object takes a frame a level, which no stack has without optimisation.
  Json deep = true;
  for (int i = 0; i < 3000; ++i) {
    Json outer = Json::object();
    outer["items"] = std::move(deep);
    deep = std::move(outer);
  }
  test::expect_failure(ErrorCode::kLimitExceeded, {"[schema] is nested deeper"},
                       [&] { compiler_->json_schema(deep); });
  limits = {};
  limits.max_seconds = 0;
  test::expect_failure(ErrorCode::kLimitExceeded, {"takes longer than"},
                       [&] { StructuredCompiler(*tokenizer_, limits).regex("(a|b){5000}"); });
}

// The cost of a question is bounded too: it is the thread of all answers that asks.
TEST_F(StructuredOutputTest, AnExplosionOfReadingsEndsTheRequest) {
  const StructuredOutput form = compiler_->regex("(.*a){3000}");
  const GenerationHooks asked = hooks(form);
  test::expect_failure(ErrorCode::kLimitExceeded, {"[constraint]", "ways"}, [&] {
    std::vector<int64_t> ids;
    for (int i = 0; i < 3000; ++i) {
      allowed(asked, ids);
      ids.push_back(byte_id(i % 3 == 0 ? 'a' : 'b'));
    }
  });
}

TEST(StructuredVocabulary, OfTheRealTokenizer) {
  VL3_NEED_SHARED(folder, "tokenizer");
  const Tokenizer tokenizer = Tokenizer::from_pretrained(folder);
  const StructuredCompiler compiler(tokenizer);
  const StructuredOutput form = compiler.json_schema(parse_json(kPerson, "test"));
  const std::string text = R"({"name": "Zoë🙂", "note": "a longer note, with 中文", "age": 42})";
  GenerationHooks hooks;
  form.install(hooks, std::vector<int64_t>{*tokenizer.eos_id()});
  const std::vector<int64_t> ids = tokenizer.encode(text, false);
  for (size_t i = 0; i <= ids.size(); ++i) {
    std::vector<uint32_t> mask(4750, 0);
    const auto before = std::span(ids).first(i);
    ASSERT_TRUE(hooks.allowed({0, 0, before, before}, mask));
    const int64_t next = i < ids.size() ? ids[i] : *tokenizer.eos_id();
    EXPECT_TRUE(mask[static_cast<size_t>(next / 32)] >> (next % 32) & 1) << i;
    // A sample of the others, by their bytes.
    const std::string begun = tokenizer.decode(before);
    for (int64_t id = static_cast<int64_t>(i); id < tokenizer.vocab_size(); id += 997) {
      const std::string bytes{tokenizer.token_bytes(id)};
      const bool fits = !bytes.empty() && !tokenizer.is_special(id) &&
                        begun.find("\uFFFD") == std::string::npos && form.begins(begun + bytes);
      if (begun.find("\uFFFD") == std::string::npos && id != *tokenizer.eos_id()) {
        EXPECT_EQ((mask[static_cast<size_t>(id / 32)] >> (id % 32) & 1) != 0, fits) << begun << bytes;
      }
    }
  }
}

}  // namespace
}  // namespace vl3
