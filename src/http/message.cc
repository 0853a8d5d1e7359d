#include "http/message.h"

#include <algorithm>

namespace vl3::http {

const std::string* Fields::find(std::string_view name) const noexcept {
  const auto at =
      std::find_if(fields_.begin(), fields_.end(), [&](const auto& field) { return field.first == name; });
  return at == fields_.end() ? nullptr : &at->second;
}

size_t Fields::count(std::string_view name) const noexcept {
  return static_cast<size_t>(
      std::count_if(fields_.begin(), fields_.end(), [&](const auto& field) { return field.first == name; }));
}

void Fields::add(std::string name, std::string value) {
  fields_.emplace_back(std::move(name), std::move(value));
}

}  // namespace vl3::http
