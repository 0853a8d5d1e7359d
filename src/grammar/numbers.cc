#include "grammar/numbers.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

namespace vl3::grammar {
namespace {

struct Bound {
  Decimal value;
  bool open = false;
};

// Magnitudes from low to high. A state knows whether all digits so far are those of a bound ("tight"): only
// then the bound restricts the next one.
class Digits {
 public:
  Digits(GrammarBuilder& builder, Bound low, std::optional<Bound> high, const NumberRange& range, int32_t to)
      : builder_(builder), low_(std::move(low)), high_(std::move(high)), range_(range), to_(to) {}

  void add(int32_t from) {
    const int longest = high_ ? static_cast<int>(high_->value.whole.size()) : kMaxWholeDigits;
    for (int length = static_cast<int>(low_.value.whole.size()); length <= longest; ++length) {
      const State first = {0, length, length == static_cast<int>(low_.value.whole.size()),
                           high_ && length == longest, 0};
      builder_.skip(from, whole(first));
    }
  }

 private:
  // of: digits of the whole part; 0: behind the point.
  struct State {
    int at = 0, of = 0;
    bool low = false, high = false;
    int64_t residue = 0;
    auto key() const { return std::tuple(at, of, low, high, residue); }
  };

  static int digit(const std::string& digits, int at) {
    return at < static_cast<int>(digits.size()) ? digits[static_cast<size_t>(at)] - '0' : 0;
  }
  static bool zeros_from(const std::string& digits, int at) {
    return at >= static_cast<int>(digits.size()) ||
           digits.find_first_not_of('0', static_cast<size_t>(at)) == std::string::npos;
  }
  // Whether the number may end here, with so many digits behind the point.
  bool ends(const State& state, int fraction) const {
    if (state.residue != 0) return false;
    if (state.low && (low_.open || !zeros_from(low_.value.fraction, fraction))) return false;
    return !state.high || !high_->open || !zeros_from(high_->value.fraction, fraction);
  }

  // Edges for the digits that may come next, next(state) being where each leads.
  template <class Next>
  void branch(int32_t node, const State& state, int least, int low_digit, int high_digit, const Next& next) {
    int first = -1;
    int32_t target = -1;
    for (int d = least; d <= 10; ++d) {
      const bool fits = d < 10 && !(state.low && d < low_digit) && !(state.high && d > high_digit);
      int32_t to = -1;
      if (fits) {
        to = next(State{state.at + 1, state.of, state.low && d == low_digit, state.high && d == high_digit,
                        (state.residue * 10 + d) % range_.multiple_of});
      }
      if (to != target) {
        if (target >= 0)
          builder_.bytes(node, static_cast<uint8_t>('0' + first), static_cast<uint8_t>('0' + d - 1), target);
        first = d;
        target = to;
      }
    }
  }

  int32_t whole(const State& state) {
    const auto [found, fresh] = nodes_.try_emplace(state.key(), -1);
    if (!fresh) return found->second;
    const int32_t node = nodes_[state.key()] = builder_.add_node();
    if (state.at == state.of) {
      if (ends(state, 0)) builder_.skip(node, to_);
      if (range_.fraction_digits > 0) {
        const int32_t point = builder_.add_node();
        builder_.bytes(node, '.', '.', point);
        builder_.skip(point, fraction({0, 0, state.low, state.high, 0}));
      }
      return node;
    }
    branch(node, state, state.at == 0 && state.of > 1 ? 1 : 0, digit(low_.value.whole, state.at),
           high_ ? digit(high_->value.whole, state.at) : 0,
           [this](const State& next) { return whole(next); });
    return node;
  }

  int32_t fraction(const State& state) {
    const auto [found, fresh] = nodes_.try_emplace(state.key(), -1);
    if (!fresh) return found->second;
    const int32_t node = nodes_[state.key()] = builder_.add_node();
    if (state.at > 0 && ends(state, state.at)) builder_.skip(node, to_);
    if (state.at == range_.fraction_digits) return node;
    branch(node, state, 0, digit(low_.value.fraction, state.at),
           high_ ? digit(high_->value.fraction, state.at) : 0,
           [this](const State& next) { return fraction(next); });
    return node;
  }

  GrammarBuilder& builder_;
  Bound low_;
  std::optional<Bound> high_;
  const NumberRange& range_;
  int32_t to_;
  std::map<std::tuple<int, int, bool, bool, int64_t>, int32_t> nodes_;
};

}  // namespace

std::optional<Decimal> Decimal::from_json(const Json& number) {
  std::string text = number.dump();
  Decimal decimal;
  decimal.negative = text.starts_with('-');
  if (decimal.negative) text.erase(0, 1);
  int64_t exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string::npos) {
    exponent = std::stoll(text.substr(e + 1));
    text.resize(e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits = text.substr(0, point) + (point < text.size() ? text.substr(point + 1) : "");
  int64_t whole = static_cast<int64_t>(point) + exponent;  // digits before the point
  if (whole > 400 || whole < -400) return std::nullopt;
  if (whole < 1) {
    digits.insert(0, static_cast<size_t>(1 - whole), '0');
    whole = 1;
  }
  if (static_cast<int64_t>(digits.size()) < whole) digits.resize(static_cast<size_t>(whole), '0');
  decimal.whole = digits.substr(0, static_cast<size_t>(whole));
  decimal.whole.erase(0, std::min(decimal.whole.find_first_not_of('0'), decimal.whole.size() - 1));
  decimal.fraction = digits.substr(static_cast<size_t>(whole));
  decimal.fraction.resize(decimal.fraction.find_last_not_of('0') + 1);
  if (decimal.whole.size() > kMaxWholeDigits || decimal.fraction.size() > kMaxFractionDigits)
    return std::nullopt;
  if (decimal.zero()) decimal.negative = false;
  return decimal;
}

void add_numbers(GrammarBuilder& builder, int32_t from, const NumberRange& range, int32_t to) {
  const auto bound = [](const std::optional<Decimal>& value, bool open) {
    return value ? std::optional<Bound>({*value, open}) : std::nullopt;
  };
  const std::optional<Bound> min = bound(range.min, range.above_min), max = bound(range.max, range.below_max);
  const Decimal zero;
  // Of zero and more.
  if (!max || !max->value.negative)
    Digits(builder, min && !min->value.negative ? *min : Bound{zero, false}, max, range, to).add(from);
  // Below zero: magnitudes the other way round.
  if (!min || min->value.negative) {
    const int32_t minus = builder.add_node();
    builder.bytes(from, '-', '-', minus);
    Digits(builder, max && max->value.negative ? *max : Bound{zero, true}, min, range, to).add(minus);
  }
}

}  // namespace vl3::grammar
