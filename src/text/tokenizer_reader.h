#pragma once
// Reading tokenizer.json, and the parts of the file that are functions of their own.

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer_files.h"

namespace vl3 {

// Typed access, with errors that name file and field.
class TokenizerReader {
 public:
  explicit TokenizerReader(std::string origin) : origin_(std::move(origin)) {}
  const std::string& origin() const { return origin_; }

  [[noreturn]] void wrong(std::string_view field, simdjson::dom::element value,
                          std::string_view wanted) const {
    std::string text = simdjson::to_string(value);
    if (text.size() > 80) text = text.substr(0, 77) + "...";
    fail(ErrorCode::kFormat, "[{}] {} should be {}, not {}", origin_, field, wanted, text);
  }
  [[noreturn]] void unsupported(std::string_view field, simdjson::dom::element value,
                                std::string_view known) const {
    std::string text = simdjson::to_string(value);
    if (text.size() > 300) text = text.substr(0, 297) + "...";
    fail(ErrorCode::kUnsupported, "[{}] {} is {}; supported: {}", origin_, field, text, known);
  }
  // The value of key; nothing where it is absent or null.
  std::optional<simdjson::dom::element> find(simdjson::dom::object object, std::string_view key) const {
    simdjson::dom::element value;
    if (object.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
    return value;
  }
  simdjson::dom::object object(simdjson::dom::element value, std::string_view field) const {
    simdjson::dom::object result;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "an object");
    return result;
  }
  simdjson::dom::array array(simdjson::dom::element value, std::string_view field) const {
    simdjson::dom::array result;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "a list");
    return result;
  }
  std::string_view string(simdjson::dom::element value, std::string_view field) const {
    std::string_view result;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "a string");
    return result;
  }
  int64_t integer(simdjson::dom::element value, std::string_view field) const {
    int64_t result = 0;
    if (value.get(result) != simdjson::SUCCESS) wrong(field, value, "an integer");
    return result;
  }
  bool boolean(simdjson::dom::object object, std::string_view key, bool fallback,
               std::string_view field) const {
    const auto value = find(object, key);
    bool result = fallback;
    if (value && value->get(result) != simdjson::SUCCESS) {
      wrong(fmt::format("{}.{}", field, key), *value, "true or false");
    }
    return result;
  }
  std::string_view type(simdjson::dom::object object, std::string_view field) const {
    const auto value = find(object, "type");
    return value ? string(*value, fmt::format("{}.type", field)) : std::string_view();
  }

 private:
  std::string origin_;
};

// Normaliser, pre-tokenizers, post-processor and decoder: what spec.nfc and spec.steps say. Anything that
// would cut, add or change text in another way is refused by name.
void read_pipeline(const TokenizerReader& in, simdjson::dom::object root, TokenizerSpec& spec);

}  // namespace vl3
