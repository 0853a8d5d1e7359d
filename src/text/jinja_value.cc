#include "text/jinja_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace vl3::jinja {
namespace {

// Python's repr of a float: the shortest digits that read back, "1.0", "1e+16", "inf".
std::string float_text(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto plain = std::to_chars(buffer, buffer + sizeof buffer, x);
  std::string text(buffer, plain.ptr);
  const double size = std::abs(x);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, x,
                                 scientific ? std::chars_format::scientific : std::chars_format::fixed);
  text.assign(buffer, end.ptr);
  if (!scientific && text.find('.') == std::string::npos) text += ".0";
  return text;
}

Text quoted(const Text& text) {
  const bool doubled =
      text.bytes.find('\'') != std::string::npos && text.bytes.find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  Text out(std::string(1, quote));
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    const char c = text.bytes[i];
    const bool from_message = text.tainted[i] != 0;
    if (c == quote || c == '\\')
      out += Text(std::string{'\\', c}, from_message);
    else if (c == '\n')
      out += Text("\\n", from_message);
    else if (c == '\r')
      out += Text("\\r", from_message);
    else if (c == '\t')
      out += Text("\\t", from_message);
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += Text(fmt::format("\\x{:02x}", c), from_message);
    else
      out += text.slice(i, 1);
  }
  return out += Text(std::string(1, quote));
}

Text joined(const List& items, const char* open, const char* close, bool lone_comma) {
  Text out(open);
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    out += items[i].repr();
  }
  if (lone_comma && items.size() == 1) out += ",";
  return out += close;
}

}  // namespace

Value Value::from_json(const Json& json, bool tainted) {
  switch (json.type()) {
    case Json::value_t::null:
      return none();
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
      return json.get<int64_t>();
    case Json::value_t::number_unsigned:
      require(json.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX), ErrorCode::kLimitExceeded,
              "[chat template] the number {} does not fit 64 bits", shown(json));
      return json.get<int64_t>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return Text(json.get<std::string>(), tainted);
    case Json::value_t::array: {
      List items;
      for (const Json& item : json) items.push_back(from_json(item, tainted));
      return list(std::move(items));
    }
    default: {
      Dict entries;
      for (const auto& [key, item] : json.items())
        entries.emplace_back(Text(key, tainted), from_json(item, tainted));
      return dict(std::move(entries));
    }
  }
}

bool Value::truth() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return integer_ != 0;
    case Kind::kFloat:
      return real_ != 0;
    case Kind::kString:
      return !text_.bytes.empty();
    case Kind::kList:
    case Kind::kTuple:
      return !list_->empty();
    case Kind::kDict:
      return !dict_->empty();
    default:
      return true;
  }
}

Text Value::str() const {
  if (is(Kind::kString)) return text_;
  if (is(Kind::kUndefined)) return {};
  return repr();
}

Text Value::repr() const {
  switch (kind_) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return integer_ != 0 ? "True" : "False";
    case Kind::kInt:
      return Text(std::to_string(integer_));
    case Kind::kFloat:
      return Text(float_text(real_));
    case Kind::kString:
      return quoted(text_);
    case Kind::kList:
      return joined(*list_, "[", "]", false);
    case Kind::kTuple:
      return joined(*list_, "(", ")", true);
    case Kind::kDict: {
      Text out("{");
      for (size_t i = 0; i < dict_->size(); ++i) {
        if (i > 0) out += ", ";
        out += quoted((*dict_)[i].first);
        out += ": ";
        out += (*dict_)[i].second.repr();
      }
      return out += "}";
    }
    default:
      fail(ErrorCode::kUnsupported, "[chat template] a {} cannot be printed", type_name());
  }
}

const char* Value::type_name() const {
  constexpr const char* kNames[] = {"undefined", "None",  "bool", "int",       "float",   "str",
                                    "list",      "tuple", "dict", "namespace", "function"};
  return kNames[static_cast<int>(kind_)];
}

const Value* Value::find(const std::string& key) const {
  for (const auto& [name, value] : *dict_) {
    if (name.bytes == key) return &value;
  }
  return nullptr;
}

void Value::set(const Text& key, Value value) const {
  for (auto& entry : *dict_) {
    if (entry.first.bytes == key.bytes) {
      entry.second = std::move(value);
      return;
    }
  }
  dict_->emplace_back(key, std::move(value));
}

Value Arguments::get(size_t place, const std::string& name, Value fallback) const {
  if (place < positional.size()) return positional[place];
  for (const auto& [key, value] : named) {
    if (key.bytes == name) return value;
  }
  return fallback;
}

