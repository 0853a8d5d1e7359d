#include "train/data/row_keys.h"

#include <algorithm>

#include "base/near_names.h"

namespace vl3 {

const Json* RowKeys::take(std::string_view key) {
  read_.emplace(key);
  const Json* value = view_.find(key);
  return value == nullptr || says_nothing(*value) ? nullptr : value;
}

void RowKeys::require_all_read(const std::vector<std::string_view>& metadata,
                               const std::vector<std::string_view>& known) const {
  for (const auto& [key, value] : view_.json().items()) {
    const bool fine = read_.contains(key) || says_nothing(value) ||
                      std::find(metadata.begin(), metadata.end(), key) != metadata.end();
    require(fine, ErrorCode::kFormat, "[{}] has the key \"{}\", which is not known: {}{}", origin(), key,
            shown(value), did_you_mean(key, known));
  }
}

}  // namespace vl3
