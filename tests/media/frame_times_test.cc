// Times of frames: constant rates are recognised, others are followed.

#include "media/frame_times.h"

#include <gtest/gtest.h>

#include "media/made_clip.h"
#include "support/support.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

TEST(FrameTimes, AConstantRateIsOneWithinTheRoundingOfTheClock) {
  std::vector<int64_t> ticks;  // 30000 / 1001 a second, in milliseconds
  for (int i = 0; i < 3000; ++i) ticks.push_back((int64_t{i} * 1001 + 15) / 30);
  const FrameTimes ntsc = frame_times(ticks, 3000, {0.001, 30000.0 / 1001, {}, 33});
  EXPECT_TRUE(ntsc.times_s.empty());
  EXPECT_NEAR(ntsc.duration_s, 100.1, 1e-6);
  // An average that counts a last frame of twice the length.
  const FrameTimes odd_end = frame_times(std::vector<int64_t>{0, 40, 80, 120}, 4, {0.001, 20.0, {}, 80});
  EXPECT_TRUE(odd_end.times_s.empty());
  EXPECT_NEAR(*odd_end.fps, 25, 1e-9);  // 120 ms are not 150
  std::vector<int64_t> even;
  for (int i = 0; i < 100; ++i) even.push_back(i * 40);
  EXPECT_TRUE(frame_times(even, 100, {0.001, 100 / 4.04, {}, 80}).times_s.empty());
  // One that counts frames that are not shown.
  const FrameTimes doubled = frame_times(even, 100, {0.001, 50.0, {}, 0});
  EXPECT_TRUE(doubled.times_s.empty());
  EXPECT_NEAR(*doubled.fps, 25, 1e-9);
}

TEST(FrameTimes, AnUnknownRateComesFromTheBaseRateOrTheTimestamps) {
  const std::vector<int64_t> ticks = {0, 100, 200, 300, 400};
  EXPECT_NEAR(*frame_times(ticks, 5, {0.001, {}, 10.0, 0}).fps, 10, 1e-9);
  EXPECT_NEAR(*frame_times(ticks, 5, {0.001, {}, 1000.0, 0}).fps, 10, 1e-9);
  EXPECT_NEAR(*frame_times(ticks, 5, {0.001, {}, {}, 0}).fps, 10, 1e-9);
  EXPECT_NEAR(*frame_times({}, 5, {0.001, {}, 12.0, 0}).fps, 12, 1e-9);
  EXPECT_FALSE(frame_times({}, 5, {0.001, {}, {}, 0}).fps.has_value());
  EXPECT_FALSE(frame_times(std::vector<int64_t>{0}, 1, {0.001, {}, {}, 0}).fps.has_value());
}

TEST(FrameTimes, NumbersOfFramesAreNoTimes) {
  // Raw Dirac (VC-2) of 10 frames a second: a clock of 1,200,000, and frame 1 "at" tick 1.
  const std::vector<int64_t> numbers = {0, 1, 2, 3, 4};
  const FrameTimes dirac = frame_times(numbers, 5, {1.0 / 1200000, 10.0, 10.0, 120000});
  EXPECT_TRUE(dirac.times_s.empty());
  EXPECT_NEAR(*dirac.fps, 10, 1e-9);
  EXPECT_NEAR(dirac.duration_s, 0.5, 1e-9);
  EXPECT_NEAR(*frame_times(numbers, 5, {1.0 / 1200000, {}, 10.0, 120000}).fps, 10, 1e-9);
  // A clock that counts frames, whose durations say the same, stays what it is.
  EXPECT_NEAR(*frame_times(numbers, 5, {0.1, 20.0, 20.0, 1}).fps, 10, 1e-9);
}

VideoInfo uneven() {
  VideoInfo info;
  info.total_frames = 10;
  info.fps = 5;
  info.times_s = {0, .1, .2, .3, .4, 1.5, 1.6, 1.7, 1.8, 1.9};
  info.duration_s = 2;
  return info;
}

using Indices = std::vector<int64_t>;

