#include "serve/field_reader.h"

#include <fmt/format.h>

#include <cmath>

namespace vl3::serve {

void refuse(const std::string& param, const std::string& message, const std::string& code) {
  throw ApiError(400, code, message, param);
}

FieldReader::FieldReader(const Json& object, std::string param) : object_(object), param_(std::move(param)) {
  if (object.is_object()) return;
  if (param_.empty()) refuse("", "The body should be a JSON object.", "invalid_json");
  refuse(param_, fmt::format("\"{}\" should be an object, not {}.", param_, shown(object)));
}

std::string FieldReader::param_of(std::string_view key) const {
  return param_.empty() ? std::string(key) : fmt::format("{}.{}", param_, key);
}

const Json* FieldReader::find(std::string_view key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void FieldReader::wrong(std::string_view key, const std::string& wanted) const {
  const Json* value = find(key);
  refuse(param_of(key), fmt::format("\"{}\" should be {}, not {}.", param_of(key), wanted,
                                    value == nullptr ? "missing" : shown(*value)));
}

std::optional<int64_t> FieldReader::integer(std::string_view key, int64_t low, int64_t high) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto refuse_it = [&] { wrong(key, fmt::format("an integer from {} to {}", low, high)); };
  if (!value->is_number_integer()) refuse_it();
  if (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) refuse_it();
  const auto number = value->get<int64_t>();
  if (number < low || number > high) refuse_it();
  return number;
}

std::optional<double> FieldReader::number(std::string_view key, double low, double high,
                                          bool low_open) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  const bool inside = value->is_number() && std::isfinite(value->get<double>()) &&
                      value->get<double>() <= high &&
                      (low_open ? value->get<double>() > low : value->get<double>() >= low);
  if (!inside)
    wrong(key, low_open ? fmt::format("a number above {} and up to {}", low, high)
                        : fmt::format("a number from {} to {}", low, high));
  return value->get<double>();
}

std::optional<bool> FieldReader::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong(key, "true or false");
  return value->get<bool>();
}

std::optional<std::string> FieldReader::text(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong(key, "a text");
  return value->get<std::string>();
}

std::optional<FieldReader> FieldReader::object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  return FieldReader(*value, param_of(key));
}

std::vector<int64_t> FieldReader::ids(std::string_view key, int64_t vocab_size, size_t most) const {
  std::vector<int64_t> ids;
  const Json* value = find(key);
  if (value == nullptr) return ids;
  if (!value->is_array() || value->size() > most)
    wrong(key, fmt::format("a list of at most {} token ids", most));
  for (const Json& entry : *value) {
    const bool is_id =
        entry.is_number_unsigned() && entry.get<uint64_t>() < static_cast<uint64_t>(vocab_size);
    if (!is_id)
      refuse(param_of(key), fmt::format("\"{}\" holds {}, which is not a token id from 0 to {}.",
                                        param_of(key), shown(entry), vocab_size - 1));
    ids.push_back(entry.get<int64_t>());
  }
  return ids;
}

std::vector<std::string> FieldReader::texts(std::string_view key, size_t most, size_t most_bytes) const {
  std::vector<std::string> texts;
  const Json* value = find(key);
  if (value == nullptr) return texts;
  const auto add = [&](const Json& entry) {
    const bool good = entry.is_string() && !entry.get_ref<const std::string&>().empty() &&
                      entry.get_ref<const std::string&>().size() <= most_bytes;
    if (!good)
      refuse(param_of(key), fmt::format("\"{}\" should hold texts of 1 to {} bytes, not {}.", param_of(key),
                                        most_bytes, shown(entry)));
    texts.push_back(entry.get<std::string>());
  };
  if (value->is_string()) {
    add(*value);
    return texts;
  }
  if (!value->is_array() || value->size() > most)
    wrong(key, fmt::format("a text or a list of at most {} texts", most));
  for (const Json& entry : *value) add(entry);
  return texts;
}

}  // namespace vl3::serve
