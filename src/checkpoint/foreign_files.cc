#include "checkpoint/foreign_files.h"

#include <algorithm>
#include <cstring>
#include <fstream>

namespace vl3 {
namespace {

namespace fs = std::filesystem;

bool begins_with(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// PyTorch's archives are zip files; older ones are a bare pickle of protocol 2 or later.
bool is_pickle(std::span<const std::byte> bytes) {
  if (begins_with(bytes, "PK\x03\x04")) return true;
  return bytes.size() >= 3 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} &&
         bytes[1] <= std::byte{5} && bytes[2] != std::byte{0};
}

bool has_pickle_name(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".bin") return path.filename().string().starts_with("pytorch_model");
  return extension == ".pt" || extension == ".pth" || extension == ".ckpt" || extension == ".pkl";
}

}  // namespace

std::string foreign_format(std::span<const std::byte> bytes) {
  if (is_pickle(bytes)) return std::string("a pickle file: ") + kConvertHint;
  if (begins_with(bytes, "GGUF"))
    return "a GGUF file, which the engine does not read: use the original checkpoint";
  if (begins_with(bytes, "version https://git-lfs"))
    return "a Git LFS pointer: fetch the file itself (git lfs pull)";
  return {};
}

std::vector<std::string> pickle_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error) || entry.path().extension() == ".safetensors") continue;
    std::byte first[4]{};
    std::ifstream file(entry.path(), std::ios::binary);
    file.read(reinterpret_cast<char*>(first), sizeof(first));
    const std::span<const std::byte> bytes(first, static_cast<size_t>(file.gcount()));
    const bool binary = entry.path().extension() == ".bin";
    if (has_pickle_name(entry.path()) || (binary && is_pickle(bytes))) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace vl3
