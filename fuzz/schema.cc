// JSON schemas. What is compiled leads nowhere dead: from every state there is a byte that goes on, or the
// text may end; and what ends is JSON.

#include <bitset>

#include "base/json.h"
#include "fuzz.h"
#include "grammar/json_schema.h"
#include "grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  using namespace vl3::grammar;
  fuzz::read_or_refuse([&] {
    const Json schema = parse_json(fuzz::text_of(data, size), "fuzz");
    Budget budget(20'000, 2);
    GrammarBuilder builder(budget);
    const int32_t rule = SchemaRules(schema, builder).whole();
    const Grammar grammar = builder.finish(rule, 16, std::bitset<256>().set(), "fuzz");
    fuzz::walk(grammar, 200, [](const std::string& text, uint32_t turn) {
      parse_json(text, "answer");
      return turn >> 30 == 0;
    });
  });
  return 0;
}
