// Clips of many containers and codecs: what can be shown is counted, a few frames of many come by leaps, and
// they are the ones that reading from the start gives.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "media/made_clip.h"
#include "support/support.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

using test::ClipRecipe;
using test::make_clip;
using test::put_into;

uint64_t hash_of(const Image& image) {
  uint64_t hash = 1469598103934665603u;
  for (const uint8_t byte : image.rgb) hash = (hash ^ byte) * 1099511628211u;
  return hash;
}

std::vector<uint64_t> read_all(VideoReader& reader) {
  std::vector<int64_t> all(static_cast<size_t>(reader.info().total_frames));
  std::iota(all.begin(), all.end(), int64_t{0});
  std::vector<uint64_t> hashes;
  reader.read(all, [&](size_t, const Image& frame) { hashes.push_back(hash_of(frame)); });
  return hashes;
}

// Draws sparse frames again and again; how many were decoded of all that lie before them.
double share_decoded(VideoReader& reader, const std::vector<uint64_t>& hashes) {
  std::mt19937 random(3);
  const auto size = static_cast<int64_t>(hashes.size());
  int64_t decoded = 0, passed = 0;
  for (int draw = 0; draw < 8; ++draw) {
    std::vector<int64_t> wanted = {size - 1 - draw};
    for (int k = 0; k < draw % 3; ++k) wanted.push_back(static_cast<int64_t>(random()) % size);
    std::sort(wanted.begin(), wanted.end());
    reader.read(wanted, [&](size_t i, const Image& frame) {
      EXPECT_EQ(hash_of(frame), hashes[static_cast<size_t>(wanted[i])]) << "frame " << wanted[i];
    });
    decoded += reader.frames_decoded();
    passed += wanted.back() + 1;
  }
  return static_cast<double>(decoded) / static_cast<double>(passed);
}

// The same stream in every container, first as encoded and then as others hold it.
void check(const ClipRecipe& recipe, const std::vector<const char*>& containers, int& made) {
  SCOPED_TRACE(std::string(recipe.encoder) + " in " + recipe.container);
  const test::TemporaryFolder folder;
  if (!make_clip(folder / "clip", recipe)) return;
  const auto first = VideoReader::open(folder / "clip");
  EXPECT_EQ(first->info().total_frames, recipe.frames);
  EXPECT_NEAR(first->info().fps.value_or(0), 25, 1e-3);
  EXPECT_TRUE(first->info().times_s.empty());
  const std::vector<uint64_t> hashes = read_all(*first);
  ASSERT_EQ(hashes.size(), static_cast<size_t>(recipe.frames));
  EXPECT_LT(share_decoded(*first, hashes), 0.6);
  ++made;
  for (const char* container : containers) {
    SCOPED_TRACE(container);
    if (!put_into(folder / "clip", folder / "other", container)) continue;
    const auto other = VideoReader::open(folder / "other");
    EXPECT_EQ(other->info().total_frames, recipe.frames);
    EXPECT_EQ(read_all(*other), hashes);
    EXPECT_LT(share_decoded(*other, hashes), 0.6);
    ++made;
  }
}

TEST(Leap, FramesOfEveryContainerAndCodecAreThoseReadFromTheStart) {
  int made = 0;
  check({.encoder = "mpeg4", .container = "mp4", .b_frames = 2}, {"matroska", "avi", "mov"}, made);
  check({.encoder = "mpeg4", .container = "avi"}, {"m4v"}, made);
  check({.encoder = "mpeg2video", .container = "mpegts", .group = 15, .b_frames = 2},
        {"mpeg", "matroska", "avi", "mpeg2video"}, made);
  check({.encoder = "mpeg1video", .container = "mpeg", .group = 15, .b_frames = 2}, {"mpegts"}, made);
  check({.encoder = "flv", .container = "flv"}, {"avi"}, made);
  check({.encoder = "h263p", .container = "avi"}, {"matroska"}, made);
  check({.encoder = "msmpeg4", .container = "avi"}, {"asf"}, made);
  check({.encoder = "wmv1", .container = "asf"}, {"avi"}, made);
  check({.encoder = "wmv2", .container = "asf"}, {"avi"}, made);
  check({.encoder = "ffv1", .container = "matroska"}, {"avi"}, made);
  EXPECT_GE(made, 18);  // encoders that FFmpeg has itself
}

