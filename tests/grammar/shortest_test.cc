// The bytes that answers still need: their number against texts that are known, and against taking one byte
// at a time.

#include "grammar/shortest.h"

#include "grammar/grammar_support.h"

namespace vl3::grammar {
namespace {

int32_t shortest_behind(Compiled& compiled, const std::string& text) {
  const int32_t state = compiled.matcher().step(compiled.matcher().start(), text);
  EXPECT_NE(state, Matcher::kDead) << text;
  return state == Matcher::kDead ? -1 : compiled.matcher().shortest(state);
}

// The fewest bytes of a state that goes on, by those behind its bytes.
int32_t fewest_behind_bytes(Matcher& matcher, int32_t state) {
  int32_t fewest = ShortestEnds::kFar;
  for (int byte = 0; byte < 256; ++byte) {
    const int32_t to = matcher.step(state, static_cast<uint8_t>(byte));
    if (to != Matcher::kDead) fewest = std::min(fewest, matcher.shortest(to));
  }
  return fewest;
}

TEST(ShortestEnds, OfExpressions) {
  Compiled form = Compiled::regex("a{3}b*|cc|d.{2,}é");
  EXPECT_EQ(shortest_behind(form, ""), 2);
  EXPECT_EQ(shortest_behind(form, "a"), 2);
  EXPECT_EQ(shortest_behind(form, "aaa"), 0);
  EXPECT_EQ(shortest_behind(form, "aaabb"), 0);
  EXPECT_EQ(shortest_behind(form, "c"), 1);
  EXPECT_EQ(shortest_behind(form, "d"), 4);
  EXPECT_EQ(shortest_behind(form, "dxxé"), 0);
  EXPECT_EQ(shortest_behind(form, "dxxx\xC3"), 1);
}

TEST(ShortestEnds, OfSchemas) {
  Compiled form = Compiled::schema(R"({"properties": {"colour": {"type": "string"},
      "count": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "boolean"}}},
      "required": ["colour", "count"]})");
  EXPECT_EQ(shortest_behind(form, ""), int32_t{sizeof(R"({"colour":"","count":0})") - 1});
  EXPECT_EQ(shortest_behind(form, R"({"colour": "re)"), int32_t{sizeof(R"(","count":0})") - 1});
  EXPECT_EQ(shortest_behind(form, R"({"colour": "re\u)"), int32_t{sizeof(R"(0000","count":0})") - 1});
  EXPECT_EQ(shortest_behind(form, R"({"colour": "re\ud83d)"), int32_t{sizeof(R"(\ude42","count":0})") - 1});
  EXPECT_EQ(shortest_behind(form, R"({"colour": "", "count": -)"), 2);
  EXPECT_EQ(shortest_behind(form, R"({"colour": "", "count": 1, "tags": [true, )"),
            int32_t{sizeof("true]}") - 1});
  EXPECT_EQ(shortest_behind(form, R"({"colour": "", "count": 1, "tags": []})"), 0);
}

// Where the shortest way would be nested too deeply, what counts is a way that is not.
TEST(ShortestEnds, WithinTheLevelsThatAreLeft) {
  const Json schema = parse_json(R"({"properties": {"next": {"anyOf": [{"const": "a long text"},
      {"type": "array", "maxItems": 0}, {"$ref": "#"}]}}, "required": ["next"]})",
                                 "test");
  Compiled flat = Compiled::schema(schema, 400'000, 1), two = Compiled::schema(schema, 400'000, 2);
  const std::string begun = R"({"next":)";
  EXPECT_EQ(shortest_behind(flat, begun), int32_t{sizeof(R"("a long text"})") - 1});
  EXPECT_EQ(shortest_behind(two, begun), 3);
  EXPECT_EQ(shortest_behind(two, begun + begun), int32_t{sizeof(R"("a long text"}})") - 1});
}

// Every state is one byte away from a state that needs one byte less, and from none that needs still less.
TEST(ShortestEnds, FallByOneWithEveryByteOfTheShortestWay) {
  std::vector<Compiled> forms;
  for (const char* expression :
       {"(ab|c{4})*d", "\\d{4}-\\d{2}-\\d{2}", ".{3,9}x|[é-ü]{2}", "(a|b(c|d{5})e)+"})
    forms.push_back(Compiled::regex(expression));
  for (const char* schema :
       {"{}", R"({"type": "string", "minLength": 3, "maxLength": 9})",
        R"({"type": "string", "format": "email"})",
        R"({"type": "string", "format": "email", "minLength": 14, "maxLength": 15})",
        R"({"type": "string", "pattern": "^(é\\n|abcd|x{5})*$", "minLength": 7, "maxLength": 11})",
        R"({"type": "string", "pattern": "^((ab)+|é\")$", "minLength": 6})",
        R"({"type": "number", "minimum": -12.5, "maximum": 3})",
        R"({"properties": {"a": {"enum": ["x", "yy", {"z": 1}]}}, "required": ["a"], "minProperties": 1})",
        R"({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}, "minItems": 2})"})
    forms.push_back(Compiled::schema(schema));
  std::mt19937 random(4);
  for (Compiled& form : forms) {
    Matcher& matcher = form.matcher();
    for (int round = 0; round < 20; ++round) {
      int32_t state = matcher.start();
      for (const char c : form.walk(random, 300)) {
        const int32_t bytes = matcher.shortest(state);
        ASSERT_EQ(bytes == 0, matcher.accepts(state));
        if (bytes > 0) {
          ASSERT_EQ(fewest_behind_bytes(matcher, state), bytes - 1);
        }
        state = matcher.step(state, static_cast<uint8_t>(c));
      }
      EXPECT_EQ(matcher.shortest(state), 0);
    }
  }
}

// Rules that double each other's length have more bytes than numbers can count.
TEST(ShortestEnds, AreCountedUpToALimit) {
  Budget budget(400'000, 60);
  GrammarBuilder builder(budget);
  int32_t longer = builder.add_rule();
  builder.bytes(builder.rule(longer).start, 'a', 'a', builder.rule(longer).end);
  for (int doubled = 0; doubled < 70; ++doubled) {
    const int32_t id = builder.add_rule(), middle = builder.add_node();
    builder.call(builder.rule(id).start, longer, middle);
    builder.call(middle, longer, builder.rule(id).end);
    longer = id;
  }
  const Grammar grammar = builder.finish(longer, 32, std::bitset<256>().set(), "test");
  Matcher matcher(grammar);
  EXPECT_EQ(matcher.shortest(matcher.start()), ShortestEnds::kFar);
  EXPECT_EQ(matcher.shortest(matcher.step(matcher.start(), "aaa")), ShortestEnds::kFar);
  EXPECT_EQ(ShortestEnds::sum(ShortestEnds::kFar, ShortestEnds::kFar), ShortestEnds::kFar);
  EXPECT_EQ(ShortestEnds::sum(ShortestEnds::kFar - 1, 1), ShortestEnds::kFar);
  EXPECT_EQ(ShortestEnds::sum(3, 4), 7);
}

}  // namespace
}  // namespace vl3::grammar
