// Regular expressions, and what comes of them: from every state there is a byte that goes on, or the text may
// end.

#include "grammar/regex.h"

#include <bitset>

#include "fuzz.h"
#include "grammar/text_rules.h"
#include "grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  using namespace vl3::grammar;
  fuzz::read_or_refuse([&] {
    Budget budget(20'000, 2);
    const CharNfa nfa = regex_nfa(fuzz::text_of(data, size), RegexMatch::kWhole, "fuzz", budget);
    GrammarBuilder builder(budget);
    const int32_t id = builder.add_rule();
    const Rule rule = builder.rule(id);
    TextRules(builder, TextRules::Spelling::kPlain).text(rule.start, nfa, rule.end);
    const Grammar grammar = builder.finish(id, 16, std::bitset<256>().set(), "fuzz");
    fuzz::walk(grammar, 100, [&](const std::string& text, uint32_t) {
      if (!nfa.accepts(text, budget)) std::abort();
      return false;
    });
  });
  return 0;
}
