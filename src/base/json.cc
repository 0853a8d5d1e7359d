#include "base/json.h"

#include "base/text_file.h"

namespace vl3 {

namespace {

// What an error of the parser says, without its number.
std::string_view words_of(const Json::exception& error) {
  const std::string_view text = error.what();
  const size_t number = text.find("] ");
  return number == std::string_view::npos ? text : text.substr(number + 2);
}

}  // namespace

Json parse_json(std::string_view whole, std::string_view origin) {
  const std::string_view text = without_bom(whole, origin);
  try {
    bool too_deep = false;
    Json value = Json::parse(text.begin(), text.end(), [&](int depth, Json::parse_event_t, Json&) {
      too_deep = too_deep || depth > kMaxJsonDepth;
      return !too_deep;
    });
    require(!too_deep, ErrorCode::kFormat, "[{}] JSON is nested deeper than {} levels", origin,
            kMaxJsonDepth);
    return value;
  } catch (const Json::parse_error& error) {
    fail(ErrorCode::kFormat, "[{}] is not valid JSON: {} (byte {} of {})", origin, words_of(error),
         error.byte, text.size());
  } catch (const Json::out_of_range& error) {  // a number that no double holds
    fail(ErrorCode::kFormat, "[{}] is not valid JSON: {}", origin, words_of(error));
  }
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