bool equal(const Value& a, const Value& b) {
  using Kind = Value::Kind;
  if (a.is_number() && b.is_number()) {
    return a.is_integer() && b.is_integer() ? a.integer() == b.integer() : a.real() == b.real();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.text().bytes == b.text().bytes;
    case Kind::kList:
    case Kind::kTuple:
      return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(), equal);
    case Kind::kDict: {
      if (a.entries().size() != b.entries().size()) return false;
      return std::all_of(a.entries().begin(), a.entries().end(), [&](const auto& entry) {
        const Value* other = b.find(entry.first.bytes);
        return other != nullptr && equal(entry.second, *other);
      });
    }
    case Kind::kNamespace:
      return &a.entries() == &b.entries();
    default:
      return &a.call() == &b.call();
  }
}

bool less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_integer() && b.is_integer() ? a.integer() < b.integer() : a.real() < b.real();
  }
  if (a.is(Value::Kind::kString) && b.is(Value::Kind::kString)) return a.text().bytes < b.text().bytes;
  if (a.is_sequence() && a.kind() == b.kind()) {
    return std::lexicographical_compare(a.items().begin(), a.items().end(), b.items().begin(),
                                        b.items().end(), less);
  }
  fail(ErrorCode::kInvalidArgument, "[chat template] {} and {} cannot be ordered", a.type_name(),
       b.type_name());
}

bool contains(const Value& container, const Value& item) {
  if (container.is(Value::Kind::kString)) {
    require(item.is(Value::Kind::kString), ErrorCode::kInvalidArgument,
            "[chat template] a {} cannot be in a str", item.type_name());
    return container.text().bytes.find(item.text().bytes) != std::string::npos;
  }
  if (container.is_mapping())
    return item.is(Value::Kind::kString) && container.find(item.text().bytes) != nullptr;
  if (container.is(Value::Kind::kUndefined)) return false;
  const List items = iterate(container);
  return std::any_of(items.begin(), items.end(), [&](const Value& v) { return equal(v, item); });
}

List characters(const Text& text) {
  List result;
  for (size_t i = 0; i < text.bytes.size();) {
    size_t length = 1;
    while (i + length < text.bytes.size() &&
           (static_cast<unsigned char>(text.bytes[i + length]) & 0xc0) == 0x80)
      ++length;
    result.emplace_back(text.slice(i, length));
    i += length;
  }
  return result;
}

List iterate(const Value& value) {
  if (value.is_sequence()) return value.items();
  if (value.is(Value::Kind::kString)) return characters(value.text());
  if (value.is(Value::Kind::kUndefined)) return {};
  require(value.is_mapping(), ErrorCode::kInvalidArgument, "[chat template] a {} cannot be iterated",
          value.type_name());
  List keys;
  for (const auto& entry : value.entries()) keys.emplace_back(entry.first);
  return keys;
}

Text to_json_text(const Value& value, int indent, bool sort_keys, const std::string& item_separator,
                  const std::string& key_separator, bool ensure_ascii, int depth) {
  using Kind = Value::Kind;
  const auto line = [&](int level) {
    std::string text;
    if (indent >= 0) text.append(1, '\n').append(static_cast<size_t>(indent * level), ' ');
    return text;
  };
  if (value.is(Kind::kNone)) return "null";
  if (value.is(Kind::kBool)) return value.truth() ? "true" : "false";
  if (value.is_number()) return value.repr();
  if (value.is(Kind::kString)) {
    return Text(Json(value.text().bytes).dump(-1, ' ', ensure_ascii, Json::error_handler_t::replace),
                value.text().any_tainted());
  }
  const bool list = value.is_sequence();
  require(list || value.is_mapping(), ErrorCode::kInvalidArgument, "[chat template] a {} is not JSON",
          value.type_name());
  Dict entries;
  if (list) {
    for (const Value& item : value.items()) entries.emplace_back(Text(), item);
  } else {
    entries = value.entries();
  }
  if (sort_keys && !list) {
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.first.bytes < b.first.bytes; });
  }
  if (entries.empty()) return list ? "[]" : "{}";
  Text out(list ? "[" : "{");
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out += Text(item_separator);
    out += Text(line(depth + 1));
    if (!list) {
      out += to_json_text(Value(entries[i].first), -1, false, "", "", ensure_ascii);
      out += Text(key_separator);
    }
    out += to_json_text(entries[i].second, indent, sort_keys, item_separator, key_separator, ensure_ascii,
                        depth + 1);
  }
  out += Text(line(depth));
  return out += list ? "]" : "}";
}

}  // namespace vl3::jinja
