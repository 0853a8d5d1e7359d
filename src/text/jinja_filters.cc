#include "text/jinja_filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "text/jinja_text.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;

struct Call {
  const std::string& name;
  const Value& value;
  const Arguments& arguments;
  int64_t max_bytes;

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

int64_t integer(const Value& value, const char* what) {
  require(value.is_integer(), ErrorCode::kInvalidArgument,
          "[chat template] {} should be an integer, not a {}", what, value.type_name());
  return value.integer();
}

Value attribute_of(const Value& value, const Text& path) {
  Value result = value;
  for (const Value& part : split(path, ".", -1, false)) {
    const std::string& key = part.text().bytes;
    if (result.is_mapping()) {
      const Value* found = result.find(key);
      result = found == nullptr ? Value::undefined(key) : *found;
    } else if (result.is_sequence() && !key.empty() &&
               std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) {
      const size_t index = static_cast<size_t>(std::strtoull(key.c_str(), nullptr, 10));
      result = index < result.items().size() ? result.items()[index] : Value();
    } else {
      result = Value::undefined(key);
    }
  }
  return result;
}

Value length(const Call& c) {
  if (c.value.is(Kind::kString)) return static_cast<int64_t>(characters(c.value.text()).size());
  if (c.value.is_mapping()) return static_cast<int64_t>(c.value.entries().size());
  return static_cast<int64_t>(c.items().size());
}

Value to_json(const Call& c) {
  const Value indent = c.get(0, "indent", Value::none());
  const int width =
      indent.is(Kind::kNone) ? -1 : static_cast<int>(std::clamp<int64_t>(integer(indent, "indent"), 0, 64));
  std::string item = width < 0 ? ", " : ",", key = ": ";
  const Value separators = c.get(1, "separators", Value::none());
  if (separators.is_sequence() && separators.items().size() == 2) {
    item = separators.items()[0].str().bytes;
    key = separators.items()[1].str().bytes;
  }
  return to_json_text(c.value, width, c.get(2, "sort_keys", false).truth(), item, key,
                      c.get(3, "ensure_ascii", false).truth());
}

Value to_integer(const Call& c) {
  if (c.value.is(Kind::kFloat)) return static_cast<int64_t>(c.value.real());
  if (c.value.is_integer()) return c.value.integer();
  const Text text = strip(c.value.str(), "", true, true);
  int64_t number = 0;
  const char *begin = text.bytes.data(), *end = begin + text.bytes.size();
  const auto got = std::from_chars(begin + (begin != end && *begin == '+'), end, number);
  if (got.ec == std::errc() && got.ptr == end) return number;
  double real = 0;
  const auto other = std::from_chars(begin, end, real);
  if (begin != end && other.ec == std::errc() && other.ptr == end) return static_cast<int64_t>(real);
  return c.get(0, "default", 0);
}

Value to_float(const Call& c) {
  if (c.value.is_number()) return c.value.real();
  const Text text = strip(c.value.str(), "", true, true);
  double real = 0;
  const auto got = std::from_chars(text.bytes.data(), text.bytes.data() + text.bytes.size(), real);
  if (!text.bytes.empty() && got.ec == std::errc() && got.ptr == text.bytes.data() + text.bytes.size())
    return real;
  return c.get(0, "default", 0.0);
}

Value rounded(const Call& c) {
  if (!c.value.is_number()) c.wrong("a number");
  const double factor = std::pow(10.0, static_cast<double>(integer(c.get(0, "precision", 0), "precision")));
  const std::string method = c.get(1, "method", "common").str().bytes;
  const double scaled = c.value.real() * factor;
  return (method == "ceil"    ? std::ceil(scaled)
          : method == "floor" ? std::floor(scaled)
                              : std::nearbyint(scaled)) /
         factor;
}

// select, reject, selectattr, rejectattr
Value selected(const Call& c, bool by_attribute, bool keep) {
  List result;
  const size_t first = by_attribute ? 1 : 0;
  const bool tests = c.arguments.positional.size() > first;
  const std::string test = tests ? c.arguments.positional[first].str().bytes : "";
  require(!tests || has_test(test), ErrorCode::kUnsupported, "[chat template] the test \"{}\" is not covered",
          test);
  Arguments rest;
  for (size_t i = first + 1; i < c.arguments.positional.size(); ++i)
    rest.positional.push_back(c.arguments.positional[i]);
  for (const Value& item : c.items_if_true()) {
    const Value subject = by_attribute ? attribute_of(item, c.get(0, "attribute").str()) : item;
    if ((tests ? apply_test(test, subject, rest) : subject.truth()) == keep) result.push_back(item);
  }
  return Value::list(std::move(result));
}

Value mapped(const Call& c) {
  List result;
  const Value attribute = c.arguments.get(99, "attribute");
  for (const Value& item : c.items_if_true()) {
    if (!attribute.is(Kind::kUndefined)) {
      Value got = attribute_of(item, attribute.str());
      if (got.is(Kind::kUndefined)) got = c.arguments.get(99, "default", std::move(got));
      result.push_back(std::move(got));
      continue;
    }
    const std::string filter = c.get(0, "filter").str().bytes;
    require(has_filter(filter), ErrorCode::kUnsupported, "[chat template] the filter \"{}\" is not covered",
            filter);
    Arguments rest;
    rest.positional.assign(c.arguments.positional.begin() + 1, c.arguments.positional.end());
    rest.named = c.arguments.named;
    result.push_back(apply_filter(filter, item, rest, c.max_bytes));
  }
  return Value::list(std::move(result));
}

// Strings compare without case unless asked otherwise.
Value sort_key(const Value& value, const Value& attribute, bool case_sensitive) {
  const Value key = attribute.is(Kind::kString) ? attribute_of(value, attribute.text()) : value;
  return key.is(Kind::kString) && !case_sensitive ? Value(lower(key.text())) : key;
}

Value sorted(const Call& c) {
  List result = c.items();
  const Value attribute = c.arguments.get(2, "attribute");
  const bool sensitive = c.get(1, "case_sensitive", false).truth(),
             reverse = c.get(0, "reverse", false).truth();
  std::stable_sort(result.begin(), result.end(), [&](const Value& a, const Value& b) {
    const Value x = sort_key(a, attribute, sensitive), y = sort_key(b, attribute, sensitive);
    return reverse ? less(y, x) : less(x, y);
  });
  return Value::list(std::move(result));
}

Value dict_sorted(const Call& c) {
  if (!c.value.is_mapping()) c.wrong("a dict");
  Dict entries = c.value.entries();
  const bool by_value = c.get(1, "by", "key").str().bytes == "value",
             reverse = c.get(2, "reverse", false).truth();
  const bool sensitive = c.get(0, "case_sensitive", false).truth();
  const auto key = [&](const auto& e) {
    return sort_key(by_value ? e.second : Value(e.first), Value(), sensitive);
  };
  std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(key(b), key(a)) : less(key(a), key(b));
  });
  List pairs;
  for (auto& [name, value] : entries) pairs.push_back(Value::list({Value(name), value}, Kind::kTuple));
  return Value::list(std::move(pairs));
}

