#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "grammar/json_schema.h"

namespace vl3::grammar {
namespace {

enum class Kind : uint8_t {
  kAny,
  kText,
  kFlag,
  kCount,
  kNumber,
  kSchema,
  kSchemas,
  kNamed,
  kNames,
  kTypes,
  kList
};

struct Keyword {
  std::string_view name;
  Kind kind;
};

constexpr std::array<Keyword, 32> kKeywords = {{
    {"type", Kind::kTypes},
    {"nullable", Kind::kFlag},
    {"enum", Kind::kList},
    {"const", Kind::kAny},
    {"anyOf", Kind::kSchemas},
    {"oneOf", Kind::kSchemas},
    {"allOf", Kind::kSchemas},
    {"$ref", Kind::kText},
    {"$defs", Kind::kNamed},
    {"definitions", Kind::kNamed},
    {"properties", Kind::kNamed},
    {"patternProperties", Kind::kNamed},
    {"required", Kind::kNames},
    {"additionalProperties", Kind::kSchema},
    {"propertyNames", Kind::kSchema},
    {"minProperties", Kind::kCount},
    {"maxProperties", Kind::kCount},
    {"items", Kind::kSchema},
    {"prefixItems", Kind::kSchemas},
    {"minItems", Kind::kCount},
    {"maxItems", Kind::kCount},
    {"uniqueItems", Kind::kFlag},
    {"minLength", Kind::kCount},
    {"maxLength", Kind::kCount},
    {"pattern", Kind::kText},
    {"format", Kind::kText},
    {"minimum", Kind::kNumber},
    {"maximum", Kind::kNumber},
    {"exclusiveMinimum", Kind::kNumber},
    {"exclusiveMaximum", Kind::kNumber},
    {"multipleOf", Kind::kNumber},
    {"title", Kind::kAny},
}};

bool is_schema(const Json& value) { return value.is_object() || value.is_boolean(); }

bool is_count(const Json& value) {
  if (value.is_number_unsigned()) return true;
  if (!value.is_number()) return false;
  const double real = value.get<double>();
  return real >= 0 && real < 9e15 && real == static_cast<double>(static_cast<int64_t>(real));
}

bool is_type(const Json& value) {
  constexpr std::array<const char*, 7> kTypes = {"null",   "boolean", "object", "array",
                                                 "number", "string",  "integer"};
  return value.is_string() &&
         std::find(kTypes.begin(), kTypes.end(), value.get<std::string>()) != kTypes.end();
}

bool all_are(const Json& list, bool (*check)(const Json&)) {
  return std::all_of(list.begin(), list.end(), check);
}

// Null where the value is right, else what it should be.
const char* expected(Kind kind, const Json& value) {
  const auto unless = [](bool right, const char* wanted) { return right ? nullptr : wanted; };
  switch (kind) {
    case Kind::kAny:
      return nullptr;
    case Kind::kText:
      return unless(value.is_string(), "a string");
    case Kind::kFlag:
      return unless(value.is_boolean(), "true or false");
    case Kind::kCount:
      return unless(is_count(value), "an integer of 0 or more");
    case Kind::kNumber:
      return unless(value.is_number(), "a number");
    case Kind::kSchema:
      return unless(is_schema(value), "a schema (an object or a boolean)");
    case Kind::kSchemas:
      return unless(value.is_array() && !value.empty() && all_are(value, is_schema),
                    "a list of schemas, one at least");
    case Kind::kNamed:
      return unless(value.is_object() && all_are(value, is_schema), "an object of schemas");
    case Kind::kNames:
      return unless(value.is_array() && all_are(value, [](const Json& name) { return name.is_string(); }),
                    "a list of strings");
    case Kind::kTypes:
      return unless(is_type(value) || (value.is_array() && !value.empty() && all_are(value, is_type)),
                    "null, boolean, object, array, number, integer or string, or a list of these");
    case Kind::kList:
      return unless(value.is_array() && !value.empty(), "a list of values, one at least");
  }
  return nullptr;
}

}  // namespace

void check_keywords(const Json& schema, const std::string& path) {
  require(schema.is_object() || schema.is_boolean(), ErrorCode::kInvalidArgument,
          "[schema] {} should be an object or a boolean, not {}", path, shown(schema));
  if (schema.is_boolean()) return;
  for (const auto& [key, value] : schema.items()) {
    const std::string& name = key;
    const auto found = std::find_if(kKeywords.begin(), kKeywords.end(),
                                    [&](const Keyword& keyword) { return keyword.name == name; });
    if (found == kKeywords.end()) {
      Json alone = Json::object();
      alone[key] = value;
      require(
          !asserts(alone), ErrorCode::kUnsupported,
          "[schema] {}/{}: this keyword is not supported (docs/structured_output.md lists those that are)",
          path, key);
      continue;
    }
    const char* wanted = expected(found->kind, value);
    require(wanted == nullptr, ErrorCode::kInvalidArgument, "[schema] {}/{} should be {}, not {}", path, key,
            wanted == nullptr ? "" : wanted, shown(value));
  }
  require(!schema.value("uniqueItems", false), ErrorCode::kUnsupported,
          "[schema] {}/uniqueItems: true is not supported", path);
}

}  // namespace vl3::grammar