TEST(Leap, FramesOfOtherLibrariesCodecsToo) {
  int made = 0;
  check({.encoder = "libx264", .container = "mpegts", .b_frames = 3, .options = {{"preset", "veryfast"}}},
        {"flv", "avi", "matroska", "mp4", "h264"}, made);
  check({.encoder = "libx264",
         .container = "mp4",
         .b_frames = 3,
         .options = {{"x264-params", "open-gop=1:b-pyramid=normal"}, {"preset", "veryfast"}}},
        {"matroska", "avi"}, made);
  check({.encoder = "libvpx",
         .container = "webm",
         .options = {{"auto-alt-ref", "1"}, {"lag-in-frames", "12"}, {"cpu-used", "8"}}},
        {"ivf"}, made);
  check({.encoder = "libvpx-vp9",
         .container = "webm",
         .options =
             {{"auto-alt-ref", "1"}, {"lag-in-frames", "12"}, {"deadline", "realtime"}, {"cpu-used", "8"}}},
        {"ivf", "mp4"}, made);
  check({.encoder = "libtheora", .container = "ogg"}, {"matroska"}, made);
  if (made == 0) GTEST_SKIP() << "none of these encoders is in FFmpeg's libraries here";
}

// Every second leap of many is decoded on another thread.
TEST(Leap, ManyLeapsAtOnceGiveTheSameFrames) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(
      make_clip(folder / "clip", {.encoder = "mpeg4", .container = "mp4", .frames = 800, .b_frames = 2}));
  const auto reader = VideoReader::open(folder / "clip");
  const std::vector<uint64_t> all = read_all(*reader);
  ASSERT_EQ(all.size(), 800U);
  std::vector<int64_t> wanted;  // 20 leaps, to one to three frames, some of them twice
  for (int64_t at = 3; at < 800; at += 40) {
    for (int64_t k = 0; k <= at % 3; ++k) wanted.push_back(at + 9 * k);
    if (at % 2 == 0) wanted.push_back(wanted.back());
  }
  for (int again = 0; again < 3; ++again) {
    size_t seen = 0;
    reader->read(wanted, [&](size_t i, const Image& frame) {
      EXPECT_EQ(i, seen++);
      EXPECT_EQ(hash_of(frame), all[static_cast<size_t>(wanted[i])]) << "frame " << wanted[i];
    });
    EXPECT_EQ(seen, wanted.size());
    EXPECT_LT(reader->frames_decoded(), 500);
  }
  for (const size_t last : {0, 5, 6}) {
    bool stop = false;
    size_t seen = 0;
    EXPECT_THROW(
        reader->read(
            wanted, [&](size_t i, const Image&) { stop = stop || i == last, ++seen; }, [&] { return stop; }),
        Error);
    EXPECT_GE(seen, last + 1);
    EXPECT_LE(seen, last + 2);  // a frame that is wanted twice comes twice
  }
  // The second half is damaged all over.
  std::string bytes = test::read_text(folder / "clip");
  const size_t media = bytes.find("mdat"), size = bytes.find("moov") - media;
  for (size_t i = media + size / 2; i < media + size; i += 300) bytes.replace(i, 40, 40, '\x55');
  test::write_text(folder / "broken", bytes);
  const auto broken = VideoReader::open(folder / "broken");
  size_t seen = 0;
  EXPECT_THROW(broken->read(wanted, [&](size_t i, const Image&) { EXPECT_EQ(i, seen++); }), Error);
  EXPECT_GT(seen, 10U);
  broken->skip_broken_frames(true);
  seen = 0;
  broken->read(wanted, [&](size_t i, const Image&) { EXPECT_EQ(i, seen++); });
  EXPECT_EQ(seen, wanted.size());
}

