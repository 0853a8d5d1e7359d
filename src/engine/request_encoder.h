#pragma once
// Stages 1 to 5 of a request in units that a scheduler can put between others' work: a thread of the
// request's own decodes its media, and what is there of them is encoded a group at a time.

#include <memory>
#include <optional>
#include <vector>

#include "engine/feature_cache.h"
#include "model/frame_encoder.h"
#include "vl3/model.h"
#include "vl3/visual_stream.h"

namespace vl3 {

// What the language model takes, and who is who in it.
struct EncodedRequest {
  ProcessorOutput inputs;  // ids, grids, masks and reports; no pixels
  ForwardInput forward;    // ids, image_features and video_features
  // For each row of image_features and of video_features a negative number that stands for what it shows:
  // equal numbers, equal rows. Without a cache there are none.
  bool named = false;
  std::vector<int64_t> image_rows, video_rows;
};

// Not for several threads at a time.
class RequestEncoder {
 public:
  // cache: may be null. probe: may be null; its progress is told "encode" in patches. All of them and the
  // model outlive this. What the cache holds is found here, before anything is decoded; files are read whole
  // for that, which another thread than the context's may do.
  RequestEncoder(const Context& context, const ForConditionalGeneration& model,
                 std::unique_ptr<VisualStream> stream, FeatureCache* cache, bool reuse_static_frames,
                 const Probe* probe = nullptr);

  // Whether encode_next() would not wait for a decoder.
  bool ready() { return stream_->ready(); }
  // Takes a group of frames (VisualStream::kGroupPatches, or one picture), waiting for it, and encodes what
  // has come together by then; false: there is no more, and finish() is next. Throws what decoding and
  // encoding throw.
  bool encode_next(Context& context);
  // Throws what VisualStream::finish throws.
  EncodedRequest finish(Context& context);
  // Spent so far in waiting for media and in making ids.
  double media_s() const noexcept { return media_s_; }

 private:
  struct Item {
    FeatureKey key;
    std::optional<FeatureCache::Item> found;  // in the cache
    size_t begin = 0, end = 0;                // its rows in its encoder
  };
  FrameEncoder& encoder_of(size_t item) { return stream_->items()[item].video ? clips_ : pictures_; }
  void collect(Context& context, const Tensor& pictures, const Tensor& clips);
  Tensor show(Context& context, const std::vector<size_t>& shown, std::vector<int64_t>& rows);

  std::unique_ptr<VisualStream> stream_;
  FeatureCache* cache_;
  const Probe* probe_;
  FrameEncoder pictures_, clips_;
  std::vector<Item> items_;
  int64_t patches_ = 0, patches_done_ = 0;  // to encode
  double media_s_ = 0;
};

}  // namespace vl3
