#pragma once
// Outlier channels that leave a model's function as it is: what weights of random or small models lack, and
// what rounding weights, activations and caches has to stand up to.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

struct OutlierOptions {
  double factor = 16;   // c, above 0; a power of two changes no bit of what f32 computes
  double share = 0.01;  // of the channels, at least one of each place
  // Which channels become c times as large, and what reads them is divided by c:
  //   norms   a norm's weight (and bias); the columns of q, k, v, gate, up, fc1, projector or head behind it
  //   keys    rows of k, both of a rotary pair; the same rows of the queries that meet them
  //   values  rows of v; columns of o
  //   gates   rows of up; columns of down (language model)
  // Of the norms those alone that nothing else reads: not the last one of a language model whose head is its
  // embedding.
  std::set<std::string> places = {"norms", "keys"};
  std::set<std::string> parts = {"vision", "text"};  // the projector's columns belong to vision
  uint64_t seed = 0;
  std::optional<DType> dtype;  // of all weights; none: as they are
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress;
};

struct OutlierReport {
  int64_t tensors = 0, changed = 0;
};

// Writes the folder out, as quantize_checkpoint does, with the scaled weights. Throws what Checkpoint::open
// throws; kInvalidArgument where out is there already, for options out of range, and for weights that dtype
// cannot hold; kUnsupported for quantised sources; kCancelled, kIo.
OutlierReport add_outliers(Context& context, const std::filesystem::path& source,
                           const std::filesystem::path& out, const OutlierOptions& options);

}  // namespace vl3
