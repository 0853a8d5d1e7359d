#include "jinja/value.h"

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

void Value::count(const Value& inner) {
  depth_ = std::max(depth_, inner.depth_ + 1);
  if (__builtin_add_overflow(bytes_, inner.bytes(), &bytes_)) bytes_ = INT64_MAX / 2;
  holds_namespace_ = holds_namespace_ || inner.holds_namespace_;
}

Value Value::list(List items, Kind kind) {
  Value value(kind);
  value.depth_ = 1;
  for (const Value& item : items) value.count(item);
  value.list_ = std::make_shared<List>(std::move(items));
  return value;
}

Value Value::dict(Dict items, Kind kind) {
  Value value(kind);
  value.depth_ = 1;
  value.dict_ = std::make_shared<Dict>();
  for (auto& [key, item] : items) value.put(key, std::move(item));
  return value;
}

Value Value::function(Function f) { return function(std::move(f), Value()); }

Value Value::function(Function f, const Value& held) {
  Value value(Kind::kFunction);
  value.count(held);
  value.function_ = std::make_shared<Function>(std::move(f));
  return value;
}

void Value::set(const Text& key, Value value) {
  require(!is(Kind::kNamespace) || !value.holds_namespace_, ErrorCode::kUnsupported,
          "[chat template] a namespace set within a namespace (as \"{}\") is not covered", key.bytes);
  put(key, std::move(value));
}

void Value::put(const Text& key, Value value) {
  count(value);
  bytes_ += static_cast<int64_t>(sizeof(Text) + 2 * key.bytes.size());
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

Value Arguments::find(const std::string& name) const { return get(positional.size(), name); }

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

std::vector<size_t> character_starts(const Text& text) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < text.bytes.size(); ++i) {
    // A byte that continues a character, unless it is the first of the text.
    if (i > 0 && (static_cast<unsigned char>(text.bytes[i]) & 0xc0) == 0x80) continue;
    starts.push_back(i);
  }
  starts.push_back(text.bytes.size());
  return starts;
}

List characters(const Text& text) {
  const std::vector<size_t> starts = character_starts(text);
  require(starts.size() <= kMaxCharacters, ErrorCode::kLimitExceeded,
          "[chat template] a text of {} characters is taken apart; the limit is {}", starts.size() - 1,
          kMaxCharacters);
  List result;
  for (size_t i = 0; i + 1 < starts.size(); ++i)
    result.emplace_back(text.slice(starts[i], starts[i + 1] - starts[i]));
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

void append(Text& out, const Text& more, int64_t max_bytes) {
  require(static_cast<int64_t>(out.bytes.size() + more.bytes.size()) <= max_bytes, ErrorCode::kLimitExceeded,
          "[chat template] a string longer than {} bytes", max_bytes);
  out += more;
}

namespace {

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  Text run(const Value& value) {
    write(value, 0);
    return std::move(out_);
  }

 private:
  void put(const Text& text) { append(out_, text, style_.max_bytes); }

  void new_line(int level) {
    if (style_.indent < 0) return;
    put(Text(std::string(1, '\n').append(static_cast<size_t>(style_.indent * level), ' ')));
  }

  void string(const Text& text) {
    put(Text(Json(text.bytes).dump(-1, ' ', style_.ensure_ascii, Json::error_handler_t::replace),
             text.any_tainted()));
  }

  void write(const Value& value, int level) {
    using Kind = Value::Kind;
    if (value.is(Kind::kNone)) return put("null");
    if (value.is(Kind::kBool)) return put(value.truth() ? "true" : "false");
    if (value.is_number()) return put(value.repr());
    if (value.is(Kind::kString)) return string(value.text());
    const bool list = value.is_sequence();
    require(list || value.is_mapping(), ErrorCode::kInvalidArgument, "[chat template] a {} is not JSON",
            value.type_name());
    std::vector<std::pair<const Text*, const Value*>> entries;
    if (list) {
      for (const Value& item : value.items()) entries.emplace_back(nullptr, &item);
    } else {
      for (const auto& [key, item] : value.entries()) entries.emplace_back(&key, &item);
    }
    if (style_.sort_keys && !list) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) { return a.first->bytes < b.first->bytes; });
    }
    if (entries.empty()) return put(list ? "[]" : "{}");
    put(list ? "[" : "{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) put(Text(style_.item_separator));
      new_line(level + 1);
      if (!list) {
        string(*entries[i].first);
        put(Text(style_.key_separator));
      }
      write(*entries[i].second, level + 1);
    }
    new_line(level);
    put(list ? "]" : "}");
  }

  const JsonStyle& style_;
  Text out_;
};

}  // namespace

Text to_json_text(const Value& value, const JsonStyle& style) { return JsonWriter(style).run(value); }

}  // namespace vl3::jinja