Value unique(const Call& c) {
  List result, keys;
  const Value attribute = c.arguments.get(1, "attribute");
  for (const Value& item : c.items()) {
    const Value key = sort_key(item, attribute, c.get(0, "case_sensitive", false).truth());
    if (std::any_of(keys.begin(), keys.end(), [&](const Value& k) { return equal(k, key); })) continue;
    keys.push_back(key);
    result.push_back(item);
  }
  return Value::list(std::move(result));
}

Value extreme(const Call& c, bool largest) {
  const List items = c.items();
  if (items.empty()) return {};
  const Value attribute = c.arguments.get(1, "attribute");
  const bool sensitive = c.get(0, "case_sensitive", false).truth();
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    const Value a = sort_key(items[i], attribute, sensitive), b = sort_key(items[best], attribute, sensitive);
    if (largest ? less(b, a) : less(a, b)) best = i;
  }
  return items[best];
}

Value summed(const Call& c) {
  const Value attribute = c.get(0, "attribute"), start = c.get(1, "start", 0);
  bool real = start.is(Kind::kFloat);
  int64_t whole = start.integer();
  double total = start.real();
  for (const Value& item : c.items()) {
    const Value v = attribute.is(Kind::kString) ? attribute_of(item, attribute.text()) : item;
    require(v.is_number(), ErrorCode::kInvalidArgument, "[chat template] sum needs numbers, not a {}",
            v.type_name());
    real = real || v.is(Kind::kFloat);
    require(!__builtin_add_overflow(whole, v.is_integer() ? v.integer() : 0, &whole),
            ErrorCode::kLimitExceeded, "[chat template] a sum does not fit 64 bits");
    total += v.real();
  }
  return real ? Value(total) : Value(whole);
}

