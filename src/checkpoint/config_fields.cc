#include "checkpoint/config_fields.h"

#include <algorithm>
#include <cmath>

namespace vl3 {

double number_between(const JsonView& view, std::string_view key, double fallback, double low, double high) {
  const double value = view.number(key, fallback);
  require(std::isfinite(value) && value >= low && value <= high, ErrorCode::kFormat,
          "[{}] \"{}\" should be a number from {} to {}, not {}", view.origin(), key, low, high, value);
  return value;
}

std::string one_of(const JsonView& view, std::string_view key, std::string_view fallback,
                   std::initializer_list<std::string_view> allowed) {
  std::string value = view.string(key, std::string(fallback));
  require(std::find(allowed.begin(), allowed.end(), value) != allowed.end(), ErrorCode::kUnsupported,
          "[{}] \"{}\" is {}, which the engine does not support; it supports {}", view.origin(), key,
          shown(Json(value)), fmt::join(allowed, ", "));
  return value;
}

std::optional<int64_t> token_id(const JsonView& view, std::string_view key, int64_t vocab_size) {
  if (!view.has(key)) return std::nullopt;
  const int64_t id = view.integer(key, 0, INT32_MIN, vocab_size - 1);
  return id < 0 ? std::nullopt : std::optional(id);
}

void refuse_unless(const JsonView& view, std::string_view key, bool assumed, std::string_view why) {
  require(view.boolean(key, assumed) == assumed, ErrorCode::kUnsupported, "[{}] \"{}\" is {}: {}",
          view.origin(), key, !assumed, why);
}

}  // namespace vl3