// x264 spreads intra blocks over many frames there: a recovery point is none where all is right at once.
TEST(Leap, WhereNoFrameStandsAloneAllAreDecoded) {
  const test::TemporaryFolder folder;
  if (!make_clip(folder / "clip",
                 {.encoder = "libx264",
                  .container = "mpegts",
                  .options = {{"x264-params", "intra-refresh=1:scenecut=0"}, {"preset", "veryfast"}}}))
    GTEST_SKIP() << "no x264 in FFmpeg's libraries here";
  const auto reader = VideoReader::open(folder / "clip");
  const std::vector<uint64_t> hashes = read_all(*reader);
  EXPECT_EQ(hashes.size(), 160U);
  EXPECT_GT(share_decoded(*reader, hashes), 0.9);
}

// --- what is not as its packets say

std::vector<uint64_t> hashes_of(const std::filesystem::path& path) {
  return read_all(*VideoReader::open(path));
}

TEST(Count, RecordingsPutTogetherAreReadThrough) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(make_clip(folder / "one", {.encoder = "mpeg2video", .container = "mpegts", .b_frames = 2}));
  const std::string bytes = test::read_text(folder / "one");
  const std::vector<uint64_t> once = hashes_of(folder / "one");
  std::vector<uint64_t> twice = once;
  twice.insert(twice.end(), once.begin(), once.end());
  test::write_text(folder / "two", bytes + bytes);
  const auto reader = VideoReader::open(folder / "two");
  EXPECT_EQ(read_all(*reader), twice);
  EXPECT_TRUE(reader->info().times_s.empty());  // the clock that was set back is no time
  EXPECT_NEAR(reader->info().duration_s, 12.8, 1e-6);
  share_decoded(*reader, twice);
}

TEST(Count, TheEndOfASequenceIsNoFrame) {
  const test::TemporaryFolder folder;
  const ClipRecipe recipe{.encoder = "vc2",
                          .container = "dirac",
                          .frames = 5,
                          .options = {{"strict", "experimental"}, {"b", "2000000"}}};
  if (!make_clip(folder / "clip", recipe)) GTEST_SKIP() << "no Dirac in FFmpeg's libraries here";
  const auto reader = VideoReader::open(folder / "clip");
  EXPECT_EQ(reader->info().total_frames, 5);
  EXPECT_EQ(read_all(*reader).size(), 5U);
}

// Of a transport stream, two thirds of it.
void expect_tail(const std::filesystem::path& folder) {
  const std::string bytes = test::read_text(folder / "whole");
  const std::vector<uint64_t> whole = hashes_of(folder / "whole");
  test::write_text(folder / "tail", bytes.substr(bytes.size() / 3 / 188 * 188));
  const auto reader = VideoReader::open(folder / "tail");
  const std::vector<uint64_t> tail = read_all(*reader);
  ASSERT_EQ(static_cast<int64_t>(tail.size()), reader->info().total_frames);
  ASSERT_GT(tail.size(), 40U);
  ASSERT_LT(tail.size(), whole.size());
  EXPECT_TRUE(std::equal(tail.rbegin(), tail.rend(), whole.rbegin()));
  EXPECT_TRUE(reader->info().times_s.empty());
  share_decoded(*reader, tail);
}

TEST(Count, RecordingsThatBeginInsideAGroupHaveWhatCanBeShown) {
  const test::TemporaryFolder folder;
  for (const char* encoder : {"mpeg2video", "libx264"}) {
    SCOPED_TRACE(encoder);
    if (make_clip(folder / "whole", {.encoder = encoder, .container = "mpegts", .b_frames = 2}))
      expect_tail(folder.path());
  }
  SCOPED_TRACE("HEVC");
  ASSERT_TRUE(put_into(test::data_path("media/long_hevc.mp4"), folder / "whole", "mpegts"));
  expect_tail(folder.path());
}

