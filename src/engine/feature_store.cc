#include "engine/feature_store.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "vl3/safetensors.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".safetensors";
constexpr auto kAbandoned = std::chrono::hours(1);  // a temporary file of a process that was killed

std::string_view bytes_of(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {reinterpret_cast<const char*>(tensor.raw()), tensor.bytes()};
}

std::string checksum(const Tensor& tensor) {
  const std::string_view bytes = bytes_of(tensor);
  return fmt::format("{:08x}", libdeflate_crc32(0, bytes.data(), bytes.size()));
}

std::string value_of(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace

bool FeatureKey::equals(const FeatureKey& other) const {
  return hash == other.hash && t == other.t && h == other.h && w == other.w && merge == other.merge &&
         compute == other.compute && path == other.path && reuse_static_frames == other.reuse_static_frames &&
         keep.defined() == other.keep.defined() && bytes_of(keep) == bytes_of(other.keep) &&
         bytes_of(pixels) == bytes_of(other.pixels);
}

FeatureStore::FeatureStore(fs::path folder, int64_t max_bytes, std::string model)
    : folder_(std::move(folder)), max_bytes_(max_bytes), model_(std::move(model)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error && fs::is_directory(folder_), ErrorCode::kIo, "[disk cache] {} cannot be made: {}",
          folder_.string(), error ? error.message() : "there is a file of that name");
}

std::string FeatureStore::identity(const FeatureKey& input) const {
  return Json({{"version", 1},
               {"model", model_},
               {"grid", {input.t, input.h, input.w}},
               {"merge", input.merge},
               {"all_rows", !input.keep.defined()},
               {"compute", input.compute == Compute::kAuto ? "auto" : "f32"},
               {"path", input.path},
               {"reuse_static_frames", input.reuse_static_frames}})
      .dump();
}

fs::path FeatureStore::file_of(const FeatureKey& input, const std::string& identity) const {
  const size_t hash = std::hash<std::string>{}(fmt::format("{} {}", input.hash, identity));
  return folder_ / fmt::format("{:016x}{}", hash, kEnding);
}

Tensor FeatureStore::find(const Context& context, const FeatureKey& input) const {
  const std::string wanted = identity(input);
  const fs::path path = file_of(input, wanted);
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  try {
    const SafetensorsFile file = SafetensorsFile::open(path);
    if (value_of(file.metadata(), "identity") != wanted ||
        bytes_of(file.get("pixels")) != bytes_of(input.pixels) ||
        (input.keep.defined() && bytes_of(file.get("keep")) != bytes_of(input.keep)))
      return {};
    const Tensor features = file.get("features");
    require(features.dtype() == DType::kF32 && features.rank() == 2 &&
                value_of(file.metadata(), "crc32") == checksum(features),
            ErrorCode::kFormat, "[{}] is damaged", path.string());
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);
    return features.clone();
  } catch (const Error& problem) {
    context.log(LogLevel::kWarning, std::string("disk cache: ") + problem.what());
    return {};
  }
}

void FeatureStore::add(const Context& context, const FeatureKey& input, const Tensor& features) const {
  const int64_t bytes = static_cast<int64_t>(input.pixels.bytes() + features.bytes());
  if (bytes > max_bytes_) return;
  const std::string what = identity(input);
  std::vector<std::pair<std::string, Tensor>> tensors = {{"pixels", input.pixels}, {"features", features}};
  if (input.keep.defined()) tensors.emplace_back("keep", input.keep);
  try {
    write_safetensors(file_of(input, what), tensors, {{"identity", what}, {"crc32", checksum(features)}});
    trim();
  } catch (const std::exception& problem) {
    context.log(LogLevel::kWarning, std::string("disk cache: ") + problem.what());
  }
}

void FeatureStore::trim() const {
  struct File {
    fs::file_time_type used;
    fs::path path;
    int64_t bytes;
  };
  std::vector<File> files;
  int64_t total = 0;
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
    files.push_back({used, entry.path(), bytes});
    total += bytes;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  for (size_t i = 0; i < files.size() && total > max_bytes_; ++i) {
    fs::remove(files[i].path, gone);
    total -= files[i].bytes;
  }
}

}  // namespace vl3
