#pragma once
// Encoded pictures and clips in a folder, for later runs and for other processes: a safetensors file of each.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "vl3/context.h"
#include "vl3/tensor.h"
#include "vl3/visual_stream.h"

namespace vl3 {

// What the features of a picture or clip depend on beside the model.
struct FeatureKey {
  std::string content;  // VisualStream::content_key: equal keys, equal patches
  Compute compute = Compute::kAuto;
  std::string path;  // of the kernels
  bool reuse_static_frames = false;
  bool operator==(const FeatureKey&) const = default;
};
FeatureKey feature_key(const Context& context, std::string content, bool reuse_static_frames);

// What is kept of one: what a prompt says of it, and its rows.
struct VisualFeatures {
  VisualFacts facts;
  Tensor features;  // [K, H] f32
};

// A file is found by its content's SHA-256 with the model's and the arithmetic's names, and what it holds is
// compared with the CRC-32 that was written: a hit gives the features that encoding would give. Files appear
// whole or not at all, so processes may share a folder. A file's time of change is that of its last use.
class FeatureStore {
 public:
  // model: whatever tells the model from others; features of another one are not found. Makes the folder;
  // throws kIo where that fails.
  FeatureStore(std::filesystem::path folder, int64_t max_bytes, std::string model);

  // Without features where there is none. What is damaged or cannot be read is as good as not there, and
  // logged.
  VisualFeatures find(const Context& context, const FeatureKey& key) const;
  // Then removes what was used longest ago until max_bytes hold. A failure (a full disk) is logged: the
  // answer does not depend on it.
  void add(const Context& context, const FeatureKey& key, const VisualFeatures& visual) const;

 private:
  std::string identity(const FeatureKey& key) const;
  std::filesystem::path file_of(const std::string& identity) const;
  void trim() const;

  std::filesystem::path folder_;
  int64_t max_bytes_;
  std::string model_;
};

}  // namespace vl3
