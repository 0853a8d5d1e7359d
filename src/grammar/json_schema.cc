#include "grammar/json_schema.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "grammar/matcher.h"

namespace vl3::grammar {
namespace {

// Which types a schema allows: what "type" says, else what its other keywords are about, else all.
std::vector<std::string> types_of(const Json& schema) {
  std::vector<std::string> types;
  if (schema.contains("type")) {
    const Json& type = schema["type"];
    if (type.is_string()) return {type.get<std::string>()};
    for (const Json& one : type) {
      if (std::find(types.begin(), types.end(), one.get<std::string>()) == types.end())
        types.push_back(one.get<std::string>());
    }
    return types;
  }
  constexpr std::array<std::pair<const char*, const char*>, 21> kAbout = {{
      {"properties", "object"},
      {"required", "object"},
      {"additionalProperties", "object"},
      {"patternProperties", "object"},
      {"propertyNames", "object"},
      {"minProperties", "object"},
      {"maxProperties", "object"},
      {"items", "array"},
      {"prefixItems", "array"},
      {"minItems", "array"},
      {"maxItems", "array"},
      {"uniqueItems", "array"},
      {"minLength", "string"},
      {"maxLength", "string"},
      {"pattern", "string"},
      {"format", "string"},
      {"minimum", "number"},
      {"maximum", "number"},
      {"exclusiveMinimum", "number"},
      {"exclusiveMaximum", "number"},
      {"multipleOf", "number"},
  }};
  for (const auto& [keyword, type] : kAbout) {
    if (schema.contains(keyword) && std::find(types.begin(), types.end(), type) == types.end())
      types.emplace_back(type);
  }
  return types;
}

}  // namespace

// Rules are kept by the text of their schema: the same one again, at another place or through a $ref, is the
// same rule, which is also how recursion ends.
int32_t SchemaRules::rule_of(const Json& schema, const std::string& path, int depth) {
  require(depth <= kMaxSchemaDepth, ErrorCode::kLimitExceeded, "[schema] {} lies deeper than {} levels", path,
          kMaxSchemaDepth);
  check_keywords(schema, path);
  const auto [found, fresh] = known_.try_emplace(schema.dump(), -1);
  if (!fresh) return found->second;
  const int32_t id = found->second = builder_.add_rule();
  fill(builder_.rule(id), schema, path, depth);
  return id;
}

void SchemaRules::fill(const Rule& at, const Json& schema, const std::string& path, int depth) {
  const Rule rule = at;               // the list of rules grows meanwhile
  if (schema == Json(false)) return;  // nothing leads to its end
  if (!asserts(schema)) return builder_.call(rule.start, json_.value(), rule.end);
  if (schema.value("nullable", false)) {
    builder_.literal(rule.start, "null", rule.end);
    builder_.call(rule.start, rule_of(without(schema, "nullable"), path, depth + 1), rule.end);
    return;
  }
  SchemaMerge merge(root_, builder_.budget());
  if (schema.contains("$ref")) {
    const Json& target = resolve_ref(root_, schema["$ref"], path);
    const Json rest = without(schema, "$ref");
    const std::string to = schema["$ref"].get<std::string>();
    const int32_t meant =
        asserts(rest) ? rule_of(merge(target, rest, path), path, depth + 1) : rule_of(target, to, depth + 1);
    return builder_.call(rule.start, meant, rule.end);
  }
  if (schema.contains("allOf") || (schema.contains("anyOf") && schema.contains("oneOf"))) {
    return builder_.call(rule.start, rule_of(merge(schema, true, path), path, depth + 1), rule.end);
  }
  for (const char* branches : {"anyOf", "oneOf"}) {
    if (!schema.contains(branches)) continue;
    const Json rest = without(schema, branches);
    int index = 0;
    for (const Json& branch : schema[branches]) {
      const std::string place = fmt::format("{}/{}/{}", path, branches, index++);
      const int32_t meant = rule_of(asserts(rest) ? merge(rest, branch, place) : branch, place, depth + 1);
      builder_.call(rule.start, meant, rule.end);
    }
    return;
  }
  if (schema.contains("enum") || schema.contains("const")) return fill_values(rule, schema, path, depth);
  fill_types(rule, schema, path, depth);
}

// Whether a value listed by a schema is one of the rest of it.
bool SchemaRules::fits(const Json& value, const Json& schema, const std::string& path, int depth) {
  if (!asserts(schema)) return true;
  if (value.is_structured()) {
    require(
        !asserts(without(without(schema, "type"), "nullable")), ErrorCode::kUnsupported,
        "[schema] {}: an object or array in enum or const beside other keywords than type is not supported",
        path);
    const std::vector<std::string> types = types_of(schema);
    return std::find(types.begin(), types.end(), value.is_array() ? "array" : "object") != types.end();
  }
  GrammarBuilder builder(builder_.budget());
  SchemaRules rules(root_, builder);
  const Grammar grammar =
      builder.finish(rules.rule_of(schema, path, depth + 1), kMaxSchemaDepth, std::bitset<256>().set(), path);
  Matcher matcher(grammar);
  const int32_t state = matcher.step(matcher.start(), scalar_text(value));
  return state != Matcher::kDead && matcher.accepts(state);
}

void SchemaRules::fill_values(const Rule& rule, const Json& schema, const std::string& path, int depth) {
  const bool alone = schema.contains("const");
  const Json rest = without(schema, alone ? "const" : "enum");
  std::vector<std::string> words;
  for (const Json& value : alone ? Json::array({schema["const"]}) : schema["enum"]) {
    builder_.budget().spend();
    if (alone && schema.contains("enum") &&
        std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
      continue;
    if (!fits(value, alone ? without(rest, "enum") : rest, path, depth)) continue;
    if (value.is_structured()) {
      builder_.skip(json_.literal(rule.start, value), rule.end);
    } else {
      words.push_back(scalar_text(value));
    }
  }
  add_words(builder_, rule.start, words, rule.end);
}

void SchemaRules::fill_types(const Rule& rule, const Json& schema, const std::string& path, int depth) {
  const std::vector<std::string> types = types_of(schema);
  if (types.empty()) return builder_.call(rule.start, json_.value(), rule.end);
  for (const std::string& type : types) {
    if (type == "null") {
      builder_.literal(rule.start, "null", rule.end);
      continue;
    }
    int32_t part = -1;
    if (type == "boolean") part = json_.boolean();
    if (type == "string") part = string_rule(schema, path);
    if (type == "number" || type == "integer") part = number_rule(schema, path, type == "integer");
    if (type == "array") part = array_rule(schema, path, depth);
    if (type == "object") part = object_rule(schema, path, depth);
    builder_.call(rule.start, part, rule.end);
  }
}

}  // namespace vl3::grammar
