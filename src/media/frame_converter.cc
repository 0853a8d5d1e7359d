#include "media/frame_converter.h"

extern "C" {
#include <libswscale/swscale.h>
}

#include <algorithm>

namespace vl3 {

void FrameConverter::Free::operator()(SwsContext* p) const { sws_freeContext(p); }

bool FrameConverter::operator()(const AVFrame& frame, Image& image) {
  const int height = frame.height, width = frame.width;
  const bool deep = is_deep_420(frame.format);
  if (deep) narrow(frame, narrow_);
  const uint8_t* narrow_planes[4] = {narrow_.y.data(), narrow_.u.data(), narrow_.v.data(), nullptr};
  const int narrow_strides[4] = {static_cast<int>(narrow_.luma_stride),
                                 static_cast<int>(narrow_.chroma_stride),
                                 static_cast<int>(narrow_.chroma_stride), 0};
  scaler_.reset(sws_getCachedContext(
      scaler_.release(), width, height, deep ? AV_PIX_FMT_YUV422P : static_cast<AVPixelFormat>(frame.format),
      width, height, AV_PIX_FMT_RGB24, deep ? SWS_BILINEAR | SWS_ACCURATE_RND : SWS_BILINEAR, nullptr,
      nullptr, nullptr));
  if (scaler_ == nullptr) return false;
  const int* matrix =
      sws_getCoefficients(frame.colorspace == AVCOL_SPC_RGB ? SWS_CS_DEFAULT : frame.colorspace);
  sws_setColorspaceDetails(scaler_.get(), matrix, frame.color_range == AVCOL_RANGE_JPEG ? 1 : 0, matrix, 1, 0,
                           1 << 16, 1 << 16);
  // Its inner loops write whole groups of columns past a row's end, and leave out a last group that has no
  // room there.
  const int stride = (width + 63) / 64 * 64 * 3;
  padded_.resize(static_cast<size_t>(stride) * static_cast<size_t>(height) + 64);
  uint8_t* planes[4] = {padded_.data(), nullptr, nullptr, nullptr};
  const int strides[4] = {stride, 0, 0, 0};
  const int rows = sws_scale(scaler_.get(), deep ? narrow_planes : frame.data,
                             deep ? narrow_strides : frame.linesize, 0, height, planes, strides);
  if (rows != height) return false;
  image.height = height;
  image.width = width;
  image.mode = "RGB";
  image.rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (int y = 0; y < height; ++y) {
    std::copy_n(padded_.data() + static_cast<ptrdiff_t>(y) * stride, width * 3,
                image.rgb.data() + static_cast<ptrdiff_t>(y) * width * 3);
  }
  return true;
}

}  // namespace vl3
