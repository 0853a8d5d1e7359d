#pragma once
// The fields of a request, each checked for type and range as it is read. Every complaint is an ApiError 400
// whose param is the field. null is as left out; fields that nobody reads are let through.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "serve/api_error.h"

namespace vl3::serve {

// Throws ApiError 400, "invalid_value" unless code says otherwise.
[[noreturn]] void refuse(const std::string& param, const std::string& message,
                         const std::string& code = "invalid_value");

// Holds a reference: the object must outlive it.
class FieldReader {
 public:
  // param: of the object itself, empty for the body. Refuses what is no object.
  explicit FieldReader(const Json& object, std::string param = "");

  const Json& json() const noexcept { return object_; }
  const std::string& param() const noexcept { return param_; }
  std::string param_of(std::string_view key) const;  // "param.key"
  const Json* find(std::string_view key) const;      // null where absent or null
  bool has(std::string_view key) const { return find(key) != nullptr; }

  std::optional<int64_t> integer(std::string_view key, int64_t low, int64_t high) const;
  // low and high count as well, unless low_open says that low does not.
  std::optional<double> number(std::string_view key, double low, double high, bool low_open = false) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::optional<FieldReader> object(std::string_view key) const;
  // A list of numbers of tokens below vocab_size.
  std::vector<int64_t> ids(std::string_view key, int64_t vocab_size, size_t most) const;
  // A text or a list of texts, none of them empty.
  std::vector<std::string> texts(std::string_view key, size_t most, size_t most_bytes) const;

  [[noreturn]] void wrong(std::string_view key, const std::string& wanted) const;

 private:
  const Json& object_;
  std::string param_;
};

}  // namespace vl3::serve
