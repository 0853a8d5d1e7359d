#pragma once
// Stages 4 and 5 of tensors that somebody else has processed, in the same units.

#include <optional>
#include <vector>

#include "engine/request_encoder.h"

namespace vl3 {

// Pictures first, then clips. No cache is asked: pixels have no content key.
class InputEncoder final : public Encoding {
 public:
  // model and probe (which may be null) outlive this.
  InputEncoder(const ForConditionalGeneration& model, ForwardInput input, const Probe* probe)
      : Encoding(probe), model_(model), input_(std::move(input)) {}

  // Throws kInvalidArgument where pixels, grids and masks do not fit together.
  void begin(Context& context) override;
  bool ready() override { return true; }
  // A group: frames with at_once patches, one frame at least.
  bool encode_next(Context& context, int64_t at_once = FrameEncoder::kPatchesAtOnce) override;
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
  bool encode_some(Context& context, int64_t at_once);
  void take_group(Context& context, Part& part, int64_t at_once);

  const ForConditionalGeneration& model_;
  ForwardInput input_;
  std::vector<Part> parts_;
};

}  // namespace vl3
