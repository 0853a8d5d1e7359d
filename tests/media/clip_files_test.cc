// Clips whose container says something else than what it holds.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string_view>

#include "media/fnv.h"
#include "media/jpeg_row.h"
#include "media/made_clip.h"
#include "support/support.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

using test::ClipRecipe;
using test::make_clip;

// The error that opening and reading a file gives; empty where there is none.
std::string complaint(const std::filesystem::path& path, bool skip_broken = false) {
  try {
    const auto reader = VideoReader::open(path);
    reader->skip_broken_frames(skip_broken);
    test::hashes_of(*reader);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The container lists those fragments alone that were come to: the first one, which is long.
TEST(ClipFiles, FragmentsThatAreNotListedCount) {
  for (const char* flags : {"dash+frag_keyframe", "frag_keyframe", "empty_moov+frag_keyframe"}) {
    SCOPED_TRACE(flags);
    const test::TemporaryFolder folder;
    const ClipRecipe recipe{.encoder = "libx264",
                            .container = "mp4",
                            .frames = 1300,
                            .options = {{"x264-params", "keyint=600:min-keyint=600:scenecut=0:bframes=0"},
                                        {"preset", "ultrafast"}},
                            .file_options = {{"movflags", flags}}};
    if (!make_clip(folder / "clip", recipe)) GTEST_SKIP() << "no x264 in FFmpeg's libraries here";
    const auto reader = VideoReader::open(folder / "clip");
    EXPECT_EQ(reader->info().total_frames, 1300);
    EXPECT_NEAR(reader->info().duration_s, 52, 0.1);
    EXPECT_EQ(test::hashes_of(*reader).size(), 1300U);
  }
}

TEST(ClipFiles, ManyStreamsAreReadAndTooManyRefused) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(make_clip(folder / "clip", {.encoder = "mpeg4", .container = "matroska", .frames = 10}));
  const std::vector<std::string> hashes = test::hashes_of(*VideoReader::open(folder / "clip"));
  ASSERT_TRUE(test::put_behind_subtitles(folder / "clip", folder / "many", "matroska", 100));
  EXPECT_EQ(test::hashes_of(*VideoReader::open(folder / "many")), hashes);
  // Containers whose streams come one by one, and one whose header has them all.
  ASSERT_TRUE(test::put_behind_subtitles(folder / "clip", folder / "more", "matroska", 1000));
  EXPECT_NE(complaint(folder / "more").find("has more than 1000 streams"), std::string::npos);
}

// A row of frames of which one is too short: where the next one begins, nothing says.
TEST(ClipFiles, WhatCannotBeReadToItsEndIsAnErrorOrANote) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(
      make_clip(folder / "clip", {.encoder = "wrapped_avframe", .container = "yuv4mpegpipe", .frames = 12}));
  std::string bytes = test::read_text(folder / "clip");
  bytes.erase(bytes.size() / 2, 100);
  test::write_text(folder / "short", bytes);
  EXPECT_NE(complaint(folder / "short").find("cannot be read behind frame"), std::string::npos);
  const auto reader = VideoReader::open(folder / "short");
  reader->skip_broken_frames(true);
  const std::vector<std::string> hashes = test::hashes_of(*reader);
  EXPECT_GE(hashes.size(), 5U);
  EXPECT_LT(hashes.size(), 12U);
  ASSERT_EQ(reader->notes().size(), 1U);
  EXPECT_NE(reader->notes()[0].find("cannot be read behind frame"), std::string::npos) << reader->notes()[0];
  EXPECT_EQ(complaint(folder / "clip"), "");
  // FFmpeg's reader of this one fails at the end of every file.
  if (!make_clip(
          folder / "boundaries",
          {.encoder = "mjpeg", .container = "mpjpeg", .frames = 5, .options = {{"strict", "unofficial"}}}))
    GTEST_SKIP() << "no encoder of JPEG for YUV of narrow range";
  EXPECT_EQ(complaint(folder / "boundaries"), "");
}

// AVI written to a pipe has no list, and says that it has 2^30 frames.
TEST(ClipFiles, FramesOfAHeaderAreNotBelieved) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(make_clip(folder / "clip", {.encoder = "mpeg4", .container = "avi", .frames = 30}));
  std::string bytes = test::read_text(folder / "clip");
  const std::string many{'\0', '\0', '\0', '\x40'};
  bytes.replace(bytes.find("avih") + 8 + 16, 4, many);
  bytes.replace(bytes.find("strh") + 8 + 32, 4, many);
  bytes.resize(bytes.find("idx1"));
  test::write_text(folder / "piped", bytes);
  EXPECT_EQ(test::hashes_of(*VideoReader::open(folder / "piped")),
            test::hashes_of(*VideoReader::open(folder / "clip")));
}

