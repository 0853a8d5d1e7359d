#include "media/deep_colour.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>

namespace vl3 {
namespace {

constexpr int kInnerBits = 15;  // what samples are scaled to before they are weighed

// One row of chroma at 15 bits, moved from where its samples lie to the middle of their pairs of pixels.
void chroma_row(const uint8_t* source, int depth, int64_t width, bool left, std::vector<int32_t>& row) {
  const auto* samples = reinterpret_cast<const uint16_t*>(source);
  row.resize(static_cast<size_t>(width));
  const auto sample = [&](int64_t i) { return static_cast<int32_t>(samples[i]) << kInnerBits >> depth; };
  for (int64_t i = 0; i < width; ++i) {
    const int32_t here = sample(i), next = sample(std::min(i + 1, width - 1));
    row[static_cast<size_t>(i)] = left ? (3 * here + next) >> 2 : here;
  }
}

// The two chroma rows around a row of pixels, and the quarters that the one which is not row / 2 gets.
struct Neighbour {
  int64_t row;
  int quarters;
};
Neighbour neighbour(int64_t row, int64_t chroma_rows, bool top) {
  const int64_t own = row / 2, other = row % 2 == 0 && !top ? own - 1 : own + 1;
  const int quarters = top ? (row % 2 == 0 ? 0 : 2) : 1;
  return {std::clamp<int64_t>(other, 0, chroma_rows - 1), quarters};
}

void chroma_plane(const AVFrame& frame, int plane, int depth, NarrowFrame& target,
                  std::vector<uint8_t>& out) {
  const int64_t width = (frame.width + 1) / 2, rows = (frame.height + 1) / 2;
  const AVChromaLocation place = frame.chroma_location;
  const bool left = place != AVCHROMA_LOC_CENTER && place != AVCHROMA_LOC_TOP && place != AVCHROMA_LOC_BOTTOM;
  const bool top = place == AVCHROMA_LOC_TOPLEFT || place == AVCHROMA_LOC_TOP;
  std::vector<int32_t> own, other;
  for (int64_t y = 0; y < frame.height; ++y) {
    const Neighbour near = neighbour(y, rows, top);
    chroma_row(frame.data[plane] + y / 2 * frame.linesize[plane], depth, width, left, own);
    chroma_row(frame.data[plane] + near.row * frame.linesize[plane], depth, width, left, other);
    uint8_t* row = out.data() + y * target.chroma_stride;
    for (size_t i = 0; i < own.size(); ++i) {
      const int32_t sum = own[i] * (4 - near.quarters) + other[i] * near.quarters;
      row[i] = static_cast<uint8_t>(std::min((sum + (1 << (kInnerBits - 7))) >> (kInnerBits - 6), 255));
    }
  }
}

}  // namespace

bool is_deep_420(int pixel_format) {
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(pixel_format));
  constexpr uint64_t kOther =
      AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_HWACCEL;
  return format != nullptr && format->nb_components == 3 && (format->flags & AV_PIX_FMT_FLAG_PLANAR) != 0 &&
         (format->flags & kOther) == 0 && format->log2_chroma_w == 1 && format->log2_chroma_h == 1 &&
         format->comp[0].depth > 8 && format->comp[0].step == 2 && format->comp[1].step == 2 &&
         format->comp[0].shift == 0;
}

void narrow(const AVFrame& frame, NarrowFrame& target) {
  const int depth = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format))->comp[0].depth;
  constexpr int64_t kAlignment = 64;  // the converter reads whole vectors
  target.luma_stride = (frame.width + kAlignment - 1) / kAlignment * kAlignment;
  target.chroma_stride = ((frame.width + 1) / 2 + kAlignment - 1) / kAlignment * kAlignment;
  target.y.assign(static_cast<size_t>(target.luma_stride * frame.height + kAlignment), 0);
  target.u.assign(static_cast<size_t>(target.chroma_stride * frame.height + kAlignment), 0);
  target.v = target.u;
  for (int64_t y = 0; y < frame.height; ++y) {
    const auto* samples = reinterpret_cast<const uint16_t*>(frame.data[0] + y * frame.linesize[0]);
    uint8_t* row = target.y.data() + y * target.luma_stride;
    for (int64_t x = 0; x < frame.width; ++x) {
      row[x] = static_cast<uint8_t>(
          std::min(((static_cast<int32_t>(samples[x]) << kInnerBits >> depth) + 64) >> 7, 255));
    }
  }
  chroma_plane(frame, 1, depth, target, target.u);
  chroma_plane(frame, 2, depth, target, target.v);
}

}  // namespace vl3