TEST(Count, InputsThatCameOutWrong) {
  VL3_NEED_SHARED(cases, "cases");
  struct Case {
    const char* name;
    int64_t frames;
    double fps, duration_s;
  };
  for (const Case& wanted :
       {Case{"editlist_cut.mp4", 14, 10, 1.4}, Case{"vp8_altref.webm", 75, 25, 3},
        Case{"vfr_skip.avi", 10, 10, 2}, Case{"midstart.ts", 30, 10, 3}, Case{"concat_twice.ts", 40, 10, 4},
        Case{"neg_start.mkv", 20, 10, 2}, Case{"raw.h264", 8, 10, 0.8}, Case{"theora_10fps.ogv", 20, 10, 2},
        Case{"vfr.mkv", 10, 10, 2}}) {
    SCOPED_TRACE(wanted.name);
    const auto reader = VideoReader::open(cases / wanted.name);
    EXPECT_EQ(reader->info().total_frames, wanted.frames);
    EXPECT_NEAR(reader->info().fps.value_or(0), wanted.fps, 1e-9);
    EXPECT_NEAR(reader->info().duration_s, wanted.duration_s, 1e-9);
    EXPECT_EQ(read_all(*reader).size(), static_cast<size_t>(wanted.frames));
  }
  // Its first picture lies before 0: what a range gives is that range.
  const auto reader = VideoReader::open(cases / "neg_start.mkv");
  const std::vector<uint64_t> all = read_all(*reader);
  EXPECT_EQ(hashes_of(cases / "rot90.mp4"), all);
  const std::vector<int64_t> some = sample_frames(reader->info(), FrameSampling{.end_time = 0.5}).indices;
  EXPECT_EQ(some, (std::vector<int64_t>{0, 1, 2, 3, 4}));
  reader->read(some, [&](size_t i, const Image& frame) { EXPECT_EQ(hash_of(frame), all[i]); });
}

// --- damage

TEST(Damage, TheFrameIsNamedAndCanBeConcealed) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(make_clip(folder / "whole", {.encoder = "mpeg4", .container = "avi"}));
  std::string bytes = test::read_text(folder / "whole");
  const std::vector<uint64_t> whole = hashes_of(folder / "whole");
  // The picture of frame 43, three behind a key frame, loses its data.
  size_t at = bytes.find("movi");
  for (int i = 0; i <= 43; ++i) at = bytes.find("00dc", at + 4);
  const auto size = static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + 4])) |
                    static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + 5])) << 8;
  for (size_t i = at + 24; i < at + 8 + size; ++i) bytes[i] = static_cast<char>(0x55);
  test::write_text(folder / "broken", bytes);
  const auto reader = VideoReader::open(folder / "broken");
  try {
    read_all(*reader);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("frame 43 (1.72 s)"), std::string::npos) << error.what();
  }
  reader->skip_broken_frames(true);
  const std::vector<uint64_t> concealed = read_all(*reader);
  ASSERT_EQ(concealed.size(), whole.size());
  ASSERT_EQ(reader->notes().size(), 1U);
  EXPECT_NE(reader->notes()[0].find("frame 43"), std::string::npos) << reader->notes()[0];
  for (size_t i = 0; i < whole.size(); ++i) {
    if (i >= 43 && i < 80) continue;  // the next key frame mends it
    EXPECT_EQ(concealed[i], whole[i]) << i;
  }
}

// What reading all frames gives: their hashes and the notes, or the error.
std::string told(const std::filesystem::path& path, bool skip_broken) {
  const auto reader = VideoReader::open(path);
  reader->skip_broken_frames(skip_broken);
  std::string text;
  try {
    for (const uint64_t hash : read_all(*reader)) text += std::to_string(hash) + " ";
    for (const std::string& note : reader->notes()) text += note;
  } catch (const Error& error) {
    text = error.what();
  }
  return text;
}