// Some tools write times of decoding for those of showing, whatever the order.
TEST(ClipFiles, TimesThatDoNotTellTheOrder) {
  int made = 0;
  for (const char* encoder : {"mpeg2video", "mpeg4", "libx264", "libx265"}) {
    for (const char* container : {"matroska", "nut", "mov"}) {
      SCOPED_TRACE(fmt::format("{} in {}", encoder, container));
      const test::TemporaryFolder folder;
      ClipRecipe recipe{.encoder = encoder, .container = "mov", .b_frames = 2};
      if (std::string_view(encoder).starts_with("libx")) recipe.options = {{"preset", "veryfast"}};
      if (std::string_view(encoder) == "libx265")
        recipe.options.emplace_back("x265-params", "log-level=none");
      if (!make_clip(folder / "clip", recipe)) continue;
      if (!test::put_at_decoding_times(folder / "clip", folder / "flat", container)) continue;
      ++made;
      const std::vector<std::string> hashes = test::hashes_of(*VideoReader::open(folder / "clip"));
      const auto reader = VideoReader::open(folder / "flat");
      ASSERT_EQ(test::hashes_of(*reader), hashes);
      const std::vector<int64_t> some = {80, 159};
      reader->read(some, [&](size_t i, const Image& frame) {
        EXPECT_EQ(test::fnv(frame.rgb), hashes[static_cast<size_t>(some[i])]) << "frame " << some[i];
      });
      EXPECT_LT(reader->frames_decoded(), 140);
    }
  }
  EXPECT_GE(made, 4);
}

// A list of even times of decoding, and pictures that are shown two seconds late from the middle on.
TEST(ClipFiles, ALongListIsNotAllThereIsOfTimes) {
  const test::TemporaryFolder folder;
  const ClipRecipe recipe{
      .encoder = "libx264", .container = "mp4", .frames = 700, .options = {{"preset", "ultrafast"}}};
  if (!make_clip(folder / "clip", recipe)) GTEST_SKIP() << "no x264 in FFmpeg's libraries here";
  EXPECT_TRUE(VideoReader::open(folder / "clip")->info().times_s.empty());
  ASSERT_TRUE(test::put_late(folder / "clip", folder / "late", "mp4", 400, 2));
  const auto reader = VideoReader::open(folder / "late");
  ASSERT_EQ(reader->info().times_s.size(), 700U);
  EXPECT_NEAR(reader->info().times_s[399], 399 / 25.0, 1e-6);
  EXPECT_NEAR(reader->info().times_s[400], 2 + 400 / 25.0, 1e-6);
}

TEST(ClipFiles, SoundMayBeginLongBeforeThePicture) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(make_clip(folder / "clip", {.encoder = "mpeg4", .container = "flv", .frames = 30}) ||
              make_clip(folder / "clip", {.encoder = "flv", .container = "flv", .frames = 30}));
  ASSERT_TRUE(test::put_behind_silence(folder / "clip", folder / "late", "flv", 20));
  EXPECT_EQ(test::hashes_of(*VideoReader::open(folder / "late")),
            test::hashes_of(*VideoReader::open(folder / "clip")));
}

// A scan is read piece by piece, and ends within one or between two.
TEST(JpegRow, LongScansArePassedOver) {
  const auto is_row = [](const std::string& bytes) {
    return is_row_of_jpegs(MediaSource::bytes(bytes, "row"));
  };
  constexpr size_t kPiece = 256 << 10;
  for (const size_t length :
       {size_t{1}, kPiece - 4, kPiece - 3, kPiece - 2, kPiece - 1, kPiece, 3 * kPiece}) {
    SCOPED_TRACE(length);
    const std::string stuffed("\xff\0", 2), tables("\xff\xda\0\x02", 4);
    const std::string one = "\xff\xd8" + tables + stuffed + std::string(length, 'x') + "\xff\xd9";
    EXPECT_FALSE(is_row(one));
    EXPECT_TRUE(is_row(one + one));
  }
}

}  // namespace
}  // namespace vl3
