// Regular expressions, and what comes of them: from every state there is a byte that goes on, or the text may
// end.

#include "grammar/regex.h"

#include <bitset>

#include "fuzz.h"
#include "grammar/matcher.h"
#include "grammar/text_rules.h"

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
    Matcher matcher(grammar);
    int32_t state = matcher.start();
    std::string text;
    for (uint32_t turn = 1; text.size() < 100; turn = turn * 1664525 + 1013904223) {
      if (matcher.accepts(state)) {
        if (!nfa.accepts(text, budget)) std::abort();
        if (!matcher.goes_on(state)) return;
      }
      uint32_t byte = turn >> 24, tries = 0;
      while (matcher.step(state, static_cast<uint8_t>(byte)) == Matcher::kDead) {
        if (++tries == 256) std::abort();
        byte = (byte + 1) & 255;
      }
      text += static_cast<char>(byte);
      state = matcher.step(state, static_cast<uint8_t>(byte));
    }
  });
  return 0;
}
