#pragma once
// Values that other programs fill columns with.

#include <nlohmann/json.hpp>
#include <string>

#include "vl3/json.h"

namespace vl3 {

// Whether a value says nothing: null, "", [] or {}.
inline bool says_nothing(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || (value.is_structured() && value.empty());
}

}  // namespace vl3
