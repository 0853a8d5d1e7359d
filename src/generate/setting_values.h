#pragma once
// Reading one setting's value out of JSON and writing it back, by its type. Used by the table of settings
// only.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vl3/error.h"
#include "vl3/generation.h"
#include "vl3/json.h"

namespace vl3 {

// What a number may be. An open end is excluded.
struct SettingRange {
  double low = 0;
  double high = 0;
  bool low_open = false;
  bool high_open = false;

  bool holds(double value) const;
  std::string text() const;  // "[0, 1)", "> 0", ">= 1", or empty when anything goes
};

// Who reads, for errors: "[settings] top_p should be …, not …".
struct SettingReader {
  std::string_view origin;
  std::string_view name;
  ErrorCode code = ErrorCode::kInvalidArgument;
  SettingRange range;

  [[noreturn]] void wrong(const Json& value, std::string_view wanted) const;
  int64_t integer(const Json& value) const;
  double number(const Json& value) const;
  int64_t token(const Json& value) const;
  std::vector<int64_t> tokens(const Json& value, bool or_single) const;
};

// Each reads value into out or says what is wrong with it.
void read_setting(std::optional<int64_t>& out, const Json& value, const SettingReader& reader);
void read_setting(std::optional<double>& out, const Json& value, const SettingReader& reader);
void read_setting(std::optional<uint64_t>& out, const Json& value, const SettingReader& reader);
void read_setting(int64_t& out, const Json& value, const SettingReader& reader);
void read_setting(double& out, const Json& value, const SettingReader& reader);
void read_setting(bool& out, const Json& value, const SettingReader& reader);
void read_setting(EarlyStopping& out, const Json& value, const SettingReader& reader);
void read_setting(std::vector<int64_t>& out, const Json& value, const SettingReader& reader);
void read_setting(std::vector<std::string>& out, const Json& value, const SettingReader& reader);
void read_setting(std::vector<std::vector<int64_t>>& out, const Json& value, const SettingReader& reader);
void read_setting(std::vector<std::pair<std::vector<int64_t>, double>>& out, const Json& value,
                  const SettingReader& reader);
void read_setting(std::vector<std::pair<int64_t, double>>& out, const Json& value,
                  const SettingReader& reader);

// null for what is not set.
template <class T>
Json write_setting(const T& value) {
  return value;
}
template <class T>
Json write_setting(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}
template <class T>
Json write_setting(const std::vector<T>& value) {
  return value.empty() ? Json(nullptr) : Json(value);
}
Json write_setting(EarlyStopping value);

}  // namespace vl3
