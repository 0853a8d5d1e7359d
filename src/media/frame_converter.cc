#include "media/frame_converter.h"

extern "C" {
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>

#include "media/quiet.h"

namespace vl3 {
namespace {

constexpr int kNoPlace = -513;  // libswscale's word for a place of chroma that does not matter

bool is_interlaced(const AVFrame& frame) {
#ifdef AV_FRAME_FLAG_INTERLACED
  return (frame.flags & AV_FRAME_FLAG_INTERLACED) != 0;
#else
  return frame.interlaced_frame != 0;
#endif
}

bool is_full_range(const AVFrame& frame) {
  switch (frame.format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ411P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
      return true;
    default:
      return frame.color_range == AVCOL_RANGE_JPEG;
  }
}

// The middle of the samples of a pair of pixels where the frame does not say.
struct Place {
  int x = 128, y = 128;  // 1/256 of the way from one pixel to the next
};
Place chroma_place(AVChromaLocation location) {
  switch (location) {
    case AVCHROMA_LOC_LEFT:
      return {0, 128};
    case AVCHROMA_LOC_TOPLEFT:
      return {0, 0};
    case AVCHROMA_LOC_TOP:
      return {128, 0};
    case AVCHROMA_LOC_BOTTOMLEFT:
      return {0, 256};
    case AVCHROMA_LOC_BOTTOM:
      return {128, 256};
    default:
      return {};
  }
}

// FFmpeg 8 takes these big-endian formats for little-endian ones when it makes RGB24 of them.
AVPixelFormat as_the_reference_reads(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_RGB565BE:
      return AV_PIX_FMT_RGB565LE;
    case AV_PIX_FMT_RGB555BE:
      return AV_PIX_FMT_RGB555LE;
    case AV_PIX_FMT_BGR565BE:
      return AV_PIX_FMT_BGR565LE;
    case AV_PIX_FMT_BGR555BE:
      return AV_PIX_FMT_BGR555LE;
    default:
      return format;
  }
}

// Matrices that are no Y'CbCr of RGB that the scaler could turn: taken for another one they would come out in
// wrong colours. FFmpeg 8 refuses them as well.
bool is_foreign(AVColorSpace matrix) {
  switch (static_cast<int>(matrix)) {
    case AVCOL_SPC_YCGCO:
    case AVCOL_SPC_BT2020_CL:
    case AVCOL_SPC_SMPTE2085:
    case AVCOL_SPC_CHROMA_DERIVED_NCL:
    case AVCOL_SPC_CHROMA_DERIVED_CL:
    case AVCOL_SPC_ICTCP:
      return true;
    default:
      return static_cast<int>(matrix) > AVCOL_SPC_ICTCP;
  }
}

FrameView view_of(const AVFrame& frame, const AVPixFmtDescriptor& format) {
  FrameView view;
  view.format = as_the_reference_reads(static_cast<AVPixelFormat>(frame.format));
  view.width = frame.width;
  view.height = view.frame_height = frame.height;
  for (size_t i = 0; i < 4; ++i) {
    view.planes[i] = frame.data[i];
    view.strides[i] = frame.linesize[i];
  }
  view.full_range = is_full_range(frame);
  const bool says_matrix = frame.colorspace != AVCOL_SPC_RGB && (format.flags & (AV_PIX_FMT_FLAG_RGB)) == 0;
  const int* matrix = sws_getCoefficients(says_matrix ? frame.colorspace : SWS_CS_DEFAULT);
  std::copy_n(matrix, 4, view.coefficients.begin());
  const Place place = chroma_place(frame.chroma_location);
  view.chroma_x = place.x * ((1 << format.log2_chroma_w) - 1);
  view.chroma_y = place.y * ((1 << format.log2_chroma_h) - 1);
  return view;
}

// Every second row, from the first or the second one on. A field's rows of chroma lie beside rows of the
// upper field, wherever the lower one's are.
FrameView field_of(const FrameView& frame, const AVPixFmtDescriptor& format, bool lower) {
  FrameView field = frame;
  field.height = (frame.height + (lower ? 0 : 1)) / 2;
  field.first_row = lower ? 1 : 0;
  field.row_step = 2;
  if (lower) field.chroma_y += (256 << format.log2_chroma_h) - 256;
  field.chroma_y /= 2;
  return field;
}

bool same_scaler(const FrameView& a, const FrameView& b) {
  return a.format == b.format && a.width == b.width && a.height == b.height && a.chroma_x == b.chroma_x &&
         a.chroma_y == b.chroma_y && a.full_range == b.full_range && a.coefficients == b.coefficients;
}

bool set_options(SwsContext* context, const FrameView& frame, const AVPixFmtDescriptor& format) {
  const std::pair<const char*, int64_t> options[] = {
      {"srcw", frame.width},
      {"srch", frame.height},
      {"src_format", frame.format},
      {"src_range", frame.full_range},
      {"dstw", frame.width},
      {"dsth", frame.height},
      {"dst_format", AV_PIX_FMT_RGB24},
      {"dst_range", 1},
      {"sws_flags", SWS_BILINEAR},
      {"src_h_chr_pos", format.log2_chroma_w != 0 ? frame.chroma_x : kNoPlace},
      {"src_v_chr_pos", format.log2_chroma_h != 0 ? frame.chroma_y : kNoPlace}};
  return std::all_of(std::begin(options), std::end(options), [&](const auto& option) {
    return av_opt_set_int(context, option.first, option.second, 0) >= 0;
  });
}

}  // namespace

void FrameConverter::Free::operator()(SwsContext* p) const { sws_freeContext(p); }

SwsContext* FrameConverter::scaler_for(const FrameView& frame) {
  for (Scaler& scaler : scalers_) {
    if (scaler.context != nullptr && same_scaler(scaler.made_for, frame)) return scaler.context.get();
  }
  std::swap(scalers_[0], scalers_[1]);
  Scaler& scaler = scalers_[0];
  scaler.made_for = frame;
  scaler.context.reset(sws_alloc_context());
  SwsContext* context = scaler.context.get();
  if (context != nullptr) keep_quiet(*context);
  const AVPixFmtDescriptor& format = *av_pix_fmt_desc_get(frame.format);
  if (context == nullptr || !set_options(context, frame, format) ||
      sws_init_context(context, nullptr, nullptr) < 0) {
    scaler.context.reset();
    return nullptr;
  }
  int *source_matrix = nullptr, *target_matrix = nullptr;
  int source_range = 0, target_range = 0, brightness = 0, contrast = 0, saturation = 0;
  sws_getColorspaceDetails(context, &source_matrix, &source_range, &target_matrix, &target_range, &brightness,
                           &contrast, &saturation);
  sws_setColorspaceDetails(context, frame.coefficients.data(), source_range,
                           sws_getCoefficients(SWS_CS_DEFAULT), target_range, brightness, contrast,
                           saturation);
  return context;
}

bool FrameConverter::convert(const FrameView& frame, uint8_t* rgb, int stride) {
  if (has_chroma_rows(frame)) {
    chroma_rows_to_rgb(frame, rgb, stride);
    return true;
  }
  SwsContext* scaler = scaler_for(frame);
  if (scaler == nullptr) return false;
  std::array<const uint8_t*, 4> planes = frame.planes;
  std::array<int, 4> strides = frame.strides;
  for (size_t i = 0; i < 4; ++i) {  // the second plane of a palette's frames is the palette: it has no rows
    if (planes[i] != nullptr) planes[i] += frame.first_row * strides[i];
    strides[i] *= frame.row_step;
  }
  uint8_t* target[4] = {rgb, nullptr, nullptr, nullptr};
  const int target_strides[4] = {stride, 0, 0, 0};
  return sws_scale(scaler, planes.data(), strides.data(), 0, frame.height, target, target_strides) ==
         frame.height;
}

bool FrameConverter::operator()(const AVFrame& frame, Image& image) {
  const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  if (format == nullptr || sws_isSupportedInput(static_cast<AVPixelFormat>(frame.format)) == 0) return false;
  if ((format->flags & AV_PIX_FMT_FLAG_RGB) == 0 && format->nb_components > 2 && is_foreign(frame.colorspace))
    return false;
  // libswscale aborts the process on mosaics without a whole cell.
  if ((format->flags & AV_PIX_FMT_FLAG_BAYER) != 0 && (frame.width < 4 || frame.height < 4)) return false;
  const int height = frame.height, width = frame.width;
  // Its inner loops write whole groups of columns past a row's end, and leave out a last group that has no
  // room there. A field that is only copied is copied with the rows between its own, the last one's included.
  const int stride = (width + 63) / 64 * 64 * 3;
  padded_.resize(static_cast<size_t>(stride) * static_cast<size_t>(height + 1) + 64);
  const FrameView whole = view_of(frame, *format);
  if (is_interlaced(frame) && height > 1) {
    if (!convert(field_of(whole, *format, false), padded_.data(), 2 * stride)) return false;
    if (!convert(field_of(whole, *format, true), padded_.data() + stride, 2 * stride)) return false;
  } else if (!convert(whole, padded_.data(), stride)) {
    return false;
  }
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
