#pragma once
// Decoded frames as RGB.

extern "C" {
#include <libavutil/frame.h>
}

#include <array>
#include <memory>
#include <vector>

#include "media/chroma_rows.h"
#include "vl3/image.h"

struct SwsContext;

namespace vl3 {

// With the matrix, range and places of chroma that the frame says, the fields of interlaced frames each by
// itself: bit by bit as PyAV 18.1 (FFmpeg 8) does it in to_ndarray(format="rgb24"), whichever version of
// libswscale is linked. Keeps what frames of the same size and format share.
class FrameConverter {
 public:
  // False where nothing converts the frame's pixel format or colour matrix; image is then what it was.
  bool operator()(const AVFrame& frame, Image& image);

 private:
  struct Free {
    void operator()(SwsContext* p) const;
  };
  struct Scaler {  // and what it was made for
    FrameView made_for;
    std::unique_ptr<SwsContext, Free> context;
  };
  bool convert(const FrameView& frame, uint8_t* rgb, int stride);
  SwsContext* scaler_for(const FrameView& frame);

  std::array<Scaler, 2> scalers_;  // of the upper fields, or of whole frames, and of the lower fields
  std::vector<uint8_t> padded_;
};

}  // namespace vl3
