#include "media/chroma_rows.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>

#include "media/linear_taps.h"
#include "media/yuv_to_rgb.h"

namespace vl3 {
namespace {

constexpr int kInnerBits = 15;  // what samples are scaled to before they are weighed
constexpr int kOneAcross = 1 << 14, kOneDown = 1 << 12;
constexpr int32_t kLargest = (1 << kInnerBits) - 1;

int ceil_shift(int value, int bits) { return -((-value) >> bits); }

// One component of a frame: its samples as numbers.
struct Component {
  const uint8_t* base;
  int64_t stride;
  int64_t rows, first_row, row_step;  // of the plane; which of them belong to the field
  int64_t step;                       // bytes from sample to sample
  int depth, shift;
  bool big_endian;

  // A lower field may have a row of chroma less than its rows of pixels ask for: then it is the frame's last.
  template <class Sink>
  void read(int64_t row, int64_t count, Sink&& sink) const {
    const uint8_t* at = base + std::min(first_row + row * row_step, rows - 1) * stride;
    if (depth == 8) {
      for (int64_t i = 0; i < count; ++i, at += step) sink(i, int32_t{*at});
    } else if (big_endian) {
      for (int64_t i = 0; i < count; ++i, at += step) sink(i, (at[0] << 8 | at[1]) >> shift);
    } else {
      for (int64_t i = 0; i < count; ++i, at += step) sink(i, (at[1] << 8 | at[0]) >> shift);
    }
  }
};

Component component(const FrameView& frame, const AVPixFmtDescriptor& format, int index) {
  const AVComponentDescriptor& of = format.comp[index];
  const auto plane = static_cast<size_t>(of.plane);
  return {.base = frame.planes[plane] + of.offset,
          .stride = frame.strides[plane],
          .rows = index == 0 ? frame.frame_height : ceil_shift(frame.frame_height, format.log2_chroma_h),
          .first_row = frame.first_row,
          .row_step = frame.row_step,
          .step = of.step,
          .depth = of.depth,
          .shift = of.shift,
          .big_endian = (format.flags & AV_PIX_FMT_FLAG_BE) != 0};
}

// Places within a pixel, as linear_taps() counts them, of chroma whose samples lie 2^bits pixels apart.
int place(int offset, int bits) { return (offset + 128) >> bits; }

// Rows of U and V at 15 bits, brought to as many columns as the output has; the last two are kept.
class ChromaColumns {
 public:
  ChromaColumns(Component u, Component v, int64_t source_width, LinearTaps taps)
      : source_{u, v}, width_(source_width), taps_(std::move(taps)) {}

  struct Row {
    int64_t number = -1;
    std::array<std::vector<int32_t>, 2> uv;
  };
  const Row& row(int64_t number) {
    Row& kept = rows_[static_cast<size_t>(number % 2)];
    if (kept.number == number) return kept;
    kept.number = number;
    for (size_t i = 0; i < 2; ++i) make(source_[i], number, kept.uv[i]);
    return kept;
  }

 private:
  void make(const Component& source, int64_t number, std::vector<int32_t>& target) {
    samples_.resize(static_cast<size_t>(width_));
    source.read(number, width_,
                [&](int64_t i, int32_t sample) { samples_[static_cast<size_t>(i)] = sample; });
    target.resize(taps_.first.size());
    const int shift = source.depth - 1;
    for (size_t i = 0; i < target.size(); ++i) {
      const auto first = static_cast<size_t>(taps_.first[i]);
      const int32_t* weights = &taps_.weights[i * static_cast<size_t>(taps_.taps)];
      int64_t sum = 0;
      for (size_t k = 0; k < static_cast<size_t>(taps_.taps); ++k) {
        if (weights[k] != 0) sum += int64_t{samples_[first + k]} * weights[k];
      }
      target[i] = static_cast<int32_t>(std::min<int64_t>(sum >> shift, kLargest));
    }
  }

  std::array<Component, 2> source_;
  int64_t width_;
  LinearTaps taps_;
  std::array<Row, 2> rows_;
  std::vector<int32_t> samples_;
};

// The two rows of chroma around a row of pixels and their shares, of kOneDown.
struct Blend {
  const ChromaColumns::Row *near, *far;
  int32_t near_share, far_share;

  int32_t sum(size_t plane, size_t i) const {
    return near->uv[plane][i] * near_share + far->uv[plane][i] * far_share;
  }
};

class Rows {
 public:
  Rows(const FrameView& frame, const AVPixFmtDescriptor& format)
      : frame_(frame),
        convert_(frame.coefficients, frame.full_range),
        by_pixel_(frame.width % 2 != 0),
        luma_(component(frame, format, 0)),
        down_(linear_taps(ceil_shift(frame.height, format.log2_chroma_h), frame.height,
                          place(frame.chroma_y, format.log2_chroma_h), 128, kOneDown)),
        chroma_(component(frame, format, 1), component(frame, format, 2),
                ceil_shift(frame.width, format.log2_chroma_w), across(frame, format)) {}

