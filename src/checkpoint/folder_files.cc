#include "checkpoint/folder_files.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text_file.h"
#include "checkpoint/model_path.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMaxIndexBytes = 64 << 20;

// A shard lies beside its index: anything else could make the program read files it was not given.
void check_shard_name(const std::string& tensor, const std::string& file, const std::string& origin) {
  const bool plain = !file.empty() && file.find_first_of(std::string("/\\\0", 3)) == std::string::npos &&
                     file != "." && file != "..";
  require(plain, ErrorCode::kFormat,
          "[{}] \"weight_map\": \"{}\" is in \"{}\", which is no plain name of a file beside it", origin,
          tensor, file);
  require(file.ends_with(".safetensors"), ErrorCode::kUnsupported,
          "[{}] \"weight_map\": \"{}\" is in \"{}\", which is not a .safetensors file", origin, tensor, file);
}

WeightFiles read_index(const fs::path& path) {
  const std::string origin = path.string();
  WeightFiles result{path, {}, {}};
  const nlohmann::json index = parse_json_table(read_text(path, kMaxIndexBytes), origin);
  require(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object() &&
              !index["weight_map"].empty(),
          ErrorCode::kFormat,
          "[{}] should be an object with \"weight_map\", a table of tensors and their files", origin);
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    require(file.is_string(), ErrorCode::kFormat,
            "[{}] \"weight_map\": the file of \"{}\" should be a string", origin, tensor);
    check_shard_name(tensor, file.get<std::string>(), origin);
    names.insert(file.get<std::string>());
    result.entries.emplace_back(tensor, file.get<std::string>());
  }
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    result.files.push_back(path.parent_path() / name);
    std::error_code ignored;
    if (!fs::exists(result.files.back(), ignored)) missing.push_back(name);
  }
  require(missing.empty(), ErrorCode::kNotFound, "[{}] names {} of {} files that are not beside it: {}",
          origin, missing.size(), names.size(), fmt::join(missing, ", "));
  return result;
}

}  // namespace

WeightFiles find_weight_files(const fs::path& folder) {
  std::error_code ignored;
  const fs::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (fs::exists(single, ignored)) return {{}, {single}, {}};
  if (fs::exists(index, ignored)) return read_index(resolve_link_stub(index));
  const std::string others = what_lies_there(folder);
  fail(others.empty() ? ErrorCode::kNotFound : ErrorCode::kUnsupported,
       "[{}] has neither model.safetensors nor model.safetensors.index.json{}", folder.string(), others);
}

namespace {

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
  if (begins_with(bytes, "<!") || begins_with(bytes, "<html"))
    return "an HTML page: a download that went wrong; fetch the file itself";
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

void copy_other_files(const fs::path& source, const fs::path& target) {
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    const fs::path name = entry.path().filename();
    const std::string extension = name.extension().string();
    const bool weights = extension == ".safetensors" || extension == ".bin" || extension == ".pt" ||
                         extension == ".pth" || name.string().ends_with(".index.json");
    // How another program packed the weights, beside config.json: what is made of them is not.
    const bool of_packing = name == "quantize_config.json" || name == "quant_config.json";
    const bool of_training = extension == ".jsonl" || name == "training.json";
    if (!entry.is_regular_file() || weights || of_training || of_packing || name == "config.json") continue;
    std::error_code error;
    fs::copy_file(resolve_link_stub(entry.path()), target / name, error);
    require(!error, ErrorCode::kIo, "[{}] cannot be copied: {}", entry.path().string(), error.message());
  }
}

}  // namespace vl3
