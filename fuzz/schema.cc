// JSON schemas. What is compiled leads nowhere dead: from every state there is a byte that goes on, or the
// text may end; and what ends is JSON.

#include <bitset>

#include "base/json.h"
#include "fuzz.h"
#include "grammar/json_schema.h"
#include "grammar/matcher.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  using namespace vl3::grammar;
  fuzz::read_or_refuse([&] {
    const Json schema = parse_json(fuzz::text_of(data, size), "fuzz");
    Budget budget(20'000, 2);
    GrammarBuilder builder(budget);
    const int32_t rule = SchemaRules(schema, builder).whole();
    const Grammar grammar = builder.finish(rule, 16, std::bitset<256>().set(), "fuzz");
    Matcher matcher(grammar);
    int32_t state = matcher.start();
    std::string text;
    for (uint32_t turn = 1; text.size() < 200; turn = turn * 1664525 + 1013904223) {
      if (matcher.accepts(state)) {
        parse_json(text, "answer");
        if (!matcher.goes_on(state) || turn >> 30 == 0) return;
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
