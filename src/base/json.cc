#include "base/json.h"

#include <algorithm>

#include "base/text_file.h"

namespace vl3 {

namespace {

// What an error of the parser says, behind its number, the place and what it was busy with, all of which
// stand before it: "[json.exception…] parse error at line 1, column 2: syntax error while parsing value - …".
std::string words_of(const nlohmann::detail::exception& error) {
  std::string_view text = error.what();
  const auto cut = [&text](std::string_view beginning, std::string_view end) {
    const size_t found = text.find(end);
    if (text.starts_with(beginning) && found != std::string_view::npos)
      text.remove_prefix(found + end.size());
  };
  cut("[json.exception.", "] ");
  cut("parse error", ": ");
  cut("syntax error", " - ");
  // It shows what was read as it was, which may be all of the text, and not UTF-8.
  constexpr size_t kHead = 120, kTail = 60;
  std::string words(text);
  if (words.size() > kHead + kTail)
    words = fmt::format("{}…{}", text.substr(0, kHead), text.substr(text.size() - kTail));
  return Json::parse(Json(words).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

// The first thing that is wrong with a text.
template <class Value>
class FaultEvents : public nlohmann::json_sax<Value> {
 public:
  explicit FaultEvents(std::string_view text) : text_(text) {}
  const std::string& fault() const { return fault_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(typename Value::binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(std::string&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t byte, const std::string&, const nlohmann::detail::exception& error) override {
    fault_ = json_fault(text_, byte, error);
    return false;
  }

 private:
  std::string_view text_;
  std::string fault_ = "is not valid JSON";
};

template <class Value>
Value parse_as(std::string_view whole, std::string_view origin) {
  const std::string_view text = without_bom(whole, origin);
  try {
    bool too_deep = false;
    Value value =
        Value::parse(text.begin(), text.end(), [&](int depth, typename Value::parse_event_t, Value&) {
          too_deep = too_deep || depth > kMaxJsonDepth;
          return !too_deep;
        });
    require(!too_deep, ErrorCode::kFormat, "[{}] JSON is nested deeper than {} levels", origin,
            kMaxJsonDepth);
    return value;
  } catch (const nlohmann::detail::exception&) {  // also of a number that no double holds, which has no place
    FaultEvents<Value> events(text);
    Value::sax_parse(text.begin(), text.end(), &events);
    fail(ErrorCode::kFormat, "[{}] {}", origin, events.fault());
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view origin) { return parse_as<Json>(text, origin); }

nlohmann::json parse_json_table(std::string_view text, std::string_view origin) {
  return parse_as<nlohmann::json>(text, origin);
}

std::string json_fault(std::string_view text, size_t byte, const nlohmann::detail::exception& error) {
  byte = std::min(byte, text.size());  // past the end it is the end that is wrong
  const std::string_view read = text.substr(0, byte);
  // The newline before the byte that was read last, which may be a newline itself.
  const size_t newline = byte < 2 ? std::string_view::npos : read.find_last_of('\n', byte - 2);
  const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
  return fmt::format("is not valid JSON at line {}, column {} (byte {} of {}): {}",
                     1 + std::count(read.begin(), read.begin() + static_cast<std::ptrdiff_t>(begin), '\n'),
                     byte - begin, byte, text.size(), words_of(error));
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

JsonView::JsonView(const Json& object, std::string origin) : object_(object), origin_(std::move(origin)) {
  require(object.is_object(), ErrorCode::kFormat, "[{}] should be a JSON object, not {}", origin_,
          shown(object));
}

const Json* JsonView::find(std::string_view key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool JsonView::has(std::string_view key) const { return find(key) != nullptr; }

JsonView JsonView::child(std::string_view key) const {
  const Json* value = find(key);
  require(value != nullptr, ErrorCode::kFormat, "[{}] has no \"{}\"", origin_, key);
  return {*value, fmt::format("{}: {}", origin_, key)};
}

void JsonView::wrong(std::string_view key, const Json& value, std::string_view wanted) const {
  fail(ErrorCode::kFormat, "[{}] \"{}\" should be {}, not {}", origin_, key, wanted, shown(value));
}

int64_t JsonView::integer(std::string_view key, int64_t fallback, int64_t low, int64_t high) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  const std::string wanted = fmt::format("an integer from {} to {}", low, high);
  if (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    wrong(key, *value, wanted);
  }
  if (!value->is_number_integer()) {
    // 3.0 is an integer to the reference's loaders; 3.5 is not.
    if (!value->is_number_float()) wrong(key, *value, wanted);
    const double real = value->get<double>();
    if (!(real >= -9e15 && real <= 9e15) || real != static_cast<double>(static_cast<int64_t>(real))) {
      wrong(key, *value, wanted);
    }
  }
  const int64_t number =
      value->is_number_float() ? static_cast<int64_t>(value->get<double>()) : value->get<int64_t>();
  if (number < low || number > high) wrong(key, *value, wanted);
  return number;
}

double JsonView::number(std::string_view key, double fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) wrong(key, *value, "a number");
  return value->get<double>();
}

bool JsonView::boolean(std::string_view key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) wrong(key, *value, "true or false");
  return value->get<bool>();
}

std::string JsonView::string(std::string_view key, std::string fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) wrong(key, *value, "a string");
  return value->get<std::string>();
}

}  // namespace vl3
