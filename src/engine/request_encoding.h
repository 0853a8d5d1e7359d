#pragma once
// Stages 4 and 5 of a request in units that a scheduler can put between others' work.

#include <optional>
#include <vector>

#include "engine/feature_cache.h"
#include "model/vision_encoding.h"
#include "vl3/model.h"

namespace vl3 {

// What the language model takes, and who is who in it.
struct EncodedRequest {
  ForwardInput forward;  // image_features and video_features in place of pixels
  // For each row of image_features and of video_features a negative number that stands for what it shows:
  // equal numbers, equal rows.
  std::vector<int64_t> image_rows, video_rows;
  bool named = false;  // every visual row has such a number
};

// Pictures first, then clips. What a cache holds is not encoded.
class RequestEncoding {
 public:
  // model outlives this. cache and probe may be null, and outlive it too; probe's progress is told "encode".
  // Throws kInvalidArgument where pixels, grids and masks do not fit together.
  RequestEncoding(Context& context, const ForConditionalGeneration& model, ForwardInput input,
                  FeatureCache* cache, const Probe* probe);

  // Frames with so many patches at most, one at least. False: there are no more, and finish() is next.
  bool encode_next(Context& context, int64_t patches);
  // Patches that have to be encoded, of what was looked at by now, and how many were.
  int64_t patches() const noexcept { return patches_; }
  int64_t encoded() const noexcept { return encoded_; }
  EncodedRequest finish();

 private:
  // All pictures, or all clips.
  struct Part {
    VisualInput input;
    bool clips = false;
    std::optional<FeatureCache::Lookup> lookup;
    std::unique_ptr<VisionEncoding> encoding;
  };
  void open(Context& context, Part& part);
  void close(Context& context, Part& part);

  const ForConditionalGeneration& model_;
  FeatureCache* cache_;
  const Probe* probe_;
  EncodedRequest result_;
  std::vector<Part> parts_;
  size_t current_ = 0;
  int64_t patches_ = 0, encoded_ = 0;
};

}  // namespace vl3
