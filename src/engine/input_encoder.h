#pragma once
// Stages 4 and 5 of tensors that somebody else has processed, in the same units.

#include <optional>
#include <vector>

#include "engine/request_encoder.h"

namespace vl3 {

// Pictures first, then clips. No cache is asked: pixels have no content key.
class InputEncoder final : public Encoding {
 public:
  // model and probe (which may be null) outlive this. patches_at_once: frames with so many at most, one at
  // least, are a group.
  InputEncoder(const ForConditionalGeneration& model, ForwardInput input, const Probe* probe,
               int64_t patches_at_once = FrameEncoder::kPatchesAtOnce)
      : Encoding(probe), model_(model), input_(std::move(input)), patches_at_once_(patches_at_once) {}

  // Throws kInvalidArgument where pixels, grids and masks do not fit together.
  void begin(Context& context) override;
  bool ready() override { return true; }
  bool encode_next(Context& context) override;
  EncodedRequest finish(Context& context) override;

 private:
  // All pictures, or all clips.
  struct Part {
    FrameEncoder encoder;
    bool clips;
    Tensor pixels;                    // [P, C·p·p]
    std::vector<uint8_t> keep;        // [V], 1 for the tokens that are read
    std::vector<Grid> grids;          // of every picture or clip
    size_t grid = 0;                  // that is being encoded
    int64_t frame = 0;                // its next one
    int64_t patches = 0, tokens = 0;  // before that frame
    bool done() const { return grid == grids.size(); }
  };
  void add_part(bool clips, Tensor pixels, const Tensor& grid_thw, const Tensor& merge_sizes,
                const Tensor& keep);
  void take_group(Context& context, Part& part);

  const ForConditionalGeneration& model_;
  ForwardInput input_;
  const int64_t patches_at_once_;
  std::vector<Part> parts_;
};

}  // namespace vl3
