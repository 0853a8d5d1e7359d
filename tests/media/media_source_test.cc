// What comes out does not depend on where it came from.

#include "vl3/media_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "support/support.h"
#include "vl3/image.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

std::vector<Image> frames_of(VideoReader& reader, const std::vector<int64_t>& wanted = {}) {
  std::vector<int64_t> indices = wanted;
  for (int64_t i = 0; wanted.empty() && i < reader.info().total_frames; ++i) indices.push_back(i);
  std::vector<Image> frames;
  reader.read(indices, [&](size_t, const Image& frame) { frames.push_back(frame); });
  return frames;
}

void expect_same(const std::vector<Image>& a, const std::vector<Image>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].rgb, b[i].rgb) << what << ", frame " << i;
}

MediaSource bytes_of_file(const std::filesystem::path& path) {
  return MediaSource::bytes(test::read_text(path), "some bytes");
}

TEST(MediaSource, BytesOfClipsGiveWhatTheirFilesGive) {
  const auto formats = test::data_path("media/formats");
  const std::filesystem::path clips[] = {test::data_path("../../examples/media/moving.mp4"),
                                         formats / "animated.webp",
                                         formats / "animated.png",
                                         formats / "interlaced.ts",
                                         formats / "mpeg4.nut",
                                         formats / "clip.asf"};
  for (const auto& path : clips) {
    const auto file = VideoReader::open(path), bytes = VideoReader::open(bytes_of_file(path));
    EXPECT_EQ(bytes->info().total_frames, file->info().total_frames) << path;
    EXPECT_EQ(bytes->info().fps, file->info().fps) << path;
    EXPECT_EQ(bytes->info().times_s, file->info().times_s) << path;
    EXPECT_EQ(bytes->info().format, file->info().format) << path;
    expect_same(frames_of(*bytes), frames_of(*file), path.string());
    expect_same(frames_of(*bytes), frames_of(*file), path.string() + " again");
  }
}

TEST(MediaSource, BytesAreReadByLeaps) {
  const auto path = test::data_path("media/long_h264.mp4");
  const auto file = VideoReader::open(path), bytes = VideoReader::open(bytes_of_file(path));
  const int64_t last = file->info().total_frames - 1;
  const std::vector<int64_t> wanted = {0, last / 2, last};
  expect_same(frames_of(*bytes, wanted), frames_of(*file, wanted), "leaps");
  EXPECT_EQ(bytes->frames_decoded(), file->frames_decoded());
  EXPECT_LT(bytes->frames_decoded(), last);
}

TEST(MediaSource, OpenFilesGiveWhatTheirPathsGive) {
  const auto path = test::data_path("media/long_h264.mp4");
  const MediaSource open = MediaSource::open_file(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "an open file");
  EXPECT_EQ(open.size_bytes(), std::filesystem::file_size(path));
  EXPECT_EQ(open, MediaSource::open_file(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "again"));
  const auto file = VideoReader::open(path), a = VideoReader::open(open), b = VideoReader::open(open);
  const int64_t last = file->info().total_frames - 1;
  const std::vector<int64_t> wanted = {0, last / 2, last};
  expect_same(frames_of(*a, wanted), frames_of(*file, wanted), "open file");
  expect_same(frames_of(*b, wanted), frames_of(*a, wanted), "the same, read by another");
  EXPECT_EQ(::lseek(open.descriptor(), 0, SEEK_CUR), 0) << "its place was used";
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_THROW(MediaSource::open_file(ends[0], "a pipe"), Error);
  EXPECT_LT(::fcntl(ends[0], F_GETFD), 0) << "it stays open";
  ::close(ends[1]);
}

TEST(MediaSource, DamagedBytesAreNamed) {
  std::string text = test::read_text(test::data_path("../../examples/media/moving.mp4"));
  for (const size_t length : {size_t{3}, text.size() / 3}) {
    try {
      const auto reader = VideoReader::open(MediaSource::bytes(text.substr(0, length), "a part of it"));
      frames_of(*reader);
      ADD_FAILURE() << length << " bytes were a clip";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("[a part of it]"), std::string::npos) << error.what();
    }
  }
}

Image grey(uint8_t value, int64_t height = 4, int64_t width = 6) {
  return {height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3), value), "RGB"};
}

TEST(MediaSource, FramesComeAsTheyWereGiven) {
  const std::vector<Image> frames = {grey(1), grey(2), grey(3), grey(4)};
  const auto reader = VideoReader::open(MediaSource::frames(frames));
  EXPECT_EQ(reader->info().height, 4);
  EXPECT_EQ(reader->info().width, 6);
  EXPECT_EQ(reader->info().total_frames, 4);
  EXPECT_FALSE(reader->info().fps.has_value());
  expect_same(frames_of(*reader), frames, "all");
  expect_same(frames_of(*reader, {1, 1, 3}), {frames[1], frames[1], frames[3]}, "some");
  EXPECT_THROW(frames_of(*reader, {4}), Error);
  EXPECT_DOUBLE_EQ(*VideoReader::open(MediaSource::frames(frames), {}, 8.0)->info().fps, 8.0);
}

