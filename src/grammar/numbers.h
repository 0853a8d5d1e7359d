#pragma once
// Numbers within bounds, digit by digit and therefore exact.

#include <cstdint>
#include <optional>
#include <string>

#include "grammar/grammar.h"
#include "vl3/json.h"

namespace vl3::grammar {

// Most digits before and behind the point where a schema bounds neither: models would go on for ever.
inline constexpr int kMaxWholeDigits = 20;
inline constexpr int kMaxFractionDigits = 20;

// A decimal number as it is written.
struct Decimal {
  bool negative = false;
  std::string whole = "0", fraction;  // without zeros at the outer ends, but for a whole of "0"

  // Nothing where it has more digits than the two above.
  static std::optional<Decimal> from_json(const Json& number);
  bool zero() const { return whole == "0" && fraction.empty(); }
};

struct NumberRange {
  std::optional<Decimal> min, max;
  bool above_min = false, below_max = false;  // strictly
  int fraction_digits = kMaxFractionDigits;   // 0: integers
  int64_t multiple_of = 1;                    // of integers
};

// Without an exponent, without zeros before, and no -0.
void add_numbers(GrammarBuilder& builder, int32_t from, const NumberRange& range, int32_t to);

}  // namespace vl3::grammar
