#pragma once
// Grammars of expressions and schemas, asked about whole texts.

#include <gtest/gtest.h>

#include <bitset>
#include <memory>
#include <random>
#include <string>

#include "base/json.h"
#include "grammar/json_schema.h"
#include "grammar/matcher.h"
#include "grammar/regex.h"

namespace vl3::grammar {

class Compiled {
 public:
  static Compiled regex(const std::string& expression, int64_t max_states = 400'000) {
    Budget budget(max_states, 60);
    const CharNfa nfa = regex_nfa(expression, RegexMatch::kWhole, "regex", budget);
    GrammarBuilder builder(budget);
    const int32_t id = builder.add_rule();
    const Rule rule = builder.rule(id);
    TextRules(builder, TextRules::Spelling::kPlain).text(rule.start, nfa, rule.end);
    return Compiled(builder.finish(id, 32, std::bitset<256>().set(), "regex"));
  }
  static Compiled schema(const Json& schema, int64_t max_states = 400'000, int max_depth = 32) {
    Budget budget(max_states, 60);
    GrammarBuilder builder(budget);
    const int32_t id = SchemaRules(schema, builder).whole();
    return Compiled(builder.finish(id, max_depth, std::bitset<256>().set(), "schema"));
  }
  static Compiled schema(const char* text) { return schema(parse_json(text, "test")); }

  bool accepts(const std::string& text) {
    const int32_t state = matcher_->step(matcher_->start(), text);
    return state != Matcher::kDead && matcher_->accepts(state);
  }
  Matcher& matcher() { return *matcher_; }

  // A text that matches, byte by byte at random; empty where it did not come to its end in so many bytes.
  // There is always a byte that may follow, or the text may end: a grammar leads nowhere dead.
  std::string walk(std::mt19937& random, size_t max_bytes = 3000) {
    std::string text;
    int32_t state = matcher_->start();
    while (text.size() < max_bytes) {
      if (matcher_->accepts(state) && (!matcher_->goes_on(state) || random() % 3 == 0)) return text;
      std::string alive, closing;
      for (int byte = 0; byte < 256; ++byte) {
        if (matcher_->step(state, static_cast<uint8_t>(byte)) == Matcher::kDead) continue;
        alive += static_cast<char>(byte);
        if (byte == '"' || byte == ']' || byte == '}') closing += static_cast<char>(byte);
      }
      EXPECT_TRUE(!alive.empty() || matcher_->accepts(state)) << text;
      if (alive.empty()) return text;
      const std::string& from = !closing.empty() && random() % 4 == 0 ? closing : alive;
      text += from[random() % from.size()];
      state = matcher_->step(state, static_cast<uint8_t>(text.back()));
    }
    return {};
  }

 private:
  explicit Compiled(Grammar grammar)
      : grammar_(std::make_unique<const Grammar>(std::move(grammar))),
        matcher_(std::make_unique<Matcher>(*grammar_)) {}
  std::unique_ptr<const Grammar> grammar_;
  std::unique_ptr<Matcher> matcher_;
};

}  // namespace vl3::grammar