TEST(MediaSource, TimesOfFramesMakeARate) {
  const std::vector<Image> frames = {grey(1), grey(2), grey(3)};
  const auto even = VideoReader::open(MediaSource::frames(frames, {0, 0.5, 1}));
  EXPECT_DOUBLE_EQ(*even->info().fps, 2.0);
  EXPECT_DOUBLE_EQ(even->info().duration_s, 1.5);
  EXPECT_TRUE(even->info().times_s.empty());
  for (const std::vector<double>& times : {std::vector<double>{0, 0.1, 1}, {5, 5.5, 6}, {2, 2, 2}}) {
    const auto uneven = VideoReader::open(MediaSource::frames(frames, times));
    EXPECT_EQ(uneven->info().times_s, times);
    EXPECT_EQ(sample_frames(uneven->info(), FrameSampling()).timestamps, times);
  }
}

TEST(MediaSource, WhatDoesNotFitTogetherIsRefusedByName) {
  const auto refused = [](const std::function<void()>& action, const std::string& word) {
    try {
      action();
      ADD_FAILURE() << "not refused: " << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refused([] { MediaSource::bytes("", "empty"); }, "[empty] has no data");
  refused([] { MediaSource::frames({}); }, "no frames");
  refused([] { MediaSource::frames({grey(1), grey(2, 4, 8)}); }, "frame 1");
  refused([] { MediaSource::frames({grey(1), grey(2)}, {0}); }, "2 frames and 1 times");
  refused([] { MediaSource::frames({grey(1), grey(2)}, {1, 0.5}); }, "frame 1 is 0.5 s");
  refused([] { MediaSource::frames({grey(1)}, {std::nan("")}); }, "frame 0 is nan s");
  refused([] { MediaSource::frames({grey(1)}, {std::numeric_limits<double>::infinity()}); }, "inf");
  refused([] { MediaSource::frames({grey(1)}, {-1}); }, "-1");
  Image torn = grey(1);
  torn.rgb.pop_back();
  refused([&] { MediaSource::frames({torn}); }, "71 bytes");
  torn.height = int64_t{1} << 40;
  torn.width = int64_t{1} << 40;
  EXPECT_THROW(MediaSource::frames({torn}), Error);
  MediaLimits few;
  few.max_frames = 1;
  EXPECT_THROW(VideoReader::open(MediaSource::frames({grey(1), grey(2)}), few), Error);
  few = {};
  few.max_pixels = 23;
  EXPECT_THROW(VideoReader::open(MediaSource::frames({grey(1)}), few), Error);
}

// What is lent stays where it is, and its owner hears when the last copy is let go.
TEST(MediaSource, WhatIsLentIsNotCopied) {
  const Image owned = grey(7);
  bool let_go = false;
  {
    Image lent;
    lent.height = owned.height;
    lent.width = owned.width;
    lent.lent = {owned.rgb.data(), [&](const uint8_t*) { let_go = true; }};
    EXPECT_EQ(lent.pixels().data(), owned.rgb.data());
    const MediaSource frames = MediaSource::frames({lent, grey(9)}, {0, 0.5});
    lent = Image();
    EXPECT_EQ(frames.pictures()[0].pixels().data(), owned.rgb.data());
    EXPECT_EQ(frames, MediaSource::frames({owned, grey(9)}, {0, 0.5}));
    const auto reader = VideoReader::open(frames);
    reader->read(std::vector<int64_t>{0},
                 [&](size_t, const Image& frame) { EXPECT_EQ(frame.pixels().data(), owned.rgb.data()); });
    EXPECT_FALSE(let_go);
  }
  EXPECT_TRUE(let_go);

  const std::string text = "abc";
  int uses = 0;
  {
    const std::shared_ptr<const std::byte> data(reinterpret_cast<const std::byte*>(text.data()),
                                                [&](const std::byte*) { ++uses; });
    const MediaSource source = MediaSource::lent_bytes(data, text.size(), "x");
    EXPECT_EQ(reinterpret_cast<const char*>(source.data().data()), text.data());
    EXPECT_EQ(source.size_bytes(), 3u);
    EXPECT_EQ(source, MediaSource::bytes("abc", "y"));
  }
  EXPECT_EQ(uses, 1);
  EXPECT_THROW(MediaSource::lent_bytes(nullptr, 3, "x"), Error);
}

TEST(MediaSource, EqualIsWhatShowsTheSame) {
  EXPECT_EQ(MediaSource::bytes("abc", "x"), MediaSource::bytes("abc", "y"));
  EXPECT_FALSE(MediaSource::bytes("abc", "x") == MediaSource::bytes("abd", "x"));
  EXPECT_EQ(MediaSource(std::filesystem::path("a.png")), MediaSource(std::filesystem::path("a.png")));
  EXPECT_FALSE(MediaSource(std::filesystem::path("a.png")) == MediaSource::bytes("a.png", "a.png"));
  EXPECT_EQ(MediaSource::frames({grey(1)}, {0}), MediaSource::frames({grey(1)}, {0}));
  EXPECT_FALSE(MediaSource::frames({grey(1)}, {0}) == MediaSource::frames({grey(1)}, {1}));
  EXPECT_FALSE(MediaSource::frames({grey(1)}) == MediaSource::frames({grey(2)}));
  EXPECT_FALSE(MediaSource::frames({grey(1, 4, 6)}) == MediaSource::frames({grey(1, 6, 4)}));
}

}  // namespace
}  // namespace vl3
