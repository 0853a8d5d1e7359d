#include "engine/feature_store.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "base/kept_files.h"
#include "base/sha256.h"
#include "engine/visual_facts_json.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "vl3/safetensors.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".safetensors";
constexpr auto kAbandoned = std::chrono::hours(1);  // a temporary file of a process that was killed

// Of the rows and of what a prompt says of them.
std::string checksum(const Tensor& features, const std::string& facts) {
  const uint32_t rows = libdeflate_crc32(0, features.raw(), features.bytes());
  return fmt::format("{:08x}", libdeflate_crc32(rows, facts.data(), facts.size()));
}

std::string value_of(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace

FeatureKey feature_key(const Context& context, std::string content, bool reuse_static_frames) {
  return {std::move(content), context.compute(), kernels_of(context).name, reuse_static_frames};
}

FeatureStore::FeatureStore(fs::path folder, int64_t max_bytes, std::string model)
    : folder_(std::move(folder)), max_bytes_(max_bytes), model_(std::move(model)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error && fs::is_directory(folder_), ErrorCode::kIo, "[disk cache] {} cannot be made: {}",
          folder_.string(), error ? error.message() : "there is a file of that name");
}

std::string FeatureStore::identity(const FeatureKey& key) const {
  return Json({{"version", 2},
               {"model", model_},
               {"content", key.content},
               {"compute", key.compute == Compute::kAuto ? "auto" : "f32"},
               {"path", key.path},
               {"reuse_static_frames", key.reuse_static_frames}})
      .dump();
}

fs::path FeatureStore::file_of(const std::string& identity) const {
  constexpr size_t kDigits = 32;
  Sha256 hash;
  hash.add_text(identity);
  return folder_ / (hash.hex().substr(0, kDigits) + kEnding);
}

VisualFeatures FeatureStore::find(const Context& context, const FeatureKey& key) const {
  const std::string wanted = identity(key);
  const fs::path path = file_of(wanted);
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  try {
    const SafetensorsFile file = SafetensorsFile::open(path);
    if (value_of(file.metadata(), "identity") != wanted) return {};
    const std::string facts = value_of(file.metadata(), "facts");
    const Tensor features = file.get("features");
    require(features.dtype() == DType::kF32 && features.rank() == 2 &&
                value_of(file.metadata(), "crc32") == checksum(features, facts),
            ErrorCode::kFormat, "[{}] is damaged", path.string());
    VisualFeatures found{facts_from_json(parse_json(facts, path.string()), path.string()), features.clone()};
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);
    return found;
  } catch (const Error& problem) {
    context.log(LogLevel::kWarning, std::string("disk cache: ") + problem.what());
    return {};
  }
}

void FeatureStore::add(const Context& context, const FeatureKey& key, const VisualFeatures& visual) const {
  if (static_cast<int64_t>(visual.features.bytes()) > max_bytes_) return;
  try {
    // Names of files need not be UTF-8; they are only shown.
    const std::string what = identity(key),
                      facts =
                          facts_to_json(visual.facts).dump(-1, ' ', false, Json::error_handler_t::replace);
    const std::vector<std::pair<std::string, Tensor>> tensors = {{"features", visual.features}};
    write_safetensors(file_of(what), tensors,
                      {{"identity", what}, {"facts", facts}, {"crc32", checksum(visual.features, facts)}});
    trim();
  } catch (const std::exception& problem) {
    context.log(LogLevel::kWarning, std::string("disk cache: ") + problem.what());
  }
}

void FeatureStore::trim() const {
  std::vector<KeptFiles> kept;
  std::error_code gone;  // other processes trim as well
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    const size_t ending = name.find(kEnding);
    if (ending == std::string::npos) continue;
    const auto used = entry.last_write_time(gone);
    const bool temporary = ending + std::string_view(kEnding).size() < name.size();
    if (temporary) {
      if (fs::file_time_type::clock::now() - used > kAbandoned) fs::remove(entry.path(), gone);
      continue;
    }
    const auto bytes = static_cast<int64_t>(entry.file_size(gone));
    if (bytes < 0) continue;
    kept.push_back({used, static_cast<uint64_t>(bytes), {entry.path()}});
  }
  remove_longest_unused(std::move(kept), static_cast<uint64_t>(max_bytes_));
}

}  // namespace vl3
