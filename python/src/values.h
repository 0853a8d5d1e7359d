#pragma once
// JSON values of the library as Python's own, both ways.

#include <nanobind/nanobind.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vl3/json.h"

namespace vl3::python {

// None, bool, int, float, str, list, dict.
nanobind::object to_python(const Json& value);

// What stubs call dict[str, Any] and list[Any].
using Dict = nanobind::typed<nanobind::dict, nanobind::str, nanobind::any>;
using List = nanobind::typed<nanobind::list, nanobind::any>;
inline Dict dict_of(const Json& object) { return nanobind::borrow<Dict>(to_python(object)); }
inline List list_of(const Json& array) { return nanobind::borrow<List>(to_python(array)); }

// A str as UTF-8. Throws kInvalidArgument, naming it, where it holds a surrogate alone, which is no text.
std::string text_from_python(nanobind::handle text, std::string_view name);

// The same back; also tuples, paths (os.PathLike, as text) and numbers of numpy and torch. Throws TypeError
// naming where the value is ("settings.top_k"), kLimitExceeded for integers beyond 64 bits and for nesting
// deeper than 64.
Json json_from_python(nanobind::handle value, std::string_view name);

}  // namespace vl3::python
