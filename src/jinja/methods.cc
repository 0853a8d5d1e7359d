// Methods of strings and dicts.

#include <algorithm>
#include <cctype>
#include <map>

#include "jinja/builtin_call.h"
#include "jinja/builtins.h"
#include "jinja/strings.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;

Value starts_or_ends(const BuiltinCall& c, bool start) {
  const Value wanted = c.get(0, "prefix");
  List options = wanted.is_sequence() ? wanted.items() : List{wanted};
  return std::any_of(options.begin(), options.end(), [&](const Value& option) {
    const std::string& s = c.value.text().bytes;
    return start ? s.starts_with(option.str().bytes) : s.ends_with(option.str().bytes);
  });
}

Value split_method(const BuiltinCall& c, bool from_right) {
  const Value separator = c.get(0, "sep", Value::none()), limit = c.get(1, "maxsplit", -1);
  const std::string by = separator.is(Kind::kNone) ? "" : separator.str().bytes;
  require(separator.is(Kind::kNone) || !by.empty(), ErrorCode::kInvalidArgument,
          "[chat template] split by an empty separator");
  return Value::list(split(c.value.text(), by, integer(limit, "maxsplit"), from_right));
}

Value find_method(const BuiltinCall& c, bool from_right) {
  const std::string& s = c.value.text().bytes;
  const std::string wanted = c.get(0, "sub").str().bytes;
  const size_t found = from_right ? s.rfind(wanted) : s.find(wanted);
  if (found == std::string::npos) return -1;
  return static_cast<int64_t>(character_starts(c.value.text().slice(0, found)).size() - 1);
}

Value lines(const BuiltinCall& c) {
  List result = split(c.value.text(), "\n", -1, false);
  if (!result.empty() && result.back().text().bytes.empty()) result.pop_back();
  return Value::list(std::move(result));
}

Value count_of(const BuiltinCall& c) {
  const std::string wanted = c.get(0, "sub").str().bytes;
  int64_t count = 0;
  for (size_t at = 0; !wanted.empty() && (at = c.value.text().bytes.find(wanted, at)) != std::string::npos;
       at += wanted.size())
    ++count;
  return count;
}

bool all_characters(const Value& value, int (*is)(int)) {
  const std::string& s = value.text().bytes;
  return !s.empty() && std::all_of(s.begin(), s.end(), [&](unsigned char c) { return is(c) != 0; });
}

const std::map<std::string, Builtin>& string_methods() {
  static const std::map<std::string, Builtin> kMethods = {
      {"capitalize", [](const BuiltinCall& c) { return Value(capitalize(c.value.text())); }},
      {"count", count_of},
      {"endswith", [](const BuiltinCall& c) { return starts_or_ends(c, false); }},
      {"find", [](const BuiltinCall& c) { return find_method(c, false); }},
      {"isalnum", [](const BuiltinCall& c) { return Value(all_characters(c.value, std::isalnum)); }},
      {"isalpha", [](const BuiltinCall& c) { return Value(all_characters(c.value, std::isalpha)); }},
      {"isdigit", [](const BuiltinCall& c) { return Value(all_characters(c.value, std::isdigit)); }},
      {"isspace", [](const BuiltinCall& c) { return Value(all_characters(c.value, std::isspace)); }},
      {"join",
       [](const BuiltinCall& c) {
         return Value(join(iterate(c.get(0, "iterable")), c.value.text(), c.max_bytes));
       }},
      {"lower", [](const BuiltinCall& c) { return Value(lower(c.value.text())); }},
      {"lstrip",
       [](const BuiltinCall& c) {
         return Value(strip(c.value.text(), c.get(0, "chars", "").str().bytes, true, false));
       }},
      {"replace", replaced},
      {"rfind", [](const BuiltinCall& c) { return find_method(c, true); }},
      {"rsplit", [](const BuiltinCall& c) { return split_method(c, true); }},
      {"rstrip",
       [](const BuiltinCall& c) {
         return Value(strip(c.value.text(), c.get(0, "chars", "").str().bytes, false, true));
       }},
      {"split", [](const BuiltinCall& c) { return split_method(c, false); }},
      {"splitlines", lines},
      {"startswith", [](const BuiltinCall& c) { return starts_or_ends(c, true); }},
      {"strip",
       [](const BuiltinCall& c) {
         return Value(strip(c.value.text(), c.get(0, "chars", "").str().bytes, true, true));
       }},
      {"title", [](const BuiltinCall& c) { return Value(title(c.value.text())); }},
      {"upper", [](const BuiltinCall& c) { return Value(upper(c.value.text())); }},
  };
  return kMethods;
}

const std::map<std::string, Builtin>& dict_methods() {
  static const std::map<std::string, Builtin> kMethods = {
      {"get",
       [](const BuiltinCall& c) {
         const Value* found = c.value.find(c.get(0, "key").str().bytes);
         return found == nullptr ? c.get(1, "default", Value::none()) : *found;
       }},
      {"items", item_pairs},
      {"keys", [](const BuiltinCall& c) { return Value::list(iterate(c.value)); }},
      {"values",
       [](const BuiltinCall& c) {
         List values;
         for (const auto& entry : c.value.entries()) values.push_back(entry.second);
         return Value::list(std::move(values));
       }},
  };
  return kMethods;
}

const std::map<std::string, Builtin>* methods_of(const Value& value) {
  return value.is(Kind::kString) ? &string_methods() : value.is(Kind::kDict) ? &dict_methods() : nullptr;
}

}  // namespace

bool has_method(const Value& value, const std::string& name) {
  const auto* methods = methods_of(value);
  return methods != nullptr && methods->contains(name);
}

Value call_method(const Value& value, const std::string& name, const Arguments& arguments,
                  int64_t max_bytes) {
  require(has_method(value, name), ErrorCode::kUnsupported, "[chat template] a {} has no method \"{}\" here",
          value.type_name(), name);
  Value result = methods_of(value)->at(name)({name, value, arguments, max_bytes});
  require(!result.is(Kind::kString) || static_cast<int64_t>(result.text().bytes.size()) <= max_bytes,
          ErrorCode::kLimitExceeded, "[chat template] {} made more than {} bytes", name, max_bytes);
  return result;
}

}  // namespace vl3::jinja
