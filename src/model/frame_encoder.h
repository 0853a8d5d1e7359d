#pragma once
// Stages 4 and 5 for frames that come one after the other and are not kept: pixels in, projected rows out
// when the last frame is there. The rows are those of Model::get_image_features for all frames at once:
// frames go through the network in the same groups, frames equal to an earlier one once, by the SHA-256 of
// their pixels.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/rotary.h"
#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

// Not for several threads at a time. The model outlives it.
class FrameEncoder {
 public:
  // As many patches as encode_vision takes together, which says why: the same groups give the same bits.
  static constexpr int64_t kPatchesAtOnce = 1024;

  // reuse_static_frames: as in ForwardInput.
  FrameEncoder(const ForConditionalGeneration& model, bool reuse_static_frames)
      : model_(model), reuse_static_(reuse_static_frames) {}

  // Frames that come from here on are encoded with so many patches together: fewer, down to one frame, take
  // less time at once and more in all. Not above kPatchesAtOnce.
  void set_patches_at_once(int64_t patches) {
    patches_at_once_ = std::clamp<int64_t>(patches, 1, kPatchesAtOnce);
  }

  // grid.t frames of a picture or clip, behind those that came before. pixels [grid.patches(), C·p·p] f32;
  // keep [grid.tokens()], 1 for the tokens that are read. begins: the clip's first ones. Encodes what has
  // come together; frames wait until there are enough of them. Throws what encoding throws.
  void add(Context& context, const Tensor& pixels, const Grid& grid, std::span<const uint8_t> keep,
           bool begins);
  // Rows that will be there in the end, of the frames so far.
  size_t rows() const noexcept { return read_.size(); }
  // Forgets the rows behind the first `rows`: a clip begins anew.
  void drop_after(size_t rows) { read_.resize(rows); }

  bool waiting() const noexcept { return !waiting_.empty(); }
  void encode_waiting(Context& context);

  // What waits is encoded, and all is projected: [rows(), H].
  Tensor finish(Context& context);

 private:
  struct Frame {
    Grid grid;                     // {1, h, w, merge}
    std::vector<int64_t> encoded;  // of every token its row in parts_, -1 where it is not there
  };
  struct Waiting {
    size_t frame;
    Tensor pixels;
    std::vector<int64_t> tokens;  // that are read
  };
  struct Row {
    size_t frame;
    int64_t token;
  };
  size_t find_or_add(const Tensor& pixels, const Grid& grid);
  void want(Context& context, size_t frame, const Tensor& pixels, std::span<const int64_t> tokens);

  const ForConditionalGeneration& model_;
  const bool reuse_static_;
  int64_t patches_at_once_ = kPatchesAtOnce;
  std::vector<Frame> frames_;              // the different ones
  std::map<std::string, size_t> by_hash_;  // of pixels and grid
  std::vector<Waiting> waiting_;
  int64_t waiting_patches_ = 0;
  bool has_before_ = false;
  size_t before_ = 0;          // the frame that the last one with kept tokens read
  Tensor before_pixels_;       // its pixels, where static frames may read it
  std::vector<Row> read_;      // what every row of the result shows
  std::vector<Tensor> parts_;  // encoded tokens [·, D], group after group
  int64_t encoded_rows_ = 0;
};

}  // namespace vl3
