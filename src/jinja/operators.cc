#include "jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;

[[noreturn]] void overflow() {
  fail(ErrorCode::kLimitExceeded, "[chat template] a number does not fit 64 bits");
}

Text concatenated(const Text& a, const Text& b, const TemplateLimits& limits) {
  Text out;
  append(out, a, limits.max_output_bytes);
  append(out, b, limits.max_output_bytes);
  return out;
}

Text repeated(const Text& text, int64_t count, const TemplateLimits& limits) {
  require(count <= 0 || static_cast<int64_t>(text.bytes.size()) <= limits.max_output_bytes / count,
          ErrorCode::kLimitExceeded, "[chat template] a string beyond max_output_bytes, {}",
          limits.max_output_bytes);
  Text out;
  for (int64_t i = 0; i < count && !text.bytes.empty(); ++i) out += text;
  return out;
}

Value power(int64_t a, int64_t b) {
  if (b < 0) return std::pow(static_cast<double>(a), static_cast<double>(b));
  if (b == 0 || a == 1) return 1;
  if (a == 0) return 0;
  if (a == -1) return b % 2 == 0 ? 1 : -1;
  int64_t result = 1;
  for (int64_t i = 0; i < b; ++i) {  // at most 63 times: any other base overflows then
    if (__builtin_mul_overflow(result, a, &result)) overflow();
  }
  return result;
}

Value of_integers(const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+"   ? __builtin_add_overflow(a, b, &result)
      : op == "-" ? __builtin_sub_overflow(a, b, &result)
                  : op == "*" && __builtin_mul_overflow(a, b, &result))
    overflow();
  if (op == "+" || op == "-" || op == "*") return result;
  if (op == "**") return power(a, b);
  require(b != 0, ErrorCode::kInvalidArgument, "[chat template] division by zero");
  if (op == "/") return static_cast<double>(a) / static_cast<double>(b);
  if (a == INT64_MIN && b == -1) overflow();
  const int64_t quotient = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);  // towards minus infinity
  return op == "//" ? quotient : a - quotient * b;
}

Value of_reals(const std::string& op, double a, double b) {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (op == "**") return std::pow(a, b);
  require(b != 0, ErrorCode::kInvalidArgument, "[chat template] division by zero");
  if (op == "/") return a / b;
  return op == "//" ? std::floor(a / b) : a - std::floor(a / b) * b;
}

Value joined_lists(const Value& left, const Value& right, const TemplateLimits& limits) {
  List items = left.items();
  items.insert(items.end(), right.items().begin(), right.items().end());
  require(static_cast<int64_t>(items.size()) <= limits.max_steps, ErrorCode::kLimitExceeded,
          "[chat template] a list beyond max_steps, {}", limits.max_steps);
  return Value::list(std::move(items), left.kind());
}

}  // namespace

Value apply_unary(const std::string& op, const Value& value) {
  if (op == "not") return !value.truth();
  require(value.is_number(), ErrorCode::kInvalidArgument, "[chat template] the sign of a {}",
          value.type_name());
  if (op == "+") return value.is(Kind::kFloat) ? value : Value(value.integer());
  if (value.is(Kind::kFloat)) return -value.real();
  int64_t result = 0;
  if (__builtin_sub_overflow(int64_t{0}, value.integer(), &result)) overflow();
  return result;
}

Value apply_binary(const std::string& op, const Value& left, const Value& right,
                   const TemplateLimits& limits) {
  if (op == "~") return concatenated(left.str(), right.str(), limits);
  if (left.is_number() && right.is_number()) {
    return left.is_integer() && right.is_integer() ? of_integers(op, left.integer(), right.integer())
                                                   : of_reals(op, left.real(), right.real());
  }
  if (op == "+" && left.is(Kind::kString) && right.is(Kind::kString))
    return concatenated(left.text(), right.text(), limits);
  if (op == "+" && left.is_sequence() && left.kind() == right.kind())
    return joined_lists(left, right, limits);
  if (op == "*" && (left.is(Kind::kString) || right.is(Kind::kString)) &&
      (left.is_integer() || right.is_integer())) {
    return repeated(left.is(Kind::kString) ? left.text() : right.text(),
                    left.is_integer() ? left.integer() : right.integer(), limits);
  }
  const Value& odd = left.is(Kind::kUndefined) ? left : right;
  require(!odd.is(Kind::kUndefined), ErrorCode::kInvalidArgument, "[chat template] \"{}\" is undefined",
          odd.text().bytes);
  fail(ErrorCode::kInvalidArgument, "[chat template] {} {} {} cannot be computed", left.type_name(), op,
       right.type_name());
}

bool holds(const std::string& op, const Value& left, const Value& right) {
  if (op == "==") return equal(left, right);
  if (op == "!=") return !equal(left, right);
  if (op == "<") return less(left, right);
  if (op == ">") return less(right, left);
  if (op == "<=") return !less(right, left);
  if (op == ">=") return !less(left, right);
  return contains(right, left) == (op == "in");
}

Value slice(const Value& owner, std::optional<int64_t> begin, std::optional<int64_t> end, int64_t stride) {
  require(owner.is_sequence() || owner.is(Kind::kString), ErrorCode::kInvalidArgument,
          "[chat template] a {} cannot be sliced", owner.type_name());
  require(stride != 0, ErrorCode::kInvalidArgument, "[chat template] a slice with a step of 0");
  const bool string = owner.is(Kind::kString);
  const std::vector<size_t> starts = string ? character_starts(owner.text()) : std::vector<size_t>();
  const int64_t count = static_cast<int64_t>(string ? starts.size() - 1 : owner.items().size());
  const auto clamped = [&](int64_t i) {
    if (i < 0) i += count;
    return stride > 0 ? std::clamp<int64_t>(i, 0, count) : std::clamp<int64_t>(i, -1, count - 1);
  };
  const int64_t first = begin ? clamped(*begin) : stride > 0 ? 0 : count - 1;
  const int64_t last = end ? clamped(*end) : stride > 0 ? count : -1;
  Text text;
  List items;
  for (int64_t i = first; stride > 0 ? i < last : i > last;) {
    const size_t at = static_cast<size_t>(i);
    if (string)
      text += owner.text().slice(starts[at], starts[at + 1] - starts[at]);
    else
      items.push_back(owner.items()[at]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  return string ? Value(text) : Value::list(std::move(items), owner.kind());
}

}  // namespace vl3::jinja
