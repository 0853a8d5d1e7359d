#pragma once
// Filters, tests and methods of strings, lists and dicts, by name.

#include <string>

#include "jinja/value.h"

namespace vl3::jinja {

bool has_filter(const std::string& name);
bool has_test(const std::string& name);

// Throw kInvalidArgument for values they cannot take, kLimitExceeded for results above max_bytes.
Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                   int64_t max_bytes);
bool apply_test(const std::string& name, const Value& value, const Arguments& arguments);
// value.name(arguments) for the methods templates use; throws kUnsupported for others.
Value call_method(const Value& value, const std::string& name, const Arguments& arguments, int64_t max_bytes);
bool has_method(const Value& value, const std::string& name);

}  // namespace vl3::jinja
