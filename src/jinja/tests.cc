// Tests: what may stand behind "is".

#include <map>

#include "jinja/builtin_call.h"
#include "jinja/builtins.h"
#include "jinja/strings.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;
using Test = bool (*)(const Value&, const Value& other);

const std::map<std::string, Test>& tests() {
  static const std::map<std::string, Test> kTests = {
      {"boolean", [](const Value& v, const Value&) { return v.is(Kind::kBool); }},
      {"callable", [](const Value& v, const Value&) { return v.is(Kind::kFunction); }},
      {"defined", [](const Value& v, const Value&) { return !v.is(Kind::kUndefined); }},
      {"divisibleby",
       [](const Value& v, const Value& o) {
         const int64_t divisor = integer(o, "a divisor"), number = integer(v, "a number");
         require(divisor != 0, ErrorCode::kInvalidArgument, "[chat template] division by zero");
         return divisor == -1 || number % divisor == 0;  // the smallest number by -1 overflows
       }},
      {"eq", [](const Value& v, const Value& o) { return equal(v, o); }},
      {"equalto", [](const Value& v, const Value& o) { return equal(v, o); }},
      {"==", [](const Value& v, const Value& o) { return equal(v, o); }},
      {"even", [](const Value& v, const Value&) { return integer(v, "a number") % 2 == 0; }},
      {"false", [](const Value& v, const Value&) { return v.is(Kind::kBool) && !v.truth(); }},
      {"float", [](const Value& v, const Value&) { return v.is(Kind::kFloat); }},
      {"ge", [](const Value& v, const Value& o) { return !less(v, o); }},
      {"gt", [](const Value& v, const Value& o) { return less(o, v); }},
      {"greaterthan", [](const Value& v, const Value& o) { return less(o, v); }},
      {"in", [](const Value& v, const Value& o) { return contains(o, v); }},
      {"integer", [](const Value& v, const Value&) { return v.is(Kind::kInt); }},
      {"iterable",
       [](const Value& v, const Value&) {
         return v.is_sequence() || v.is_mapping() || v.is(Kind::kString) || v.is(Kind::kUndefined);
       }},
      {"le", [](const Value& v, const Value& o) { return !less(o, v); }},
      {"lessthan", [](const Value& v, const Value& o) { return less(v, o); }},
      {"lower",
       [](const Value& v, const Value&) {
         return v.str().bytes == lower(v.str()).bytes && v.str().bytes != upper(v.str()).bytes;
       }},
      {"lt", [](const Value& v, const Value& o) { return less(v, o); }},
      {"mapping", [](const Value& v, const Value&) { return v.is(Kind::kDict); }},
      {"ne", [](const Value& v, const Value& o) { return !equal(v, o); }},
      {"none", [](const Value& v, const Value&) { return v.is(Kind::kNone); }},
      {"number", [](const Value& v, const Value&) { return v.is_number(); }},
      {"odd", [](const Value& v, const Value&) { return integer(v, "a number") % 2 != 0; }},
      {"sameas", [](const Value& v, const Value& o) { return v.kind() == o.kind() && equal(v, o); }},
      {"sequence",
       [](const Value& v, const Value&) {
         return v.is_sequence() || v.is(Kind::kDict) || v.is(Kind::kString) || v.is(Kind::kUndefined);
       }},
      {"string", [](const Value& v, const Value&) { return v.is(Kind::kString); }},
      {"true", [](const Value& v, const Value&) { return v.is(Kind::kBool) && v.truth(); }},
      {"undefined", [](const Value& v, const Value&) { return v.is(Kind::kUndefined); }},
      {"upper",
       [](const Value& v, const Value&) {
         return v.str().bytes == upper(v.str()).bytes && v.str().bytes != lower(v.str()).bytes;
       }},
  };
  return kTests;
}

}  // namespace

bool has_test(const std::string& name) { return tests().contains(name); }

bool apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  return tests().at(name)(value, arguments.get(0, "other"));
}

}  // namespace vl3::jinja
