// Pixel formats to RGB: bit by bit what PyAV 18.1 makes of the same samples.

extern "C" {
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
}

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>
#include <sstream>

#include "media/frame_converter.h"
#include "media/linear_taps.h"
#include "support/support.h"

namespace vl3 {
namespace {

struct Free {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
using Frame = std::unique_ptr<AVFrame, Free>;

// The samples of tools/goldens/colours.py.
void fill(AVFrame& frame) {
  const AVPixFmtDescriptor& format = *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  const int planes =
      1 + std::max_element(format.comp, format.comp + format.nb_components, [](auto& a, auto& b) {
            return a.plane < b.plane;
          })->plane;
  uint64_t state = static_cast<uint64_t>(frame.width) * 1000 + static_cast<uint64_t>(frame.height);
  const auto next = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
  };
  for (int plane = 0; plane < planes; ++plane) {
    const auto* first = std::find_if(format.comp, format.comp + format.nb_components,
                                     [&](const auto& component) { return component.plane == plane; });
    const bool chroma = (plane == 1 || plane == 2) && (format.flags & AV_PIX_FMT_FLAG_RGB) == 0;
    const bool together = planes == 1 && format.log2_chroma_w != 0;
    const int rows = chroma ? -(-frame.height >> format.log2_chroma_h) : frame.height;
    const int columns = chroma || together ? -(-frame.width >> format.log2_chroma_w) : frame.width;
    const int bytes = columns * (together ? first->step << format.log2_chroma_w : first->step);
    for (int y = 0; y < rows; ++y) {
      uint8_t* row = frame.data[plane] + y * frame.linesize[plane];
      if (first->depth <= 8) {
        for (int i = 0; i < bytes; ++i) row[i] = static_cast<uint8_t>(next());
        continue;
      }
      for (int i = 0; i < bytes; i += 2) {
        const auto word = static_cast<unsigned>(next() % (1u << first->depth) << first->shift);
        const bool big = (format.flags & AV_PIX_FMT_FLAG_BE) != 0;
        row[i + (big ? 0 : 1)] = static_cast<uint8_t>(word >> 8);
        row[i + (big ? 1 : 0)] = static_cast<uint8_t>(word);
      }
    }
  }
}

Frame make_frame(const std::string& name, int width, int height) {
  Frame frame(av_frame_alloc());
  frame->format = av_get_pix_fmt(name.c_str());
  frame->width = width;
  frame->height = height;
  EXPECT_GE(av_frame_get_buffer(frame.get(), 64), 0) << name;
  fill(*frame);
  return frame;
}

void set_interlaced(AVFrame& frame) {
#ifdef AV_FRAME_FLAG_INTERLACED
  frame.flags |= AV_FRAME_FLAG_INTERLACED;
#else
  frame.interlaced_frame = 1;
#endif
}

std::string hash_of(const std::vector<uint8_t>& bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

// VL3_COLOURS names another file of that form, of `colours.py --many`.
TEST(Colours, EqualPyAvsInEveryFormatPlaceRangeAndMatrix) {
  const char* other = std::getenv("VL3_COLOURS");
  std::istringstream lines(test::read_text(other != nullptr ? std::filesystem::path(other)
                                                            : test::data_path("media/colours.txt")));
  std::string name, hash;
  int width = 0, height = 0, matrix = 0, range = 0, place = 0, interlaced = 0, cases = 0;
  av_log_set_level(AV_LOG_QUIET);  // of formats that are deprecated
  FrameConverter converter;        // one for all: what it keeps must not leak from one to the next
  Image image;
  while (lines >> name >> width >> height >> matrix >> range >> place >> interlaced >> hash) {
    if (av_get_pix_fmt(name.c_str()) == AV_PIX_FMT_NONE) continue;  // of a newer FFmpeg
    const Frame frame = make_frame(name, width, height);
    frame->colorspace = static_cast<AVColorSpace>(matrix);
    frame->color_range = static_cast<AVColorRange>(range);
    frame->chroma_location = static_cast<AVChromaLocation>(place);
    if (interlaced != 0) set_interlaced(*frame);
    ASSERT_TRUE(converter(*frame, image)) << name;
    EXPECT_EQ(hash_of(image.rgb), hash)
        << name << " " << width << " x " << height << ", matrix " << matrix << ", range " << range
        << ", place of chroma " << place << (interlaced != 0 ? ", interlaced" : "");
    ++cases;
  }
  EXPECT_GT(cases, 200);
}

TEST(Colours, AFieldThatLacksARowOfChromaTakesTheFramesLast) {
  FrameConverter converter;
  for (const char* name : {"yuv420p", "yuv420p10le", "nv12", "yuv410p"}) {
    for (const int height : {1, 2, 6, 10}) {
      const Frame frame = make_frame(name, 8, height);
      set_interlaced(*frame);
      // What lies behind the planes is changed between the two: it must not show.
      Image first, second;
      ASSERT_TRUE(converter(*frame, first));
      for (int i = 1; i < 3; ++i) {
        if (frame->data[i] == nullptr) continue;
        const int rows =
            -(-height >> av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame->format))->log2_chroma_h);
        std::fill_n(frame->data[i] + rows * frame->linesize[i], frame->linesize[i], uint8_t{0xff});
      }
      ASSERT_TRUE(converter(*frame, second));
      EXPECT_EQ(first.rgb, second.rgb) << name << ", " << height << " rows";
    }
  }
}

TEST(Colours, WhatNothingConvertsIsSaid) {
  FrameConverter converter;
  Image image;
  const Frame mosaic = make_frame("bayer_bggr8", 3, 1);  // libswscale would end the process
  EXPECT_FALSE(converter(*mosaic, image));
  const Frame foreign = make_frame("yuv420p", 8, 8);
  for (const AVColorSpace matrix : {AVCOL_SPC_YCGCO, AVCOL_SPC_BT2020_CL, AVCOL_SPC_CHROMA_DERIVED_NCL,
                                    AVCOL_SPC_CHROMA_DERIVED_CL, AVCOL_SPC_ICTCP}) {
    foreign->colorspace = matrix;
    EXPECT_FALSE(converter(*foreign, image)) << matrix;
  }
  foreign->format = AV_PIX_FMT_VAAPI;
  EXPECT_FALSE(converter(*foreign, image));
}

TEST(LinearTaps, WeighNeighboursAndAddUpToOne) {
  constexpr int kOne = 1 << 12;
  const LinearTaps twice = linear_taps(8, 16, 128, 128, kOne);  // sample i lies between outputs 2i and 2i + 1
  ASSERT_EQ(twice.taps, 2);
  EXPECT_EQ(twice.first[3], 1);
  EXPECT_EQ(twice.of(3)[0], kOne * 3 / 4);
  EXPECT_EQ(twice.of(3)[1], kOne / 4);
  const LinearTaps same = linear_taps(5, 5, 128, 128, kOne);
  EXPECT_EQ(same.taps, 1);
  EXPECT_EQ(same.first, (std::vector<int64_t>{0, 1, 2, 3, 4}));
  for (int64_t sources = 1; sources < 12; ++sources) {
    for (int64_t targets = 1; targets < 24; ++targets) {
      for (const int place : {64, 128, 192}) {
        const LinearTaps taps = linear_taps(sources, targets, place, 128, kOne);
        for (int64_t i = 0; i < targets; ++i) {
          const auto weights = taps.of(i);
          EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0), kOne, 1);
          for (size_t k = 0; k < weights.size(); ++k) {
            const int64_t sample = taps.first[static_cast<size_t>(i)] + static_cast<int64_t>(k);
            EXPECT_TRUE(weights[k] == 0 || (sample >= 0 && sample < sources)) << sources << " to " << targets;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace vl3