Value batches(const Call& c) {
  const int64_t size = std::max<int64_t>(integer(c.get(0, "linecount"), "linecount"), 1);
  List result, row;
  for (const Value& item : c.items()) {
    row.push_back(item);
    if (static_cast<int64_t>(row.size()) == size) result.push_back(Value::list(std::exchange(row, {})));
  }
  const Value fill = c.get(1, "fill_with", Value::none());
  while (!row.empty() && !fill.is(Kind::kNone) && static_cast<int64_t>(row.size()) < size)
    row.push_back(fill);
  if (!row.empty()) result.push_back(Value::list(std::move(row)));
  return Value::list(std::move(result));
}

Value reversed(const Call& c) {
  List items = c.items();
  std::reverse(items.begin(), items.end());
  return c.value.is(Kind::kString) ? Value(join(items, "")) : Value::list(std::move(items));
}

Value joined(const Call& c) {
  List items = c.items();
  const Value attribute = c.get(1, "attribute");
  if (attribute.is(Kind::kString)) {
    for (Value& item : items) item = attribute_of(item, attribute.text());
  }
  return join(items, c.get(0, "d", "").str());
}

Value item_pairs(const Call& c) {
  if (c.value.is(Kind::kUndefined)) return Value::list({});
  if (!c.value.is_mapping()) c.wrong("a dict");
  List pairs;
  for (const auto& [key, value] : c.value.entries())
    pairs.push_back(Value::list({Value(key), value}, Kind::kTuple));
  return Value::list(std::move(pairs));
}

Value fallback(const Call& c) {
  const bool falsy = c.get(1, "boolean", false).truth();
  return c.value.is(Kind::kUndefined) || (falsy && !c.value.truth()) ? c.get(0, "default_value", "")
                                                                     : c.value;
}

Value indented(const Call& c) {
  const Value width = c.get(0, "width", 4);
  const std::string pad =
      width.is(Kind::kString)
          ? width.text().bytes
          : std::string(static_cast<size_t>(std::clamp<int64_t>(integer(width, "width"), 0, 1000)), ' ');
  return indent(c.value.str(), pad, c.get(1, "first", false).truth(), c.get(2, "blank", false).truth());
}

Value absolute(const Call& c) {
  if (!c.value.is_number()) c.wrong("a number");
  if (c.value.is(Kind::kFloat)) return std::abs(c.value.real());
  require(c.value.integer() != INT64_MIN, ErrorCode::kLimitExceeded,
          "[chat template] a number does not fit 64 bits");
  return std::abs(c.value.integer());
}

Value replaced(const Call& c) {
  const Value count = c.get(2, "count", Value::none());
  return replace(c.value.str(), c.get(0, "old").str(), c.get(1, "new").str(),
                 count.is(Kind::kNone) ? -1 : integer(count, "count"));
}

Value edge(const Call& c, bool first) {
  const List items = c.items();
  return items.empty() ? Value() : first ? items.front() : items.back();
}

using Filter = Value (*)(const Call&);

