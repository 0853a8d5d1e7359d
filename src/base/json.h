#pragma once
// Reading JSON that people and other programs wrote: depth is limited, and every complaint names file, field
// and value.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "vl3/json.h"

namespace vl3 {

inline constexpr int kMaxJsonDepth = 64;

// Parses text, with a byte order mark or without. origin (a file name, "request", …) begins every error:
// kFormat for bad syntax, with the place where it broke, and for text that is not UTF-8.
Json parse_json(std::string_view text, std::string_view origin);

// The same with keys in an order of their own: tables of very many, which ordered objects look up one by one.
nlohmann::json parse_json_table(std::string_view text, std::string_view origin);

// What a parser stopped at, for those that read events: "is not valid JSON at line 3, column 7 (byte 41 of
// 90): unexpected '}'; expected string literal". byte: how many it had read of text.
std::string json_fault(std::string_view text, size_t byte, const nlohmann::detail::exception& error);

// A value as the error messages show it: its JSON text, cut after 80 characters.
std::string shown(const Json& value);

// An object and where it came from, for typed access. Holds a reference: the object must outlive it.
class JsonView {
 public:
  JsonView(const Json& object, std::string origin);  // throws kFormat unless object is an object

  const std::string& origin() const { return origin_; }
  const Json& json() const { return object_; }
  bool has(std::string_view key) const;          // present and not null
  const Json* find(std::string_view key) const;  // null where absent or null
  JsonView child(
      std::string_view key) const;  // of an object; throws kFormat where it is absent or something else

  // The value of key, checked for type and range; fallback where it is absent or null. Throws kFormat.
  int64_t integer(std::string_view key, int64_t fallback, int64_t low, int64_t high) const;
  double number(std::string_view key, double fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string string(std::string_view key, std::string fallback) const;

 private:
  [[noreturn]] void wrong(std::string_view key, const Json& value, std::string_view wanted) const;
  const Json& object_;
  std::string origin_;
};

}  // namespace vl3
