#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/json.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"

namespace vl3::grammar {
namespace {

const char* const kOther = "additionalProperties";

int64_t count_of(const Json& schema, const char* keyword, int64_t fallback) {
  return schema.contains(keyword) ? static_cast<int64_t>(std::min(schema[keyword].get<double>(), 1e12))
                                  : fallback;
}

}  // namespace

int32_t SchemaRules::object_rule(const Json& schema, const std::string& path, int depth) {
  const bool any = !schema.contains("properties") && !schema.contains("required") &&
                   !schema.contains("patternProperties") && !schema.contains("propertyNames") &&
                   !schema.contains("minProperties") && !schema.contains("maxProperties") &&
                   (!schema.contains(kOther) || schema[kOther] == Json(true));
  if (any) return json_.object();
  const Members members = members_of(schema, path, depth);
  const int32_t id = builder_.add_rule(true);
  fill_members(builder_.rule(id), members);
  return id;
}

SchemaRules::Members SchemaRules::members_of(const Json& schema, const std::string& path, int depth) {
  Members members;
  members.min = count_of(schema, "minProperties", 0);
  members.max = count_of(schema, "maxProperties", -1);
  add_named(members, schema, path, depth);
  std::vector<std::string> names;
  if (schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) names.push_back(name);
  }
  for (const Property& property : members.named) names.push_back(property.name);
  members.other = other_members(schema, names, path, depth);
  return members;
}

// Those of properties, in their order, then those that are only required.
void SchemaRules::add_named(Members& members, const Json& schema, const std::string& path, int depth) {
  std::unordered_set<std::string> required, known;
  std::vector<std::string> order;
  if (schema.contains("required")) {
    for (const Json& name : schema["required"]) required.insert(name.get<std::string>());
  }
  if (schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) order.push_back(name);
  }
  known.insert(order.begin(), order.end());
  if (schema.contains("required")) {
    for (const Json& name : schema["required"]) {
      if (known.insert(name.get<std::string>()).second) order.push_back(name.get<std::string>());
    }
  }
  std::optional<SizedText> allowed;
  if (schema.contains("propertyNames")) allowed = key_form(schema["propertyNames"], path + "/propertyNames");
  for (const std::string& name : order) {
    if (allowed && !allowed->accepts(name, builder_.budget())) {
      require(!required.contains(name), ErrorCode::kInvalidArgument,
              "[schema] {}: propertyNames excludes the required property {}", path, shown(name));
      continue;
    }
    const std::string place = place_of(path + "/properties", name);
    members.named.push_back(
        {name, member_rule(name, member_schema(schema, name, path), place, depth), required.contains(name)});
  }
}

// What a property's value has to satisfy: its own schema and those of the patterns that its name matches, or
// else what is said of all others.
Json SchemaRules::member_schema(const Json& schema, const std::string& name, const std::string& path) {
  Json meant;
  bool found = false;
  if (schema.contains("properties") && schema["properties"].contains(name)) {
    meant = schema["properties"][name];
    found = true;
  }
  if (schema.contains("patternProperties")) {
    for (const auto& [pattern, value] : schema["patternProperties"].items()) {
      const CharNfa nfa = regex_nfa(pattern, RegexMatch::kSearch,
                                    fmt::format("schema {}/patternProperties", path), builder_.budget());
      if (!nfa.accepts(name, builder_.budget())) continue;
      meant = found ? SchemaMerge(root_, builder_.budget())(meant, value, path) : value;
      found = true;
    }
  }
  if (found) return meant;
  return schema.contains(kOther) ? schema[kOther] : Json(true);
}

int32_t SchemaRules::member_rule(const std::string& name, const Json& schema, const std::string& path,
                                 int depth) {
  const int32_t value = rule_of(schema, path, depth + 1);
  const int32_t id = builder_.add_rule();
  const Rule rule = builder_.rule(id);
  builder_.call(json_.colon(builder_.literal(rule.start, scalar_text(name))), value, rule.end);
  return id;
}

// The names that propertyNames allows.
SizedText SchemaRules::key_form(const Json& names, const std::string& path) {
  check_keywords(names, path);
  Json text = names.is_object() ? names : Json::object();
  Json rest = names;
  for (const char* keyword : {"type", "pattern", "format", "minLength", "maxLength"}) {
    if (rest.is_object()) rest.erase(keyword);
  }
  require(!asserts(rest) && text.value("type", Json("string")) == "string", ErrorCode::kUnsupported,
          "[schema] {}: other keywords than pattern, format, minLength and maxLength are not supported",
          path);
  if (!text.contains("pattern")) text["pattern"] = "";
  return *string_form(text, path);
}

