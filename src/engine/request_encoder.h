#pragma once
// Stages 1 to 5 of a request in units that a scheduler can put between others' work: a thread of the
// request's own decodes its media, and what is there of them is encoded a group at a time.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/feature_cache.h"
#include "model/frame_encoder.h"
#include "vl3/model.h"
#include "vl3/visual_stream.h"

namespace vl3 {

// What the language model takes, and who is who in it.
struct EncodedRequest {
  ProcessorOutput inputs;  // ids, grids, masks and reports; no pixels; nothing where tensors came ready
  ForwardInput forward;    // ids, image_features and video_features
  // For each row of image_features and of video_features a negative number that stands for what it shows:
  // equal numbers, equal rows. Without a cache there are none.
  bool named = false;  // every visual row has such a number
  std::vector<int64_t> image_rows, video_rows;
};

// A request on its way to the language model: begin once, encode_next until it says false, then finish. Not
// for several threads at a time; what is called without a context may be called by another thread than the
// rest.
class Encoding {
 public:
  virtual ~Encoding() = default;

  // What can be told before anything is encoded.
  virtual void begin(Context& context) = 0;
  // Whether encode_next() would not wait for a decoder.
  virtual bool ready() = 0;
  // Takes a group of frames, or a picture, and encodes what has come together, frames with at_once patches at
  // a time; false: there is no more, and finish() is next. Waits for the group where it is not ready().
  virtual bool encode_next(Context& context, int64_t at_once) = 0;
  virtual EncodedRequest finish(Context& context) = 0;

  // Patches that have to be encoded, known after begin(), and how many were taken.
  int64_t patches() const noexcept { return patches_; }
  int64_t encoded() const noexcept { return encoded_; }
  // Spent so far in looking at media, in waiting for them and in making ids.
  double media_s() const noexcept { return media_s_; }
  // Spent so far in the vision encoder and the projector.
  double encode_s() const noexcept { return encode_s_; }

 protected:
  explicit Encoding(const Probe* probe) : probe_(probe) {}
  void tell_progress(int64_t patches);  // more of them were taken

  const Probe* probe_;
  int64_t patches_ = 0, encoded_ = 0;
  double media_s_ = 0, encode_s_ = 0;
};

class RequestEncoder final : public Encoding {
 public:
  // cache: may be null. probe: may be null; its progress is told "encode" in patches. All of them and the
  // model outlive this. Where there is a cache, media get their content keys here, for which files are read
  // whole; text alone becomes ids here, and what VisualStream::finish throws is thrown. salt: what is kept
  // of media is found with the same one only.
  RequestEncoder(const ForConditionalGeneration& model, std::unique_ptr<VisualStream> stream,
                 FeatureCache* cache, bool reuse_static_frames, const Probe* probe = nullptr,
                 const std::string& salt = {});

  // Finds what the cache holds: nothing of that is decoded.
  void begin(Context& context) override;
  // Begins decoding where that has not begun.
  bool ready() override;
  // Throws what decoding and encoding throw.
  bool encode_next(Context& context, int64_t at_once = FrameEncoder::kPatchesAtOnce) override;
  // Throws what VisualStream::finish throws.
  EncodedRequest finish(Context& context) override;

 private:
  struct Item {
    std::string content;  // its key, empty without a cache
    FeatureKey key;
    std::optional<FeatureCache::Item> found;  // in the cache
    size_t begin = 0, end = 0;                // its rows in its encoder
  };
  FrameEncoder& encoder_of(size_t item) { return stream_->items()[item].video ? clips_ : pictures_; }
  bool encode_waiting(Context& context);
  void encode_group(Context& context, const VisualGroup& group, int64_t at_once);
  void collect(Context& context, const Tensor& pictures, const Tensor& clips);
  Tensor show(Context& context, const std::vector<size_t>& shown, std::vector<int64_t>& rows);

  std::unique_ptr<VisualStream> stream_;
  FeatureCache* cache_;
  const bool reuse_static_;
  FrameEncoder pictures_, clips_;
  std::vector<Item> items_;
  std::optional<VisualStream::Prompts> prompts_;  // of text alone
  std::optional<double> waits_since_;             // for a group that was not there
};

}  // namespace vl3
