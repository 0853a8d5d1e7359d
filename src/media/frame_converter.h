#pragma once
// Decoded frames as RGB.

extern "C" {
#include <libavutil/frame.h>
}

#include <memory>

#include "media/deep_colour.h"
#include "vl3/image.h"

struct SwsContext;

namespace vl3 {

// With the matrix and range that the frame says, as PyAV's to_ndarray(format="rgb24"). Keeps what frames of
// the same size and format share.
class FrameConverter {
 public:
  // False where nothing converts the frame's pixel format; image is then what it was.
  bool operator()(const AVFrame& frame, Image& image);

 private:
  struct Free {
    void operator()(SwsContext* p) const;
  };
  std::unique_ptr<SwsContext, Free> scaler_;
  NarrowFrame narrow_;
  std::vector<uint8_t> padded_;
};

}  // namespace vl3