// Members that have no name in the schema: those of additionalProperties, or of a pattern.
int32_t SchemaRules::other_members(const Json& schema, const std::vector<std::string>& names,
                                   const std::string& path, int depth) {
  Budget& budget = builder_.budget();
  const bool patterns = schema.contains("patternProperties") && !schema["patternProperties"].empty();
  const bool open =
      schema.contains(kOther) ? schema[kOther] != Json(false) : !schema.contains("properties") && !patterns;
  if (!open && !patterns) return -1;
  require(!patterns || (!open && schema["patternProperties"].size() == 1), ErrorCode::kUnsupported,
          "[schema] {}/patternProperties: several patterns, or one beside additionalProperties, are not "
          "supported",
          path);
  std::optional<SizedText> key;
  Json value = schema.contains(kOther) ? schema[kOther] : Json(true);
  std::string place = fmt::format("{}/{}", path, kOther);
  if (patterns) {
    const auto first = schema["patternProperties"].items().begin();
    place = place_of(path + "/patternProperties", first.key());
    value = first.value();
    key = SizedText{regex_nfa(first.key(), RegexMatch::kSearch, fmt::format("schema {}", place), budget)};
  }
  if (schema.contains("propertyNames")) {
    SizedText name = key_form(schema["propertyNames"], path + "/propertyNames");
    if (key) name.nfa = both(key->nfa, name.nfa, budget);
    key = std::move(name);
  }
  if (!names.empty()) {
    CharNfa rest = all_but(names, budget);
    if (!key) key.emplace();
    key->nfa = key->nfa.states.empty() ? std::move(rest) : both(key->nfa, rest, budget);
  }
  const int32_t meant = rule_of(value, place, depth + 1);
  const int32_t id = builder_.add_rule();
  const Rule rule = builder_.rule(id);
  const int32_t named = builder_.add_node();
  if (key) {
    const int32_t behind = builder_.add_node();
    text_.text(builder_.literal(rule.start, "\""), *key, behind);
    builder_.literal(behind, "\"", named);
  } else {
    builder_.call(rule.start, json_.string(), named);
  }
  builder_.call(json_.colon(named), meant, rule.end);
  return id;
}

// One node for each property that comes next, whether there is a member before it (a comma), and how many
// there are, where that is limited.
void SchemaRules::fill_members(const Rule& at, const Members& members) {
  const Rule rule = at;
  const bool counts = members.min > 0 || members.max >= 0;
  const int64_t most = members.max >= 0 ? members.max : members.min;
  std::map<std::tuple<size_t, bool, int64_t>, int32_t> nodes;
  std::vector<std::tuple<size_t, bool, int64_t>> work;
  const auto node = [&](size_t next, bool some, int64_t count) {
    const auto [found, fresh] = nodes.try_emplace({next, some, count}, -1);
    if (fresh) {
      found->second = builder_.add_node();
      work.emplace_back(next, some, count);
    }
    return found->second;
  };
  builder_.skip(builder_.literal(rule.start, "{"), node(0, false, 0));
  while (!work.empty()) {
    const std::tuple<size_t, bool, int64_t> state = work.back();
    const size_t next = std::get<0>(state);
    const bool some = std::get<1>(state);
    const int64_t count = std::get<2>(state);
    work.pop_back();
    const int32_t from = node(next, some, count);
    const bool full = members.max >= 0 && count >= members.max;
    const int64_t more = counts ? std::min(count + 1, most) : 0;
    const auto member = [&](int32_t member_rule, size_t then) {
      if (!full) builder_.call(some ? json_.comma(from) : from, member_rule, node(then, true, more));
    };
    if (next < members.named.size()) {
      const Property& property = members.named[next];
      if (!property.required) builder_.skip(from, node(next + 1, some, count));
      member(property.rule, next + 1);
      continue;
    }
    if (count >= members.min) builder_.bytes(from, '}', '}', rule.end);
    if (members.other >= 0) member(members.other, next);
  }
}

}  // namespace vl3::grammar
