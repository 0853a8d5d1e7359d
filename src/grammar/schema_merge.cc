#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

#include "base/json.h"
#include "grammar/json_schema.h"

namespace vl3::grammar {
namespace {

constexpr std::array<std::string_view, 18> kAnnotations = {
    "title",           "description",  "default",     "examples",
    "example",         "deprecated",   "readOnly",    "writeOnly",
    "$comment",        "$schema",      "$id",         "$anchor",
    "$defs",           "definitions",  "contentType", "contentMediaType",
    "contentEncoding", "discriminator"};

bool is_annotation(std::string_view key) {
  return key.starts_with("x-") ||
         std::find(kAnnotations.begin(), kAnnotations.end(), key) != kAnnotations.end();
}

bool is_any(const Json& schema) { return schema == Json(true) || (schema.is_object() && !asserts(schema)); }

Json both_of(const Json& a, const Json& b) {
  if (a == b || is_any(b)) return a;
  if (is_any(a)) return b;
  return {{"allOf", Json::array({a, b})}};
}

Json list_of(const Json& value) { return value.is_array() ? value : Json::array({value}); }

// The types that both lists have; an integer is a number.
Json shared_types(const Json& a, const Json& b) {
  Json types = Json::array();
  const auto has = [](const Json& list, const char* type) {
    return std::find(list.begin(), list.end(), type) != list.end();
  };
  for (const Json& type : a) {
    if (std::find(b.begin(), b.end(), type) != b.end() || (type == "integer" && has(b, "number"))) {
      types.push_back(type);
    } else if (type == "number" && has(b, "integer")) {
      types.push_back("integer");
    }
  }
  return types;
}

std::string unescaped(std::string_view pointer) {
  std::string out;
  for (size_t i = 0; i < pointer.size(); ++i) {
    const auto hex = [&](size_t at) {
      return at < pointer.size() && std::isxdigit(static_cast<unsigned char>(pointer[at])) != 0;
    };
    if (pointer[i] == '%' && hex(i + 1) && hex(i + 2)) {
      out += static_cast<char>(std::stoi(std::string(pointer.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += pointer[i];
    }
  }
  for (size_t at = 0; (at = out.find('~', at)) != std::string::npos; ++at) {
    if (out.compare(at, 2, "~1") == 0) out.replace(at, 2, "/");
    if (out.compare(at, 2, "~0") == 0) out.replace(at, 2, "~");
  }
  return out;
}

}  // namespace

const Json& resolve_ref(const Json& root, const Json& ref, const std::string& path) {
  require(ref.is_string(), ErrorCode::kInvalidArgument, "[schema] {}/$ref should be a string, not {}", path,
          shown(ref));
  const std::string& text = ref.get_ref<const std::string&>();
  require(text == "#" || text.starts_with("#/"), ErrorCode::kUnsupported,
          "[schema] {}/$ref: {} is not a place in this schema (#/$defs/…), and no other is read", path,
          shown(ref));
  const Json* at = &root;
  for (size_t begin = 2; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    const std::string key = unescaped(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    const Json* next = nullptr;
    if (at->is_object()) {
      const auto found = at->find(key);
      if (found != at->end()) next = &*found;
    } else if (at->is_array() && !key.empty() && key.size() < 7 &&
               key.find_first_not_of("0123456789") == std::string::npos) {
      const auto index = static_cast<size_t>(std::stoul(key));
      if (index < at->size()) next = &(*at)[index];
    }
    require(next != nullptr, ErrorCode::kInvalidArgument, "[schema] {}/$ref: there is no {}", path,
            shown(ref));
    at = next;
  }
  return *at;
}

bool asserts(const Json& schema) {
  if (!schema.is_object()) return schema == Json(false);
  return std::any_of(schema.items().begin(), schema.items().end(),
                     [](const auto& item) { return !is_annotation(item.key()); });
}

Json without(const Json& schema, const char* keyword) {
  Json rest = schema;
  rest.erase(keyword);
  return rest;
}

// Without $ref, allOf, oneOf, const, nullable and annotations on top; type is a list.
Json SchemaMerge::flat(const Json& schema, const std::string& path, int depth) {
  require(depth <= kMaxSchemaDepth, ErrorCode::kLimitExceeded,
          "[schema] {} goes through more than {} references and allOf", path, kMaxSchemaDepth);
  if (schema.is_boolean()) return schema == Json(true) ? Json::object() : schema;
  check_keywords(schema, path);
  Json out = Json::object();
  for (const auto& [key, value] : schema.items()) {
    budget_.tick();
    if (is_annotation(key) || key == "$ref" || key == "allOf" || key == "nullable") continue;
    if (key == "const") {
      out["enum"] = Json::array({value});
    } else if (key == "type") {
      out["type"] = list_of(value);
      if (schema.value("nullable", false)) out["type"].push_back("null");
    } else if (key != "oneOf") {
      out[key] = value;
    }
  }
  if (schema.contains("const") && schema.contains("enum"))
    out = (*this)(out, {{"enum", schema["enum"]}}, path, depth + 1);
  if (schema.contains("oneOf")) out = (*this)(out, {{"anyOf", schema["oneOf"]}}, path, depth + 1);
  if (schema.contains("$ref")) out = (*this)(resolve_ref(root_, schema["$ref"], path), out, path, depth + 1);
  if (schema.contains("allOf")) {
    for (const Json& part : schema["allOf"]) out = (*this)(out, part, path + "/allOf", depth + 1);
  }
  return out;
}

Json SchemaMerge::operator()(const Json& first, const Json& second, const std::string& path, int depth) {
  budget_.spend();
  const Json a = flat(first, path, depth), b = flat(second, path, depth);
  if (a == Json(false) || b == Json(false)) return false;
  Json out = a;
  for (const auto& [key, value] : b.items()) {
    if (!out.contains(key)) {
      out[key] = value;
    } else if (out[key] != value) {
      merge_keyword(out, key, a[key], value, path, depth);
    }
  }
  merge_objects(out, a, b, path);
  merge_arrays(out, a, b);
  for (const char* list : {"type", "enum"}) {
    if (out.contains(list) && out[list].empty()) return false;
  }
  return out;
}

void SchemaMerge::merge_keyword(Json& out, const std::string& key, const Json& a, const Json& b,
                                const std::string& path, int depth) {
  constexpr std::array<std::string_view, 4> kLists = {"properties", "required", "additionalProperties",
                                                      "patternProperties"};
  if (std::find(kLists.begin(), kLists.end(), key) != kLists.end() || key == "items" || key == "prefixItems")
    return;  // merge_objects and merge_arrays
  if (key == "type") {
    out[key] = shared_types(a, b);
  } else if (key == "enum") {
    out[key] = Json::array();
    for (const Json& value : a) {
      budget_.spend();
      if (std::find(b.begin(), b.end(), value) != b.end()) out[key].push_back(value);
    }
  } else if (key.starts_with("min") || key == "exclusiveMinimum") {
    out[key] = std::max(a, b);
  } else if (key.starts_with("max") || key == "exclusiveMaximum") {
    out[key] = std::min(a, b);
  } else if (key == "anyOf") {
    merge_branches(out, a, b, path, depth);
  } else if (key == "multipleOf" && a.is_number_integer() && b.is_number_integer() && a > 0 && b > 0 &&
             a < 100'000 && b < 100'000) {
    out[key] = std::lcm(a.get<int64_t>(), b.get<int64_t>());
  } else if (key != "uniqueItems") {
    fail(ErrorCode::kUnsupported,
         "[schema] {}: two different \"{}\" for one value (allOf, $ref) are not supported", path, key);
  }
}

void SchemaMerge::merge_branches(Json& out, const Json& a, const Json& b, const std::string& path,
                                 int depth) {
  Json all = Json::array();
  for (const Json& one : a) {
    for (const Json& other : b) {
      const Json merged = (*this)(one, other, path + "/anyOf", depth + 1);
      if (merged != Json(false)) all.push_back(merged);
    }
  }
  if (all.empty()) all.push_back(false);
  out["anyOf"] = all;
}

// A property of one alone has to satisfy what the other says of further properties.
void SchemaMerge::merge_objects(Json& out, const Json& a, const Json& b, const std::string& path) {
  const char* kOther = "additionalProperties";
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    const bool mixes =
        one->contains("patternProperties") &&
        (other->contains("patternProperties") || other->contains(kOther) || other->contains("properties"));
    require(!mixes || a == b, ErrorCode::kUnsupported,
            "[schema] {}: patternProperties together with another schema's properties (allOf, $ref) are not "
            "supported",
            path);
  }
  if (a.contains("properties") || b.contains("properties")) {
    Json properties = Json::object();
    for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
      if (!one->contains("properties")) continue;
      for (const auto& [name, schema] : (*one)["properties"].items()) {
        budget_.spend();
        if (properties.contains(name)) continue;
        Json also = true;
        if (other->contains("properties") && (*other)["properties"].contains(name)) {
          also = (*other)["properties"][name];
        } else if (other->contains(kOther)) {
          also = (*other)[kOther];
        }
        properties[name] = both_of(schema, also);
      }
    }
    out["properties"] = properties;
  }
  if (a.contains("required") && b.contains("required")) {
    out["required"] = a["required"];
    for (const Json& name : b["required"]) {
      budget_.spend();
      if (std::find(out["required"].begin(), out["required"].end(), name) == out["required"].end())
        out["required"].push_back(name);
    }
  }
  if (a.contains(kOther) && b.contains(kOther)) out[kOther] = both_of(a[kOther], b[kOther]);
}

void SchemaMerge::merge_arrays(Json& out, const Json& a, const Json& b) {
  const auto item = [](const Json& schema, size_t i) {
    if (schema.contains("prefixItems") && i < schema["prefixItems"].size()) return schema["prefixItems"][i];
    return schema.contains("items") ? schema["items"] : Json(true);
  };
  const auto prefix = [](const Json& schema) {
    return schema.contains("prefixItems") ? schema["prefixItems"].size() : size_t{0};
  };
  const size_t length = std::max(prefix(a), prefix(b));
  if (length > 0) {
    Json items = Json::array();
    for (size_t i = 0; i < length; ++i) items.push_back(both_of(item(a, i), item(b, i)));
    out["prefixItems"] = items;
  }
  if (a.contains("items") && b.contains("items")) out["items"] = both_of(a["items"], b["items"]);
}

}  // namespace vl3::grammar
