#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "jinja/builtin_call.h"
#include "jinja/builtins.h"
#include "jinja/strings.h"

namespace vl3::jinja {
namespace {

using Kind = Value::Kind;

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

Value length(const BuiltinCall& c) {
  if (c.value.is(Kind::kString)) return static_cast<int64_t>(character_starts(c.value.text()).size() - 1);
  if (c.value.is_mapping()) return static_cast<int64_t>(c.value.entries().size());
  return static_cast<int64_t>(c.items().size());
}

Value to_json(const BuiltinCall& c) {
  const Value indent = c.get(0, "indent", Value::none());
  const int width =
      indent.is(Kind::kNone) ? -1 : static_cast<int>(std::clamp<int64_t>(integer(indent, "indent"), 0, 64));
  JsonStyle style;
  style.indent = width;
  style.item_separator = std::string(width < 0 ? ", " : ",");
  const Value separators = c.get(1, "separators", Value::none());
  if (separators.is_sequence() && separators.items().size() == 2) {
    style.item_separator = separators.items()[0].str().bytes;
    style.key_separator = separators.items()[1].str().bytes;
  }
  style.sort_keys = c.get(2, "sort_keys", false).truth();
  style.ensure_ascii = c.get(3, "ensure_ascii", false).truth();
  style.max_bytes = c.max_bytes;
  return to_json_text(c.value, style);
}

bool fits_64_bits(double real) { return real >= -0x1p63 && real < 0x1p63; }  // not so of "not a number"

Value to_integer(const BuiltinCall& c) {
  if (c.value.is(Kind::kFloat)) {
    if (std::isnan(c.value.real())) return c.get(0, "default", 0);
    require(fits_64_bits(c.value.real()), ErrorCode::kLimitExceeded,
            "[chat template] int: {} does not fit 64 bits", c.value.real());
    return static_cast<int64_t>(c.value.real());
  }
  if (c.value.is_integer()) return c.value.integer();
  const Text text = strip(c.value.str(), "", true, true);
  int64_t number = 0;
  const char *begin = text.bytes.data(), *end = begin + text.bytes.size();
  const auto got = std::from_chars(begin + (begin != end && *begin == '+'), end, number);
  if (got.ec == std::errc() && got.ptr == end) return number;
  double real = 0;
  const auto other = std::from_chars(begin, end, real);
  if (begin != end && other.ec == std::errc() && other.ptr == end && fits_64_bits(real))
    return static_cast<int64_t>(real);
  return c.get(0, "default", 0);
}

Value to_float(const BuiltinCall& c) {
  if (c.value.is_number()) return c.value.real();
  const Text text = strip(c.value.str(), "", true, true);
  double real = 0;
  const auto got = std::from_chars(text.bytes.data(), text.bytes.data() + text.bytes.size(), real);
  if (!text.bytes.empty() && got.ec == std::errc() && got.ptr == text.bytes.data() + text.bytes.size())
    return real;
  return c.get(0, "default", 0.0);
}

Value rounded(const BuiltinCall& c) {
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
Value selected(const BuiltinCall& c, bool by_attribute, bool keep) {
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

Value mapped(const BuiltinCall& c) {
  List result;
  const Value attribute = c.arguments.find("attribute");
  for (const Value& item : c.items_if_true()) {
    if (!attribute.is(Kind::kUndefined)) {
      Value got = attribute_of(item, attribute.str());
      if (got.is(Kind::kUndefined))
        got = c.arguments.get(c.arguments.positional.size(), "default", std::move(got));
      result.push_back(std::move(got));
      continue;
    }
    const std::string filter = c.get(0, "filter").str().bytes;
    require(has_filter(filter), ErrorCode::kUnsupported, "[chat template] the filter \"{}\" is not covered",
            filter);
    Arguments rest;
    for (size_t i = 1; i < c.arguments.positional.size(); ++i)
      rest.positional.push_back(c.arguments.positional[i]);
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

Value sorted(const BuiltinCall& c) {
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

Value dict_sorted(const BuiltinCall& c) {
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

Value unique(const BuiltinCall& c) {
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

Value extreme(const BuiltinCall& c, bool largest) {
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

Value summed(const BuiltinCall& c) {
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

Value batches(const BuiltinCall& c) {
  const int64_t size = std::max<int64_t>(integer(c.get(0, "linecount"), "linecount"), 1);
  constexpr int64_t kMost = 1'000'000;
  require(size <= kMost || c.get(1, "fill_with", Value::none()).is(Kind::kNone), ErrorCode::kLimitExceeded,
          "[chat template] batch: rows filled up to {}; the limit is {}", size, kMost);
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

Value reversed(const BuiltinCall& c) {
  List items = c.items();
  std::reverse(items.begin(), items.end());
  return c.value.is(Kind::kString) ? Value(join(items, "", c.max_bytes)) : Value::list(std::move(items));
}

Value joined(const BuiltinCall& c) {
  List items = c.items();
  const Value attribute = c.get(1, "attribute");
  if (attribute.is(Kind::kString)) {
    for (Value& item : items) item = attribute_of(item, attribute.text());
  }
  return join(items, c.get(0, "d", "").str(), c.max_bytes);
}

Value fallback(const BuiltinCall& c) {
  const bool falsy = c.get(1, "boolean", false).truth();
  return c.value.is(Kind::kUndefined) || (falsy && !c.value.truth()) ? c.get(0, "default_value", "")
                                                                     : c.value;
}

Value indented(const BuiltinCall& c) {
  const Value width = c.get(0, "width", 4);
  const std::string pad =
      width.is(Kind::kString)
          ? width.text().bytes
          : std::string(static_cast<size_t>(std::clamp<int64_t>(integer(width, "width"), 0, 1000)), ' ');
  return indent(c.value.str(), pad, c.get(1, "first", false).truth(), c.get(2, "blank", false).truth(),
                c.max_bytes);
}

Value absolute(const BuiltinCall& c) {
  if (!c.value.is_number()) c.wrong("a number");
  if (c.value.is(Kind::kFloat)) return std::abs(c.value.real());
  require(c.value.integer() != INT64_MIN, ErrorCode::kLimitExceeded,
          "[chat template] a number does not fit 64 bits");
  return std::abs(c.value.integer());
}

Value edge(const BuiltinCall& c, bool first) {
  const List items = c.items();
  return items.empty() ? Value() : first ? items.front() : items.back();
}

const std::map<std::string, Builtin>& filters() {
  static const std::map<std::string, Builtin> kFilters = {
      {"abs", absolute},
      {"batch", batches},
      {"capitalize", [](const BuiltinCall& c) { return Value(capitalize(c.value.str())); }},
      {"count", length},
      {"d", fallback},
      {"default", fallback},
      {"dictsort", dict_sorted},
      {"e", [](const BuiltinCall& c) { return Value(escape_html(c.value.str(), c.max_bytes)); }},
      {"escape", [](const BuiltinCall& c) { return Value(escape_html(c.value.str(), c.max_bytes)); }},
      {"first", [](const BuiltinCall& c) { return edge(c, true); }},
      {"float", to_float},
      {"indent", indented},
      {"int", to_integer},
      {"items", item_pairs},
      {"join", joined},
      {"last", [](const BuiltinCall& c) { return edge(c, false); }},
      {"length", length},
      {"list", [](const BuiltinCall& c) { return Value::list(c.items()); }},
      {"lower", [](const BuiltinCall& c) { return Value(lower(c.value.str())); }},
      {"map", mapped},
      {"max", [](const BuiltinCall& c) { return extreme(c, true); }},
      {"min", [](const BuiltinCall& c) { return extreme(c, false); }},
      {"reject", [](const BuiltinCall& c) { return selected(c, false, false); }},
      {"rejectattr", [](const BuiltinCall& c) { return selected(c, true, false); }},
      {"replace", replaced},
      {"reverse", reversed},
      {"round", rounded},
      {"safe", [](const BuiltinCall& c) { return c.value; }},
      {"select", [](const BuiltinCall& c) { return selected(c, false, true); }},
      {"selectattr", [](const BuiltinCall& c) { return selected(c, true, true); }},
      {"sort", sorted},
      {"string", [](const BuiltinCall& c) { return Value(c.value.str()); }},
      {"sum", summed},
      {"title", [](const BuiltinCall& c) { return Value(title(c.value.str())); }},
      {"tojson", to_json},
      {"trim",
       [](const BuiltinCall& c) {
         return Value(strip(c.value.str(), c.get(0, "chars", "").str().bytes, true, true));
       }},
      {"unique", unique},
      {"upper", [](const BuiltinCall& c) { return Value(upper(c.value.str())); }},
      {"wordcount",
       [](const BuiltinCall& c) {
         return Value(static_cast<int64_t>(split(c.value.str(), "", -1, false).size()));
       }},
  };
  return kFilters;
}

}  // namespace

Value item_pairs(const BuiltinCall& c) {
  if (c.value.is(Kind::kUndefined)) return Value::list({});
  if (!c.value.is_mapping()) c.wrong("a dict");
  List pairs;
  for (const auto& [key, value] : c.value.entries())
    pairs.push_back(Value::list({Value(key), value}, Kind::kTuple));
  return Value::list(std::move(pairs));
}

Value replaced(const BuiltinCall& c) {
  const Value count = c.get(2, "count", Value::none());
  return replace(c.value.str(), c.get(0, "old").str(), c.get(1, "new").str(),
                 count.is(Kind::kNone) ? -1 : integer(count, "count"), c.max_bytes);
}

bool has_filter(const std::string& name) { return filters().contains(name); }

Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments,
                   int64_t max_bytes) {
  Value result = filters().at(name)({name, value, arguments, max_bytes});
  require(!result.is(Kind::kString) || static_cast<int64_t>(result.text().bytes.size()) <= max_bytes,
          ErrorCode::kLimitExceeded, "[chat template] {} made more than {} bytes", name, max_bytes);
  return result;
}

}  // namespace vl3::jinja
