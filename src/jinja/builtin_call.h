#pragma once
// What filters and methods are called with.

#include <string>
#include <utility>

#include "base/check.h"
#include "jinja/value.h"

namespace vl3::jinja {

struct BuiltinCall {
  const std::string& name;
  const Value& value;
  const Arguments& arguments;
  int64_t max_bytes;  // of a string that it makes

  Value get(size_t place, const char* key, Value fallback = Value()) const {
    return arguments.get(place, key, std::move(fallback));
  }
  [[noreturn]] void wrong(const char* wanted) const {
    fail(ErrorCode::kInvalidArgument, "[chat template] {} needs {}, not a {}", name, wanted,
         value.type_name());
  }
  List items() const { return iterate(value); }
  // What map, select and their kin walk over: nothing where the value is falsy, whatever it is.
  List items_if_true() const { return value.truth() ? iterate(value) : List(); }
};

using Builtin = Value (*)(const BuiltinCall&);

// what names the value in the error, kInvalidArgument.
inline int64_t integer(const Value& value, const char* what) {
  require(value.is_integer(), ErrorCode::kInvalidArgument,
          "[chat template] {} should be an integer, not a {}", what, value.type_name());
  return value.integer();
}

// {key, value} of a dict, as tuples: the filter and the method "items".
Value item_pairs(const BuiltinCall& call);
// The filter and the method "replace".
Value replaced(const BuiltinCall& call);

}  // namespace vl3::jinja
