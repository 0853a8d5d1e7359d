#include "checkpoint/weight_files.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/file.h"
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
  nlohmann::json index;  // not ordered: weight maps are long, and ordered objects look keys up one by one
  try {
    index = nlohmann::json::parse(read_text(path, kMaxIndexBytes));
  } catch (const nlohmann::json::parse_error& error) {
    fail(ErrorCode::kFormat, "[{}] is not valid JSON: {}", origin, error.what());
  }
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

}  // namespace vl3
