#include "base/model_folder.h"

namespace vl3 {

std::filesystem::path model_folder(const std::filesystem::path& given) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(given, ignored)) return given;
  const std::filesystem::path folder = given.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

}  // namespace vl3
