#include "generate/setting_values.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/json.h"

namespace vl3 {
namespace {

constexpr int64_t kMaxTokenId = std::numeric_limits<int32_t>::max();
constexpr double kExactIntegers = 9007199254740992.0;  // 2^53

double bias_of(const Json& value, const SettingReader& reader) {
  if (!value.is_number()) reader.wrong(value, "a number as bias");
  const double bias = value.get<double>();
  if (!std::isfinite(bias)) reader.wrong(value, "a finite number as bias");
  return bias;
}

}  // namespace

bool SettingRange::holds(double value) const {
  return std::isfinite(value) && (low_open ? value > low : value >= low) &&
         (high_open ? value < high : value <= high);
}

std::string SettingRange::text() const {
  const bool below = std::isinf(low), above = std::isinf(high);
  if (below && above) return "";
  if (above) return fmt::format("{} {}", low_open ? ">" : ">=", low);
  return fmt::format("{}{}, {}{}", low_open ? '(' : '[', low, high, high_open ? ')' : ']');
}

void SettingReader::wrong(const Json& value, std::string_view wanted) const {
  fail(code, "[{}] {} should be {}, not {}", origin, name, wanted, shown(value));
}

int64_t SettingReader::integer(const Json& value) const {
  const std::string bounds = range.text();
  const std::string wanted = bounds.empty() ? "an integer" : "an integer " + bounds;
  double real = 0;
  if (!value.is_number()) wrong(value, wanted);
  real = value.get<double>();
  // 3.0 is an integer to the reference's loaders; 3.5 is not.
  if (std::floor(real) != real || std::abs(real) > kExactIntegers || !range.holds(real)) wrong(value, wanted);
  return static_cast<int64_t>(real);
}

double SettingReader::number(const Json& value) const {
  const std::string bounds = range.text();
  const std::string wanted = bounds.empty() ? "a number" : "a number " + bounds;
  if (!value.is_number()) wrong(value, wanted);
  const double real = value.get<double>();
  if (!range.holds(real)) wrong(value, wanted);
  return real;
}

int64_t SettingReader::token(const Json& value) const {
  if (!value.is_number_integer()) wrong(value, "a token id");
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId)) {
    wrong(value, "a token id");
  }
  const int64_t id = value.get<int64_t>();
  if (id < 0) wrong(value, "a token id");
  return id;
}

std::vector<int64_t> SettingReader::tokens(const Json& value, bool or_single) const {
  if (or_single && value.is_number()) return {token(value)};
  if (!value.is_array()) wrong(value, or_single ? "a token id or a list of them" : "a list of token ids");
  std::vector<int64_t> ids;
  for (const Json& element : value) ids.push_back(token(element));
  return ids;
}

void read_setting(std::optional<int64_t>& out, const Json& value, const SettingReader& reader) {
  out = reader.integer(value);
}
void read_setting(std::optional<double>& out, const Json& value, const SettingReader& reader) {
  out = reader.number(value);
}
void read_setting(std::optional<uint64_t>& out, const Json& value, const SettingReader& reader) {
  if (!value.is_number_integer()) reader.wrong(value, "an integer of 64 bits");
  out = value.get<uint64_t>();  // negative ones as two's complement
}
void read_setting(int64_t& out, const Json& value, const SettingReader& reader) {
  out = reader.integer(value);
}
void read_setting(double& out, const Json& value, const SettingReader& reader) { out = reader.number(value); }
void read_setting(bool& out, const Json& value, const SettingReader& reader) {
  if (!value.is_boolean()) reader.wrong(value, "true or false");
  out = value.get<bool>();
}
void read_setting(EarlyStopping& out, const Json& value, const SettingReader& reader) {
  if (value.is_boolean()) {
    out = value.get<bool>() ? EarlyStopping::kTrue : EarlyStopping::kFalse;
  } else if (value.is_string() && value.get_ref<const std::string&>() == "never") {
    out = EarlyStopping::kNever;
  } else {
    reader.wrong(value, "true, false or \"never\"");
  }
}
void read_setting(std::vector<int64_t>& out, const Json& value, const SettingReader& reader) {
  out = reader.tokens(value, true);
}

void read_setting(std::vector<std::string>& out, const Json& value, const SettingReader& reader) {
  const auto text = [&](const Json& element) {
    if (!element.is_string() || element.get_ref<const std::string&>().empty()) {
      reader.wrong(value, "a string that is not empty, or a list of such");
    }
    return element.get<std::string>();
  };
  out.clear();
  if (!value.is_array()) {
    out.push_back(text(value));
    return;
  }
  for (const Json& element : value) out.push_back(text(element));
}

void read_setting(std::vector<std::vector<int64_t>>& out, const Json& value, const SettingReader& reader) {
  if (!value.is_array()) reader.wrong(value, "a list of lists of token ids");
  out.clear();
  for (const Json& element : value) {
    out.push_back(reader.tokens(element, false));
    if (out.back().empty()) reader.wrong(value, "a list of lists of at least one token id");
  }
}

void read_setting(std::vector<std::pair<std::vector<int64_t>, double>>& out, const Json& value,
                  const SettingReader& reader) {
  constexpr std::string_view kWanted = "a list of pairs [[token id, …], bias]";
  if (!value.is_array()) reader.wrong(value, kWanted);
  out.clear();
  for (const Json& pair : value) {
    if (!pair.is_array() || pair.size() != 2) reader.wrong(pair, kWanted);
    std::vector<int64_t> ids = reader.tokens(pair[0], false);
    if (ids.empty()) reader.wrong(pair, kWanted);
    out.emplace_back(std::move(ids), bias_of(pair[1], reader));
  }
}

void read_setting(std::vector<std::pair<int64_t, double>>& out, const Json& value,
                  const SettingReader& reader) {
  out.clear();
  if (value.is_array()) {
    for (const Json& pair : value) {
      if (!pair.is_array() || pair.size() != 2) reader.wrong(pair, "a pair [token id, bias]");
      out.emplace_back(reader.token(pair[0]), bias_of(pair[1], reader));
    }
    return;
  }
  if (!value.is_object()) reader.wrong(value, "an object {\"token id\": bias} or a list of pairs");
  for (const auto& [key, bias] : value.items()) {
    int64_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > kMaxTokenId) {
      reader.wrong(Json(key), "a token id as key");
    }
    out.emplace_back(id, bias_of(bias, reader));
  }
}

Json write_setting(EarlyStopping value) {
  if (value == EarlyStopping::kNever) return "never";
  return value == EarlyStopping::kTrue;
}

}  // namespace vl3
