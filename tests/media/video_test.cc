// Clips from files and folders: frames, limits, and everything that can be wrong with them.

#include "vl3/video.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <numeric>
#include <random>

#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

std::filesystem::path clip_path() { return test::data_path("../../examples/media/moving.mp4"); }

std::vector<int64_t> all_frames(const VideoReader& reader) {
  std::vector<int64_t> indices(static_cast<size_t>(reader.info().total_frames));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

uint64_t hash_of(const Image& image) {
  uint64_t hash = 1469598103934665603u;
  for (const uint8_t byte : image.rgb) hash = (hash ^ byte) * 1099511628211u;
  return hash;
}

TEST(Video, ReadsAnyAscendingFramesAsOftenAsAsked) {
  const auto reader = VideoReader::open(clip_path());
  EXPECT_EQ(reader->info().width, 224);
  EXPECT_EQ(reader->info().height, 168);
  EXPECT_EQ(reader->info().total_frames, 40);
  EXPECT_DOUBLE_EQ(reader->info().fps.value(), 10.0);
  EXPECT_DOUBLE_EQ(reader->info().duration_s, 4.0);
  std::vector<uint64_t> hashes;
  reader->read(all_frames(*reader), [&](size_t i, const Image& frame) {
    EXPECT_EQ(i, hashes.size());
    hashes.push_back(hash_of(frame));
  });
  ASSERT_EQ(hashes.size(), 40U);
  const std::vector<int64_t> some = {0, 7, 7, 39};
  for (int again = 0; again < 2; ++again) {
    size_t seen = 0;
    reader->read(some, [&](size_t i, const Image& frame) {
      EXPECT_EQ(i, seen++);
      EXPECT_EQ(hash_of(frame), hashes[static_cast<size_t>(some[i])]);
    });
    EXPECT_EQ(seen, some.size());
  }
  const std::vector<int64_t> descending = {3, 2}, beyond = {40};
  EXPECT_THROW(reader->read(descending, [](size_t, const Image&) {}), Error);
  EXPECT_THROW(reader->read(beyond, [](size_t, const Image&) {}), Error);
  EXPECT_THROW(reader->read(
                   some, [](size_t, const Image&) {}, [] { return true; }),
               Error);
}

// A few frames of many come by leaps, and are the ones that decoding all of them gives. The clips have 400
// frames of 64 x 48 pixels and begin anew every 50 to 80, with frames out of order (B-frames, a pyramid of
// them, open groups) and at uneven times.
TEST(Video, FewFramesOfManyAreTheSameAndTheOthersAreLeftOut) {
  for (const char* name :
       {"long_h264.mp4", "long_open_gop.mkv", "long_uneven.mp4", "long_hevc.mp4", "long_vp9.webm"}) {
    SCOPED_TRACE(name);
    const auto reader = VideoReader::open(test::data_path("media") / name);
    std::vector<uint64_t> hashes;
    reader->read(all_frames(*reader), [&](size_t, const Image& frame) { hashes.push_back(hash_of(frame)); });
    ASSERT_EQ(hashes.size(), 400U);
    EXPECT_EQ(reader->frames_decoded(), 400);
    const std::vector<std::vector<int64_t>> choices = {
        {399}, {0, 399}, {130, 131, 260, 260, 399}, {0, 80, 160, 240, 320}, {59, 60, 61, 200, 201, 299, 350}};
    for (const std::vector<int64_t>& indices : choices) {
      size_t seen = 0;
      reader->read(indices, [&](size_t i, const Image& frame) {
        EXPECT_EQ(i, seen++);
        EXPECT_EQ(hash_of(frame), hashes[static_cast<size_t>(indices[i])]) << "frame " << indices[i];
      });
      EXPECT_EQ(seen, indices.size());
      EXPECT_LT(reader->frames_decoded(), 300);
    }
    reader->read(choices[0], [](size_t, const Image&) {});
    // Decoding begins at the last frame that it can begin at, 40 before the end of the first clip, of which
    // those that no other needs are skipped.
    EXPECT_LT(reader->frames_decoded(), std::string_view(name) == "long_h264.mp4" ? 30 : 90);
    EXPECT_THROW(reader->read(
                     choices[0], [](size_t, const Image&) {}, [] { return true; }),
                 Error);
    EXPECT_THROW(reader->read(std::vector<int64_t>{10, 400}, [](size_t, const Image&) {}), Error);
    bool stop = false;
    const std::vector<int64_t> ends = {0, 399};
    EXPECT_THROW(reader->read(
                     ends, [&](size_t, const Image&) { stop = true; }, [&] { return stop; }),
                 Error);
    size_t seen = 0;  // what was left out then is there again
    reader->read(all_frames(*reader), [&](size_t i, const Image& frame) {
      EXPECT_EQ(i, seen++);
      EXPECT_EQ(hash_of(frame), hashes[i]);
    });
    EXPECT_EQ(seen, 400U);
  }
}

TEST(Video, LeapingThroughAnAlteredFileGivesFramesOrAnError) {
  const test::TemporaryFolder folder;
  const std::string whole = test::read_text(test::data_path("media/long_h264.mp4"));
  std::mt19937 random(12);
  int errors = 0, clips = 0;
  for (int i = 0; i < 60; ++i) {
    std::string altered = whole;
    for (int k = 0; k < 1 + i % 8; ++k) altered[random() % altered.size()] = static_cast<char>(random());
    test::write_text(folder / "altered.mp4", altered);
    try {
      const auto reader = VideoReader::open(folder / "altered.mp4");
      const std::vector<int64_t> ends = {5, reader->info().total_frames - 1};
      size_t seen = 0;
      reader->read(ends, [&](size_t, const Image&) { ++seen; });
      EXPECT_EQ(seen, ends.size());
      ++clips;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("altered.mp4"), std::string::npos) << error.what();
      ++errors;
    }
  }
  std::printf("%d altered clips refused, %d read\n", errors, clips);
  EXPECT_GT(errors, 0);
  EXPECT_GT(clips, 0);
}