  void write(uint8_t* rgb, int64_t stride) {
    for (int64_t y = 0; y < frame_.height; ++y, rgb += stride) {
      const auto weights = down_.of(y);
      const int64_t first = down_.first[static_cast<size_t>(y)];
      const bool two = down_.taps > 1;
      const Blend blend{.near = &chroma_.row(first),
                        .far = &chroma_.row(two && weights[1] != 0 ? first + 1 : first),
                        .near_share = weights[0],
                        .far_share = two ? weights[1] : 0};
      if (by_pixel_) {
        write_pixels(y, blend, rgb);
      } else {
        write_pairs(y, blend, rgb);
      }
    }
  }

 private:
  // Of an even width two pixels share one U and V; of an odd one each has its own.
  static LinearTaps across(const FrameView& frame, const AVPixFmtDescriptor& format) {
    const bool by_pixel = frame.width % 2 != 0;
    const int offset = format.log2_chroma_w == 0 ? 0 : frame.chroma_x;
    return linear_taps(ceil_shift(frame.width, format.log2_chroma_w),
                       by_pixel ? frame.width : frame.width / 2, place(offset, format.log2_chroma_w), 128,
                       kOneAcross);
  }

  void write_pairs(int64_t y, const Blend& blend, uint8_t* rgb) {
    luma_8_.resize(static_cast<size_t>(frame_.width));
    luma_.read(y, frame_.width, [&](int64_t x, int32_t sample) {
      const int32_t inner = std::min(sample << kInnerBits >> luma_.depth, kLargest);
      luma_8_[static_cast<size_t>(x)] = static_cast<uint16_t>((inner + 64) >> 7);
    });
    for (size_t plane = 0; plane < 2; ++plane) {
      auto& target = chroma_8_[plane];
      target.resize(static_cast<size_t>(frame_.width / 2));
      for (size_t i = 0; i < target.size(); ++i)
        target[i] = static_cast<uint8_t>(std::clamp((blend.sum(plane, i) + (1 << 18)) >> 19, 0, 255));
    }
    convert_.pairs(luma_8_, chroma_8_[0].data(), chroma_8_[1].data(), rgb);
  }

  void write_pixels(int64_t y, const Blend& blend, uint8_t* rgb) {
    luma_17_.resize(static_cast<size_t>(frame_.width));
    luma_.read(y, frame_.width, [&](int64_t x, int32_t sample) {
      luma_17_[static_cast<size_t>(x)] = std::min(sample << kInnerBits >> luma_.depth, kLargest) * 4;
    });
    for (size_t plane = 0; plane < 2; ++plane) {
      auto& target = chroma_17_[plane];
      target.resize(static_cast<size_t>(frame_.width));
      for (size_t i = 0; i < target.size(); ++i) target[i] = (blend.sum(plane, i) - (128 << 19)) >> 10;
    }
    convert_.pixels(luma_17_, chroma_17_[0].data(), chroma_17_[1].data(), rgb);
  }

  const FrameView& frame_;
  YuvToRgb convert_;
  bool by_pixel_;
  Component luma_;
  LinearTaps down_;
  ChromaColumns chroma_;
  std::vector<uint16_t> luma_8_;
  std::array<std::vector<uint8_t>, 2> chroma_8_;
  std::vector<int32_t> luma_17_;
  std::array<std::vector<int32_t>, 2> chroma_17_;
};

}  // namespace

bool has_chroma_rows(const FrameView& frame) {
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(frame.format);
  constexpr uint64_t kOther = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_HWACCEL |
                              AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_PAL;
  if (format == nullptr || format->nb_components < 3 || (format->flags & kOther) != 0 ||
      (format->flags & AV_PIX_FMT_FLAG_PLANAR) == 0 || format->log2_chroma_h == 0) {
    return false;
  }
  for (int i = 0; i < 3; ++i) {
    if (format->comp[i].depth < 8 || format->comp[i].depth > 16) return false;
    if (format->comp[i].depth != format->comp[0].depth) return false;
  }
  const bool plain_420 = format->comp[0].depth == 8 && format->comp[1].plane != format->comp[2].plane &&
                         format->log2_chroma_w == 1 && format->log2_chroma_h == 1;
  return !plain_420 || frame.height % 2 != 0;
}

void chroma_rows_to_rgb(const FrameView& frame, uint8_t* rgb, int64_t stride) {
  Rows(frame, *av_pix_fmt_desc_get(frame.format)).write(rgb, stride);
}

}  // namespace vl3
