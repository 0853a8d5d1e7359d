#include "checkpoint/fingerprint.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

// FNV-1a of 64 bits.
std::string hash_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

}  // namespace

Json fingerprint(const fs::path& folder) {
  constexpr uint64_t kMaxTextBytes = uint64_t{256} << 20;
  const std::set<std::string> texts = {".json", ".jinja", ".txt", ".model"};
  Json files = Json::object();
  require(fs::is_directory(folder), ErrorCode::kNotFound, "[{}] is not a folder", folder.string());
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string(), extension = entry.path().extension().string();
    if (!entry.is_regular_file()) continue;
    if (texts.contains(extension)) files[name] = hash_of(read_file(entry.path(), kMaxTextBytes));
    if (extension == ".safetensors")
      files[name] = {{"bytes", entry.file_size()},
                     {"changed", entry.last_write_time().time_since_epoch().count()}};
  }
  return {{"path", fs::canonical(folder).string()}, {"files", files}};
}

}  // namespace vl3
