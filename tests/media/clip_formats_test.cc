// Containers and codecs: each clip's frames as PyAV 18.1 decodes them, and files that are no clips by name.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

#include "media/fnv.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

std::vector<int64_t> all_frames(const VideoReader& reader) {
  std::vector<int64_t> indices(static_cast<size_t>(reader.info().total_frames));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

// Frames, sizes and bytes are what clips.json says.
void expect_golden(const std::filesystem::path& path, const nlohmann::json& golden) {
  SCOPED_TRACE(path.string());
  const auto reader = VideoReader::open(path);
  ASSERT_EQ(reader->info().total_frames, golden["frames"].get<int64_t>());
  EXPECT_EQ(reader->info().width, golden["size"][0].get<int64_t>());
  EXPECT_EQ(reader->info().height, golden["size"][1].get<int64_t>());
  uint64_t hash = 0xcbf29ce484222325u;
  reader->read(all_frames(*reader), [&](size_t, const Image& frame) {
    for (const uint8_t byte : frame.rgb) hash = (hash ^ byte) * 0x100000001b3u;
  });
  EXPECT_EQ(hash, std::stoull(golden["fnv"].get<std::string>(), nullptr, 16));
}

nlohmann::json goldens() {
  return nlohmann::json::parse(test::read_text(test::data_path("media/formats/clips.json")));
}

TEST(ClipFormats, EveryContainerAndCodecGivesPyAvsFrames) {
  const nlohmann::json all = goldens();
  EXPECT_GT(all["clips"].size(), 15U);
  for (const auto& [name, golden] : all["clips"].items())
    expect_golden(test::data_path("media/formats") / name, golden);
}

// Streams of one codec: PyAV's frames at PyAV's times. What does not say its rate has 25 frames a second, as
// there, unless the caller knows better.
TEST(ClipFormats, BareStreamsHavePyAvsTimesOrAnAssumedRate) {
  const std::filesystem::path folder = test::data_path("media/bare");
  const nlohmann::json all = nlohmann::json::parse(test::read_text(folder / "streams.json"));
  EXPECT_EQ(all.size(), 8U);
  for (const auto& [name, golden] : all.items()) {
    expect_golden(folder / name, golden);
    const auto reader = VideoReader::open(folder / name);
    EXPECT_NEAR(reader->info().fps.value_or(0), golden["rate"].get<double>(), 1e-9) << name;
    const SampledFrames shown = sample_frames(reader->info(), {});
    for (size_t i = 0; golden["times"].is_array() && i < shown.timestamps.size(); ++i)
      EXPECT_NEAR(shown.timestamps[i], golden["times"][i].get<double>(), 1e-6) << name << " " << i;
    const auto told = VideoReader::open(folder / name, {}, 5.0);
    if (golden["says"].get<bool>()) {
      EXPECT_TRUE(reader->notes().empty()) << name << ": " << reader->notes()[0];
      EXPECT_EQ(told->info().fps, reader->info().fps) << name;
      continue;
    }
    for (int reads = 0; reads < 2; ++reads) {
      ASSERT_EQ(reader->notes().size(), 1U) << name;
      EXPECT_NE(
          reader->notes()[0].find(name + "] does not say how many frames a second it has: 25 are assumed"),
          std::string::npos)
          << reader->notes()[0];
      reader->read(std::vector<int64_t>{3}, [](size_t, const Image&) {});
    }
    EXPECT_EQ(told->info().fps, 5.0) << name;
    EXPECT_EQ(sample_frames(told->info(), {}).timestamps[2], 0.4) << name;
    EXPECT_TRUE(told->notes().empty()) << name;
  }
}

TEST(ClipFormats, CasesFromTheFieldGivePyAvsFrames) {
  VL3_NEED_SHARED(cases, "cases");
  const nlohmann::json all = goldens();
  for (const auto& [name, golden] : all["shared"].items()) expect_golden(cases / name, golden);
}

TEST(ClipFormats, UncompressedY4mIsRead) {
  const test::TemporaryFolder folder;
  std::string y4m = "YUV4MPEG2 W4 H2 F5:1 Ip A1:1 C444\n";
  for (int i = 0; i < 3; ++i)
    y4m += "FRAME\n" + std::string(8, static_cast<char>(16 + 60 * i)) + std::string(16, '\x80');
  test::write_text(folder / "grey.y4m", y4m);
  const auto reader = VideoReader::open(folder / "grey.y4m");
  EXPECT_EQ(reader->info().total_frames, 3);
  EXPECT_EQ(reader->info().fps, 5.0);
  std::vector<int> greys;
  reader->read(all_frames(*reader), [&](size_t, const Image& frame) { greys.push_back(frame.rgb[0]); });
  ASSERT_EQ(greys.size(), 3U);
  EXPECT_LE(greys[0], 1);
  EXPECT_NEAR(greys[1], 70, 2);
  EXPECT_NEAR(greys[2], 140, 2);
}

std::string complaint(const std::filesystem::path& path) {
  try {
    VideoReader::open(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string little(uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string wav() {
  const std::string samples(800, '\0');
  return "RIFF" + little(36 + 800, 4) + "WAVEfmt " + little(16, 4) + little(1, 2) + little(1, 2) +
         little(8000, 4) + little(16000, 4) + little(2, 2) + little(16, 2) + "data" + little(800, 4) +
         samples;
}

std::string au() {
  std::string text(".snd");
  for (const unsigned value : {24U, 800U, 3U, 8000U, 1U}) {
    for (int i = 3; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  }
  return text + std::string(800, '\0');
}

TEST(ClipFormats, WhatIsNoClipIsNamedAndSaysWhy) {
  const test::TemporaryFolder folder;
  const std::string playlist =
      "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/"
      "a.ts\n#EXT-X-ENDLIST\n";
  const struct {
    const char *name, *words, *format;
    std::string bytes;
  } files[] = {
      {"sound.mp4", "holds sound only", "wav", wav()},
      {"sound.au", "holds sound only", "au", au()},
      {"words.srt", "holds subtitles only", "srt",
       "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n2\n00:00:01,000 --> 00:00:02,000\nagain\n"},
      {"list.ts", "never followed", "hls", playlist},
      {"list.txt", "never followed", "concat", "ffconcat version 1.0\nfile '/etc/passwd'\n"},
      {"session.mp4", "never followed", "sdp",
       "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"},
  };
  for (const auto& file : files) {
    test::write_text(folder / file.name, file.bytes);
    const std::string words = complaint(folder / file.name);
    for (const char* part : {file.name, file.words, file.format})
      EXPECT_NE(words.find(part), std::string::npos) << file.name << ": " << words;
  }
  VL3_NEED_SHARED(audio, "cases/audio.wav");
  EXPECT_NE(complaint(audio).find("holds sound only"), std::string::npos);
}

TEST(ClipFormats, ACodecThatIsNotReadIsNamed) {
  const test::TemporaryFolder folder;
  std::string movie = test::read_text(test::data_path("media/formats/qtrle.mov"));
  const size_t tag = movie.find("rle ");
  ASSERT_NE(tag, std::string::npos);
  movie.replace(tag, 4, "zzzz");
  test::write_text(folder / "unknown.mov", movie);
  const std::string words = complaint(folder / "unknown.mov");
  EXPECT_NE(words.find("zzzz"), std::string::npos) << words;
}

TEST(ClipFormats, AnimatedPicturesHaveTheirTimes) {
  const nlohmann::json all = goldens();
  const auto webp = VideoReader::open(test::data_path("media/formats/animated.webp"));
  EXPECT_EQ(webp->info().times_s, all["clips"]["animated.webp"]["times"].get<std::vector<double>>());
  EXPECT_DOUBLE_EQ(webp->info().fps.value(), 8.0);  // 4 frames in half a second
  EXPECT_DOUBLE_EQ(webp->info().duration_s, 0.5);
  const auto png = VideoReader::open(test::data_path("media/formats/animated.png"));
  EXPECT_DOUBLE_EQ(png->info().fps.value(), 10.0);
  size_t seen = 0;
  for (const int64_t first : {2, 0}) {  // as often as asked, from any frame on
    const std::vector<int64_t> some = {first, 3, 3};
    webp->read(some, [&](size_t, const Image& frame) { seen += frame.width == 20; });
  }
  EXPECT_EQ(seen, 6U);
  EXPECT_THROW(webp->read(std::vector<int64_t>{4}, [](size_t, const Image&) {}), Error);
  EXPECT_THROW(webp->read(
                   std::vector<int64_t>{3}, [](size_t, const Image&) {}, [] { return true; }),
               Error);
  MediaLimits few;
  few.max_frames = 3;
  EXPECT_THROW(VideoReader::open(test::data_path("media/formats/animated.webp"), few), Error);
}

// Frames are those of Pillow 13.
TEST(ClipFormats, AnAvifSequenceIsAClip) {
  const std::filesystem::path path = test::data_path("media/formats/animated.avif");
  for (const PictureLibrary& row : picture_libraries())
    if (std::string_view(row.library) == "libavif" && row.version.empty())
      GTEST_SKIP() << "built without libavif";
  const auto reader = VideoReader::open(path);
  const std::vector<double> times_s = {0, 0.1, 0.4, 0.45};
  ASSERT_EQ(reader->info().times_s.size(), times_s.size());
  for (size_t i = 0; i < times_s.size(); ++i) EXPECT_NEAR(reader->info().times_s[i], times_s[i], 1e-9);
  EXPECT_DOUBLE_EQ(reader->info().duration_s, 0.5);
  EXPECT_DOUBLE_EQ(reader->info().fps.value(), 8.0);
  const std::vector<std::string> hashes = {"42cf448a96bf9469", "5168990f02d91adf", "66a5101b2a2c129a",
                                           "62f8f081b644e24b"};
  for (const std::vector<int64_t>& some :
       {std::vector<int64_t>{0, 1, 2, 3}, std::vector<int64_t>{2, 2, 3}, std::vector<int64_t>{1}}) {
    size_t seen = 0;
    reader->read(some, [&](size_t i, const Image& frame) {
      EXPECT_EQ(test::fnv(frame.rgb), hashes[static_cast<size_t>(some[i])]) << "frame " << some[i];
      ++seen;
    });
    EXPECT_EQ(seen, some.size());
  }
  EXPECT_THROW(reader->read(std::vector<int64_t>{4}, [](size_t, const Image&) {}), Error);
  MediaLimits few;
  few.max_frames = 3;
  EXPECT_THROW(VideoReader::open(path, few), Error);
  const std::string bytes = test::read_text(path);
  EXPECT_THROW(VideoReader::open(MediaSource::bytes(bytes.substr(0, 300), "cut.avif")), Error);
}

// As FFmpeg 8 has it, whichever version is linked: a delay of 0 is 1/10 s, all others are what they say.
TEST(ClipFormats, DelaysOfAGifAreTaken) {
  const test::TemporaryFolder folder;
  std::string gif = test::read_text(test::data_path("media/pictures/gif_random0.gif"));
  for (const auto& [delay, fps] : {std::pair(0, 10.0), {1, 100.0}, {2, 50.0}}) {
    size_t frames = 0;
    for (size_t at = gif.find("\x21\xf9\x04"); at != std::string::npos;
         at = gif.find("\x21\xf9\x04", at + 1)) {
      gif[at + 4] = static_cast<char>(delay);
      gif[at + 5] = 0;
      ++frames;
    }
    ASSERT_GT(frames, 1U);
    test::write_text(folder / "x.gif", gif);
    const auto reader = VideoReader::open(folder / "x.gif");
    EXPECT_EQ(reader->info().total_frames, static_cast<int64_t>(frames));
    EXPECT_NEAR(reader->info().fps.value_or(0), fps, 1e-9) << delay;
    EXPECT_TRUE(reader->info().times_s.empty()) << delay;
  }
}

TEST(ClipFormats, AlteredFilesAreErrorsOrClipsNeverCrashes) {
  const test::TemporaryFolder folder;
  uint32_t state = 17;
  const auto random = [&state] { return state = state * 1664525u + 1013904223u, state >> 8; };
  int errors = 0, clips = 0;
  for (const char* name : {"animated.webp", "animated.png", "qtrle.mov", "clip.rm", "mpeg4.nut", "av1.obu"}) {
    const std::string whole = test::read_text(test::data_path("media/formats") / name);
    for (int i = 0; i < 60; ++i) {
      std::string altered = i % 3 == 0 ? whole.substr(0, random() % whole.size()) : whole;
      for (int k = 0; k < 3 && i % 3 != 0; ++k)
        altered[random() % altered.size()] = static_cast<char>(random());
      test::write_text(folder / name, altered);
      try {
        const auto reader = VideoReader::open(folder / name);
        reader->read(all_frames(*reader), [](size_t, const Image&) {});
        ++clips;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
        ++errors;
      }
    }
  }
  std::printf("%d altered files refused, %d read\n", errors, clips);
  EXPECT_GT(errors, 0);
}

}  // namespace
}  // namespace vl3