TEST(FrameTimes, RangesAndMomentsFollowThem) {
  const VideoInfo info = uneven();
  EXPECT_EQ(sample_frames(info, FrameSampling{.start_time = 1.4}).indices, (Indices{5, 6, 7, 8, 9}));
  EXPECT_EQ(sample_frames(info, FrameSampling{.end_time = 1.0}).indices, (Indices{0, 1, 2, 3, 4}));
  EXPECT_EQ(sample_frames(info, FrameSampling{.start_time = 0.2, .end_time = 1.6}).timestamps,
            (std::vector<double>{.2, .3, .4, 1.5}));
  // At 0, 0.5, 1 and 1.5 s frames 0, 4, 4 and 5 are shown.
  EXPECT_EQ(sample_frames(info, FrameSampling{.fps = 2, .min_frames = 1}).indices, (Indices{0, 4, 5}));
  EXPECT_EQ(sample_frames(info, FrameSampling{.fps = 2, .min_frames = 4}).indices.size(), 4U);
  EXPECT_EQ(sample_frames(info, FrameSampling{.fps = 100, .min_frames = 1}).indices.size(), 10U);
  EXPECT_EQ(sample_frames(info, FrameSampling{.fps = 100, .min_frames = 1, .max_frames = 2}).indices,
            (Indices{0, 4}));
  EXPECT_EQ(sample_frames(info, FrameSampling{.num_frames = 10}).indices,
            (Indices{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(sample_frames(info, FrameSampling{.num_frames = 2}).indices, (Indices{0, 4}));
  const SampledFrames two = sample_frames(info, FrameSampling{.fps = 100, .temporal_patch_size = 4});
  EXPECT_EQ(two.indices.size(), 8U);
  EXPECT_THROW(sample_frames(info, FrameSampling{.start_time = 0.5, .end_time = 1.5}), Error);
  EXPECT_THROW(sample_frames(info, FrameSampling{.num_frames = 11}), Error);
}

TEST(FrameTimes, FramesGiveTheReferencesArithmetic) {
  const VideoInfo info = uneven();
  FrameSampling sampling{.fps = 2, .min_frames = 1, .start_time = 1.0};
  sampling.times = ClipTimes::kFrames;
  const SampledFrames frames = sample_frames(info, sampling);  // index / 5
  EXPECT_EQ(frames.indices, (Indices{5, 7}));
  EXPECT_NEAR(frames.timestamps[1], 1.4, 1e-6);
}

TEST(FrameTimes, OfAFileWithGaps) {
  const test::TemporaryFolder folder;
  for (const char* container : {"matroska", "mp4", "avi", "flv"}) {
    SCOPED_TRACE(container);
    test::ClipRecipe recipe{.encoder = "mpeg4", .container = container, .frames = 60};
    if (std::string_view(container) == "flv") recipe.encoder = "flv";
    for (int i = 0; i < 60; ++i) recipe.times.push_back(i < 30 ? i : i + 50);
    ASSERT_TRUE(make_clip(folder / "clip", recipe));
    const auto reader = VideoReader::open(folder / "clip");
    ASSERT_EQ(reader->info().total_frames, 60);
    ASSERT_EQ(reader->info().times_s.size(), 60U);
    EXPECT_NEAR(reader->info().times_s[29], 29 / 25.0, 1e-3);
    EXPECT_NEAR(reader->info().times_s[30], 80 / 25.0, 1e-3);
    EXPECT_NEAR(reader->info().duration_s, 110 / 25.0, 0.05);
    EXPECT_EQ(sample_frames(reader->info(), FrameSampling{.start_time = 2}).indices.size(), 30U);
  }
}

// An AVI has times of decoding alone. Those of the last frames are not in it: they go on with the last step.
TEST(FrameTimes, OfDecodingBecomeThoseOfShowing) {
  const test::TemporaryFolder folder;
  test::ClipRecipe recipe{.encoder = "mpeg4", .container = "avi", .frames = 11, .group = 6, .b_frames = 2};
  recipe.times = {0, 1, 2, 3, 4, 6, 9, 12, 15, 18, 21};
  ASSERT_TRUE(make_clip(folder / "uneven", recipe));
  const auto uneven = VideoReader::open(folder / "uneven");
  ASSERT_EQ(uneven->info().times_s.size(), recipe.times.size());
  for (size_t i = 0; i < recipe.times.size(); ++i)
    EXPECT_NEAR(uneven->info().times_s[i], static_cast<double>(recipe.times[i]) / 25, 1e-9) << i;
  recipe.times = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20};
  ASSERT_TRUE(make_clip(folder / "even", recipe));
  const auto even = VideoReader::open(folder / "even");
  EXPECT_TRUE(even->info().times_s.empty());
  EXPECT_NEAR(even->info().fps.value_or(0), 12.5, 1e-9);
}

}  // namespace
}  // namespace vl3