const std::map<std::string, Filter>& filters() {
  static const std::map<std::string, Filter> kFilters = {
      {"abs", absolute},
      {"batch", batches},
      {"capitalize", [](const Call& c) { return Value(capitalize(c.value.str())); }},
      {"count", length},
      {"d", fallback},
      {"default", fallback},
      {"dictsort", dict_sorted},
      {"e", [](const Call& c) { return Value(escape_html(c.value.str())); }},
      {"escape", [](const Call& c) { return Value(escape_html(c.value.str())); }},
      {"first", [](const Call& c) { return edge(c, true); }},
      {"float", to_float},
      {"indent", indented},
      {"int", to_integer},
      {"items", item_pairs},
      {"join", joined},
      {"last", [](const Call& c) { return edge(c, false); }},
      {"length", length},
      {"list", [](const Call& c) { return Value::list(c.items()); }},
      {"lower", [](const Call& c) { return Value(lower(c.value.str())); }},
      {"map", mapped},
      {"max", [](const Call& c) { return extreme(c, true); }},
      {"min", [](const Call& c) { return extreme(c, false); }},
      {"reject", [](const Call& c) { return selected(c, false, false); }},
      {"rejectattr", [](const Call& c) { return selected(c, true, false); }},
      {"replace", replaced},
      {"reverse", reversed},
      {"round", rounded},
      {"safe", [](const Call& c) { return c.value; }},
      {"select", [](const Call& c) { return selected(c, false, true); }},
      {"selectattr", [](const Call& c) { return selected(c, true, true); }},
      {"sort", sorted},
      {"string", [](const Call& c) { return Value(c.value.str()); }},
      {"sum", summed},
      {"title", [](const Call& c) { return Value(title(c.value.str())); }},
      {"tojson", to_json},
      {"trim",
       [](const Call& c) {
         return Value(strip(c.value.str(), c.get(0, "chars", "").str().bytes, true, true));
       }},
      {"unique", unique},
      {"upper", [](const Call& c) { return Value(upper(c.value.str())); }},
      {"wordcount",
       [](const Call& c) { return Value(static_cast<int64_t>(split(c.value.str(), "", -1, false).size())); }},
  };
  return kFilters;
}

using Test = bool (*)(const Value&, const Value& other);

