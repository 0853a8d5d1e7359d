// Replies of models, as they are scored: any bytes have a score from 0 to 1 in every way.

#include "eval/score.h"
#include "eval/spans.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3::eval;
  const std::string_view reply = vl3::fuzz::text_of(data, size);
  for (size_t kind = 0; kind < score_names().size(); ++kind) {
    Expected expected;
    expected.kind = static_cast<ScoreKind>(kind);
    expected.answers = expected.kind == ScoreKind::kTemporalIou ? std::vector<std::string>{"1.5", "20"}
                       : expected.kind == ScoreKind::kYesNo     ? std::vector<std::string>{"yes"}
                                                                : std::vector<std::string>{"B", "3"};
    if (expected.kind == ScoreKind::kNumber) expected.answers = {"3"};
    expected.mentions = {"a red ball"};
    expected.options = {{"a red ball", "two", "3"}, 0};
    const double value = score(reply, expected);
    if (!(value >= 0 && value <= 1)) std::abort();
    const int index = picked(reply, expected);
    if (index < -1 || index >= expected.options.letters()) std::abort();
  }
  for (const Span& span : spans_in(reply))
    if (!(span.begin_s >= 0 && span.begin_s <= span.end_s)) std::abort();
  return 0;
}