TEST(Damage, IsToldAndConcealedTheSameEachTime) {
  const test::TemporaryFolder folder;
  for (const char* encoder : {"libx264", "mpeg4"}) {
    SCOPED_TRACE(encoder);
    ClipRecipe recipe{.encoder = encoder, .container = "mp4", .frames = 100, .b_frames = 2};
    recipe.options = {{"b", "1500000"}};
    if (!make_clip(folder / "whole", recipe)) continue;
    std::string bytes = test::read_text(folder / "whole");
    std::mt19937 random(7);
    for (const size_t part : {3, 4, 5, 6}) {  // eighths, behind the first pictures
      const size_t at = bytes.size() * part / 8 + random() % 500;
      for (size_t i = at; i < at + 12; ++i) bytes[i] = static_cast<char>(random());
    }
    test::write_text(folder / "broken", bytes);
    const std::string error = told(folder / "broken", false), concealed = told(folder / "broken", true);
    EXPECT_NE(error.find("[" + (folder / "broken").string() + "] frame "), std::string::npos) << error;
    EXPECT_NE(concealed.find("broken and concealed"), std::string::npos) << concealed;
    for (int run = 1; run < 50; ++run) {
      ASSERT_EQ(told(folder / "broken", false), error) << "run " << run;
      ASSERT_EQ(told(folder / "broken", true), concealed) << "run " << run;
    }
  }
}

TEST(Damage, AClipCutOffIsAnErrorOrSampledFromWhatThereIs) {
  const test::TemporaryFolder folder;
  ASSERT_TRUE(make_clip(
      folder / "whole",
      {.encoder = "mpeg4", .container = "mp4", .frames = 400, .file_options = {{"moov_size", "30000"}}}));
  const std::string whole = test::read_text(folder / "whole");
  test::write_text(folder / "cut.mp4", whole.substr(0, whole.size() * 3 / 4));
  const auto reader = VideoReader::open(folder / "cut.mp4");
  EXPECT_EQ(reader->info().total_frames, 400);
  EXPECT_THROW(read_all(*reader), Error);
  reader->skip_broken_frames(true);
  EXPECT_THROW(read_all(*reader), ClipEnded);
  EXPECT_LT(reader->info().total_frames, 400);
  EXPECT_EQ(static_cast<int64_t>(read_all(*reader).size()), reader->info().total_frames);
}

// A clip that was cut out of another without its first key frame, or in front of pictures that refer to it.
TEST(Count, ClipsCutInsideOfAGroupHaveWhatTheDecoderGives) {
  const std::vector<std::pair<const char*, const char*>> open_groups = {
      {"x264-params", "open-gop=1:b-adapt=0:scenecut=0:log-level=none"}};
  const std::vector<std::pair<ClipRecipe, int>> cuts = {
      {{"mpeg4", "matroska", 60, 24, 2}, 1},
      {{"mpeg4", "matroska", 60, 24, 0}, 1},
      {{"libx264", "matroska", 60, 20, 3, open_groups}, 0},  // 0: in front of the second group
      {{"mpeg2video", "matroska", 60, 20, 2}, 0}};
  int made = 0;
  for (const auto& [recipe, packets] : cuts) {
    for (const char* container : {"matroska", "avi"}) {
      SCOPED_TRACE(fmt::format("{} {} {}", recipe.encoder, recipe.b_frames, container));
      const test::TemporaryFolder folder;
      if (!make_clip(folder / "clip", recipe)) continue;
      if (!put_into(folder / "clip", folder / "cut", container, {}, packets > 0 ? packets : recipe.group))
        continue;
      ++made;
      const auto reader = VideoReader::open(folder / "cut");
      EXPECT_EQ(reader->info().total_frames, test::frames_decoded(folder / "cut"));
      EXPECT_NEAR(reader->info().duration_s, static_cast<double>(reader->info().total_frames) / 25, 0.2);
      const std::vector<uint64_t> hashes = read_all(*reader);
      EXPECT_EQ(static_cast<int64_t>(hashes.size()), reader->info().total_frames);
      share_decoded(*reader, hashes);
    }
  }
  EXPECT_GT(made, 0);
}

}  // namespace
}  // namespace vl3
