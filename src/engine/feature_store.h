#pragma once
// Encoded pictures and clips in a folder, for later runs and for other processes: a safetensors file of each.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

// What the features of a picture or clip depend on beside the model.
struct FeatureKey {
  size_t hash = 0;  // of the pixels
  Tensor pixels;    // [P, C·p·p] f32
  Tensor keep;      // [V], the rows that are kept; undefined: all
  int64_t t = 0, h = 0, w = 0, merge = 0;
  Compute compute = Compute::kAuto;
  std::string path;  // of the kernels
  bool reuse_static_frames = false;

  bool equals(const FeatureKey& other) const;  // bit for bit
};

// A file holds the pixels beside the features, and both are compared bit for bit with what is asked for and
// with the CRC-32 that was written: a hit gives the features that encoding would give. Files appear whole or
// not at all, so processes may share a folder. A file's time of change is that of its last use.
class FeatureStore {
 public:
  // model: whatever tells the model from others; features of another one are not found. Makes the folder;
  // throws kIo where that fails.
  FeatureStore(std::filesystem::path folder, int64_t max_bytes, std::string model);

  // [K, H] f32, or undefined. What is damaged or cannot be read is as good as not there, and logged.
  Tensor find(const Context& context, const FeatureKey& input) const;
  // Then removes what was used longest ago until max_bytes hold. A failure (a full disk) is logged: the
  // answer does not depend on it.
  void add(const Context& context, const FeatureKey& input, const Tensor& features) const;

 private:
  std::string identity(const FeatureKey& input) const;
  std::filesystem::path file_of(const FeatureKey& input, const std::string& identity) const;
  void trim() const;

  std::filesystem::path folder_;
  int64_t max_bytes_;
  std::string model_;
};

}  // namespace vl3
