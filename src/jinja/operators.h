#pragma once
// Operators of expressions. Errors name the operation and not where it stands: whoever evaluates adds that.

#include <optional>
#include <string>

#include "jinja/value.h"
#include "vl3/template_limits.h"

namespace vl3::jinja {

// "not", "+", "-". Throws kInvalidArgument for the sign of what is no number, kLimitExceeded beyond 64 bits.
Value apply_unary(const std::string& op, const Value& value);

// + - * / // % ** ~ on numbers, strings and sequences. Throws kInvalidArgument for what they cannot be
// applied to, kLimitExceeded beyond 64 bits and for results above the limits.
Value apply_binary(const std::string& op, const Value& left, const Value& right,
                   const TemplateLimits& limits);

// == != < > <= >= in, not in.
bool holds(const std::string& op, const Value& left, const Value& right);

// owner[begin:end:stride] of a string or sequence, absent parts as Python has them.
Value slice(const Value& owner, std::optional<int64_t> begin, std::optional<int64_t> end, int64_t stride);

}  // namespace vl3::jinja
