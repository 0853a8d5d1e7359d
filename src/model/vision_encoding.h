#pragma once
// Stage 4 in steps.

#include <vector>

#include "model/frame_plan.h"
#include "model/vision_encoder.h"

namespace vl3 {

// encode_vision for who has other work between steps: the same frames share a step, so that the rows are the
// same to the bit.
class VisionEncoding {
 public:
  // weights and config must outlive this. Throws as encode_vision.
  VisionEncoding(const VisionWeights& weights, const VisionConfig& config, Tensor pixel_values,
                 std::span<const Grid> grids, const FrameOptions& options);

  int64_t patches() const noexcept { return patches_; }  // that have to be encoded: of distinct frames
  int64_t encoded() const noexcept { return encoded_; }  // patches so far
  bool done() const noexcept { return next_ == plan_.frames.size(); }
  // As many frames as have at_once patches together, one at least.
  void step(Context& context, int64_t at_once = kPatchesAtOnce);
  // [K, D], when done.
  Tensor result(Context& context) const;

  // Enough rows for the products to run at full speed, few enough for the activations of a layer to stay in
  // the last-level cache.
  static constexpr int64_t kPatchesAtOnce = 1024;

 private:
  const VisionWeights& weights_;
  const VisionConfig& config_;
  Tensor pixel_values_;
  FramePlan plan_;
  size_t next_ = 0;
  int64_t patches_ = 0, encoded_ = 0;
  std::vector<Tensor> parts_;
};

}  // namespace vl3
