#pragma once
// Stages 1 to 5 of a request in units that a scheduler can put between others' work: a thread of the
// request's own decodes its media, and what is there of them is encoded a group at a time.

#include <memory>
#include <vector>

#include "engine/feature_cache.h"
#include "model/frame_encoder.h"
#include "vl3/model.h"
#include "vl3/visual_stream.h"

namespace vl3 {

// What the language model takes, and who is who in it.
struct EncodedRequest {
  ProcessorOutput inputs;  // ids, grids, masks and reports; no pixels
  ForwardInput forward;    // ragged ids, image_features and video_features
  // For each row of image_features and of video_features a negative number that stands for what it shows:
  // equal numbers, equal rows. Empty where there is no cache that gave them.
  std::vector<int64_t> image_rows, video_rows;
};

class RequestEncoder {
 public:
  // cache: may be null. probe: may be null; its progress is told "encode" in patches. Both outlive this, and
  // so do processor and model. What the cache holds is found here, before anything is decoded: files are read
  // for that.
  RequestEncoder(Context& context, const Model& model, std::unique_ptr<VisualStream> stream,
                 FeatureCache* cache, bool reuse_static_frames, const Probe* probe = nullptr);

  // Whether encode_next() would not wait for a decoder.
  bool ready() const { return stream_->ready(); }
  // Encodes a group of frames (VisualStream::kGroupPatches, or one picture), waiting for it; false: there are
  // no more, and finish() is next. Throws what decoding and encoding throw.
  bool encode_next(Context& context);
  EncodedRequest finish(Context& context);
};

}  // namespace vl3