TEST(Video, PicturesAreFramesOfAClipWithoutARate) {
  const test::TemporaryFolder folder;
  const auto picture = test::data_path("../../examples/media/shapes.png");
  std::filesystem::copy_file(picture, folder / "b.png");
  std::filesystem::copy_file(picture, folder / "a.png");
  const auto reader = VideoReader::open(folder.path());
  EXPECT_EQ(reader->info().total_frames, 2);
  EXPECT_FALSE(reader->info().fps.has_value());
  const SampledFrames frames = sample_frames(reader->info(), FrameSampling{.fps = 1.0, .min_frames = 1});
  EXPECT_TRUE(frames.fps_assumed);
  EXPECT_EQ(frames.timestamps, (std::vector<double>{0, 1}));
  int seen = 0;
  reader->read(frames.indices, [&](size_t, const Image& frame) { seen += frame.width == 336; });
  EXPECT_EQ(seen, 2);
  test::write_text(folder / "c.png", "no picture");
  EXPECT_THROW(VideoReader::open(folder.path())->read(std::vector<int64_t>{2}, [](size_t, const Image&) {}),
               Error);
  EXPECT_THROW(VideoReader::open_pictures({}), Error);
  const test::TemporaryFolder empty;
  EXPECT_THROW(VideoReader::open(empty.path()), Error);
}

// The error that opening and reading all of a file gives; empty where there is none.
std::string complaint(const std::filesystem::path& path, const MediaLimits& limits = {}) {
  try {
    const auto reader = VideoReader::open(path, limits);
    reader->read(all_frames(*reader), [](size_t, const Image&) {});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Video, LimitsAreKept) {
  const auto limited = [](auto&& set) {
    MediaLimits limits;
    set(limits);
    return complaint(clip_path(), limits);
  };
  EXPECT_NE(limited([](MediaLimits& l) { l.max_pixels = 1000; }).find("max_pixels"), std::string::npos);
  EXPECT_NE(limited([](MediaLimits& l) { l.max_frames = 39; }).find("max_frames"), std::string::npos);
  EXPECT_NE(limited([](MediaLimits& l) { l.max_duration_s = 3.9; }).find("max_duration_s"),
            std::string::npos);
  EXPECT_NE(limited([](MediaLimits& l) { l.max_packet_bytes = 10; }).find("max_packet_bytes"),
            std::string::npos);
  EXPECT_EQ(limited([](MediaLimits&) {}), "");
}

TEST(Video, WhatIsNoClipIsRefusedByName) {
  const test::TemporaryFolder folder;
  const std::pair<const char*, std::string> files[] = {
      {"empty.mp4", ""},
      {"text.mp4", "this is no clip at all, whatever its name says"},
      {"list.m3u8", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n"},
      {"concat.txt", "ffconcat version 1.0\nfile '/etc/passwd'\n"},
      {"zeros.avi", std::string(5000, '\0')},
  };
  for (const auto& [name, bytes] : files) {
    test::write_text(folder / name, bytes);
    EXPECT_NE(complaint(folder / name).find(name), std::string::npos) << name;
  }
  EXPECT_NE(complaint(folder / "absent.mp4").find("absent.mp4"), std::string::npos);
}

TEST(Video, TruncatedAndAlteredFilesAreErrorsOrClipsNeverCrashes) {
  const test::TemporaryFolder folder;
  const std::string whole = test::read_text(clip_path());
  int errors = 0, clips = 0;
  for (size_t length = 0; length < whole.size(); length += 97) {
    test::write_text(folder / "cut.mp4", whole.substr(0, length));
    const std::string text = complaint(folder / "cut.mp4");
    const bool only_names = length + 200 > whole.size();  // the file ends with the name of its encoder
    EXPECT_TRUE(only_names || text.find("cut.mp4") != std::string::npos)
        << "cut after " << length << " bytes: " << text;
    ++errors;
  }
  std::mt19937 random(11);
  for (int i = 0; i < 200; ++i) {
    std::string altered = whole;
    for (int n = 0; n < 4; ++n) altered[random() % altered.size()] ^= static_cast<char>(1 << random() % 8);
    test::write_text(folder / "altered.mp4", altered);
    (complaint(folder / "altered.mp4").empty() ? clips : errors)++;
  }
  std::printf("%d broken clips refused, %d still readable\n", errors, clips);
}

TEST(Video, MemoryDoesNotGrowWithTheFramesRead) {
  VL3_NEED_SHARED(media, "media/nasa_13013.mp4");
  const auto reader = VideoReader::open(media);
  const auto peak_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto frames = all_frames(*reader);
  int64_t bytes = 0;  // of the frames read
  const auto read = [&](int times) {
    for (int i = 0; i < times; ++i) {
      reader->read(frames,
                   [&](size_t, const Image& frame) { bytes += int64_t{3} * frame.width * frame.height; });
    }
  };
  // The decoder's threads and their heaps reach their size, whatever order they run in; what the address
  // sanitizer holds back of freed memory does too.
#if defined(__SANITIZE_ADDRESS__)
  read(40);
#else
  read(4);
#endif
  bytes = 0;
  const long before = peak_kib();
  read(20);
  const long grown = peak_kib() - before;
  std::printf("%lld KiB of frames read again: %ld KiB more at the peak\n",
              static_cast<long long>(bytes >> 10), grown);
  EXPECT_LT(grown * 1024, bytes / 10);
}

}  // namespace
}  // namespace vl3