const std::map<std::string, Test>& tests() {
  static const std::map<std::string, Test> kTests = {
      {"boolean", [](const Value& v, const Value&) { return v.is(Kind::kBool); }},
      {"callable", [](const Value& v, const Value&) { return v.is(Kind::kFunction); }},
      {"defined", [](const Value& v, const Value&) { return !v.is(Kind::kUndefined); }},
      {"divisibleby",
       [](const Value& v, const Value& o) {
         return integer(o, "a divisor") != 0 && integer(v, "a number") % o.integer() == 0;
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

// ---- methods

Value starts_or_ends(const Call& c, bool start) {
  const Value wanted = c.get(0, "prefix");
  List options = wanted.is_sequence() ? wanted.items() : List{wanted};
  return std::any_of(options.begin(), options.end(), [&](const Value& option) {
    const std::string& s = c.value.text().bytes;
    return start ? s.starts_with(option.str().bytes) : s.ends_with(option.str().bytes);
  });
}

Value split_method(const Call& c, bool from_right) {
  const Value separator = c.get(0, "sep", Value::none()), limit = c.get(1, "maxsplit", -1);
  const std::string by = separator.is(Kind::kNone) ? "" : separator.str().bytes;
  require(separator.is(Kind::kNone) || !by.empty(), ErrorCode::kInvalidArgument,
          "[chat template] split by an empty separator");
  return Value::list(split(c.value.text(), by, integer(limit, "maxsplit"), from_right));
}

Value find_method(const Call& c, bool from_right) {
  const std::string& s = c.value.text().bytes;
  const std::string wanted = c.get(0, "sub").str().bytes;
  const size_t found = from_right ? s.rfind(wanted) : s.find(wanted);
  if (found == std::string::npos) return -1;
  return static_cast<int64_t>(characters(c.value.text().slice(0, found)).size());
}

Value lines(const Call& c) {
  List result = split(c.value.text(), "\n", -1, false);
  if (!result.empty() && result.back().text().bytes.empty()) result.pop_back();
  return Value::list(std::move(result));
}

Value count_of(const Call& c) {
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

const std::map<std::string, Filter>& string_methods() {
  static const std::map<std::string, Filter> kMethods = {
      {"capitalize", [](const Call& c) { return Value(capitalize(c.value.text())); }},
      {"count", count_of},
      {"endswith", [](const Call& c) { return starts_or_ends(c, false); }},
      {"find", [](const Call& c) { return find_method(c, false); }},
      {"isalnum", [](const Call& c) { return Value(all_characters(c.value, std::isalnum)); }},
      {"isalpha", [](const Call& c) { return Value(all_characters(c.value, std::isalpha)); }},
      {"isdigit", [](const Call& c) { return Value(all_characters(c.value, std::isdigit)); }},
      {"isspace", [](const Call& c) { return Value(all_characters(c.value, std::isspace)); }},
      {"join", [](const Call& c) { return Value(join(iterate(c.get(0, "iterable")), c.value.text())); }},
      {"lower", [](const Call& c) { return Value(lower(c.value.text())); }},
      {"lstrip",
       [](const Call& c) {
         return Value(strip(c.value.text(), c.get(0, "chars", "").str().bytes, true, false));
       }},
      {"replace", replaced},
      {"rfind", [](const Call& c) { return find_method(c, true); }},
      {"rsplit", [](const Call& c) { return split_method(c, true); }},
      {"rstrip",
       [](const Call& c) {
         return Value(strip(c.value.text(), c.get(0, "chars", "").str().bytes, false, true));
       }},
      {"split", [](const Call& c) { return split_method(c, false); }},
      {"splitlines", lines},
      {"startswith", [](const Call& c) { return starts_or_ends(c, true); }},
      {"strip",
       [](const Call& c) {
         return Value(strip(c.value.text(), c.get(0, "chars", "").str().bytes, true, true));
       }},
      {"title", [](const Call& c) { return Value(title(c.value.text())); }},
      {"upper", [](const Call& c) { return Value(upper(c.value.text())); }},
  };
  return kMethods;
}

const std::map<std::string, Filter>& dict_methods() {
  static const std::map<std::string, Filter> kMethods = {
      {"get",
       [](const Call& c) {
         const Value* found = c.value.find(c.get(0, "key").str().bytes);
         return found == nullptr ? c.get(1, "default", Value::none()) : *found;
       }},
      {"items", item_pairs},
      {"keys", [](const Call& c) { return Value::list(iterate(c.value)); }},
      {"values",
       [](const Call& c) {
         List values;
         for (const auto& entry : c.value.entries()) values.push_back(entry.second);
         return Value::list(std::move(values));
       }},
  };
  return kMethods;
}

const std::map<std::string, Filter>* methods_of(const Value& value) {
  return value.is(Kind::kString) ? &string_methods() : value.is(Kind::kDict) ? &dict_methods() : nullptr;
}

}  // namespace

bool has_filter(const std::string& name) { return filters().contains(name); }
bool has_test(const std::string& name) { return tests().contains(name); }

Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                   int64_t max_bytes) {
  Value result = filters().at(name)({name, value, arguments, max_bytes});
  require(!result.is(Kind::kString) || static_cast<int64_t>(result.text().bytes.size()) <= max_bytes,
          ErrorCode::kLimitExceeded, "[chat template] {} made more than {} bytes", name, max_bytes);
  return result;
}

bool apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  return tests().at(name)(value, arguments.get(0, "other"));
}

bool has_method(const Value& value, const std::string& name) {
  const auto* methods = methods_of(value);
  return methods != nullptr && methods->contains(name);
}

Value call_method(const Value& value, const std::string& name, const Arguments& arguments,
                  int64_t max_bytes) {
  require(has_method(value, name), ErrorCode::kUnsupported, "[chat template] a {} has no method \"{}\" here",
          value.type_name(), name);
  return methods_of(value)->at(name)({name, value, arguments, max_bytes});
}

}  // namespace vl3::jinja
