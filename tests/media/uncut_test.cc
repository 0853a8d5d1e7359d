// The packets of transport streams, counted as they lie there: the same frames at the same times as with a
// parser, and whatever is not whole is left to it.

#include <gtest/gtest.h>

#include "media/demuxer.h"
#include "media/fnv.h"
#include "media/made_clip.h"
#include "media/packet_facts.h"
#include "support/support.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

using test::ClipRecipe;
using test::make_clip;
using test::put_into;
using Bytes = std::vector<uint8_t>;

constexpr std::pair<const char*, const char*> kPreset{"preset", "veryfast"};

struct Packet {
  Packet() : p(av_packet_alloc()) {}
  ~Packet() { av_packet_free(&p); }
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;
  AVPacket* p;
};

TEST(Uncut, WhatIsOneAccessUnit) {
  const Bytes delimiter = {0, 0, 0, 1, 0x09, 0xf0}, idr = {0, 0, 1, 0x65, 0x88, 0x84};
  const Bytes second = {0, 0, 1, 0x65, 0x48, 0x21};  // macroblock 1
  const auto joined = [](std::initializer_list<Bytes> parts) {
    Bytes bytes;
    for (const Bytes& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
    return bytes;
  };
  EXPECT_TRUE(is_access_unit(joined({delimiter, idr})));
  EXPECT_TRUE(is_access_unit(joined({delimiter, idr, second})));
  EXPECT_TRUE(is_access_unit(idr));
  EXPECT_FALSE(is_access_unit(joined({delimiter, idr, idr})));             // two pictures
  EXPECT_FALSE(is_access_unit(joined({delimiter, idr, delimiter, idr})));  // the same, told apart
  EXPECT_FALSE(is_access_unit(joined({delimiter, second})));               // its beginning is absent
  EXPECT_FALSE(is_access_unit(joined({{0x12}, delimiter, idr})));          // an end comes first
  EXPECT_FALSE(is_access_unit(joined({delimiter, idr, {0}})));             // a zero of the next one
  EXPECT_FALSE(is_access_unit(delimiter));
  EXPECT_FALSE(is_access_unit({}));
}

TEST(Uncut, PacketsOfATransportStreamAreThoseOfTheParser) {
  const test::TemporaryFolder folder;
  if (!make_clip(folder / "clip",
                 {.encoder = "libx264", .container = "mpegts", .b_frames = 3, .options = {kPreset}}))
    GTEST_SKIP() << "no x264 in FFmpeg's libraries here";
  Demuxer cut(MediaSource(folder / "clip"), {});
  const std::unique_ptr<Demuxer> uncut = cut.uncut();
  ASSERT_NE(uncut, nullptr);
  const Packet a, b;
  for (int i = 0; i < 160; ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(cut.next(*a.p), Demuxer::Next::kPacket);
    ASSERT_EQ(uncut->next(*b.p), Demuxer::Next::kPacket);
    EXPECT_TRUE(is_access_unit({b.p->data, static_cast<size_t>(b.p->size)}));
    EXPECT_EQ(Bytes(a.p->data, a.p->data + a.p->size), Bytes(b.p->data, b.p->data + b.p->size));
    EXPECT_EQ(a.p->pts, b.p->pts);
    EXPECT_EQ(a.p->dts, b.p->dts);
    EXPECT_EQ(a.p->pos, b.p->pos);
  }
  EXPECT_EQ(uncut->next(*b.p), Demuxer::Next::kEnd);
  ASSERT_TRUE(put_into(folder / "clip", folder / "other", "matroska"));
  EXPECT_EQ(Demuxer(MediaSource(folder / "other"), {}).uncut(), nullptr);
}

// Behind the packets that are compared anyway.
TEST(Uncut, StreamsThatAreNotAsTheyBegan) {
  const test::TemporaryFolder folder;
  const ClipRecipe recipe{.encoder = "libx264", .container = "mpegts", .b_frames = 2, .options = {kPreset}};
  if (!make_clip(folder / "clip", recipe)) GTEST_SKIP() << "no x264 in FFmpeg's libraries here";
  const std::vector<std::string> once = test::hashes_of(*VideoReader::open(folder / "clip"));
  ASSERT_EQ(once.size(), 160U);
  std::vector<std::string> twice = once;
  twice.insert(twice.end(), once.begin(), once.end());

  // Two pictures in packets 100 and 120.
  ASSERT_TRUE(put_into(folder / "clip", folder / "pairs", "mpegts", {100, 120}));
  EXPECT_EQ(test::hashes_of(*VideoReader::open(folder / "pairs")), once);

  // The clock of 33 bits runs over after 3.7 s.
  ClipRecipe late = recipe;
  late.file_options = {{"output_ts_offset", "95440"}};
  ASSERT_TRUE(make_clip(folder / "late", late));
  const auto reader = VideoReader::open(folder / "late");
  EXPECT_EQ(test::hashes_of(*reader), once);
  EXPECT_TRUE(reader->info().times_s.empty());
  EXPECT_NEAR(reader->info().duration_s, 6.4, 1e-6);

  // Two recordings, the first of which stops inside a picture.
  const std::string bytes = test::read_text(folder / "clip");
  test::write_text(folder / "two", bytes + bytes);
  EXPECT_EQ(test::hashes_of(*VideoReader::open(folder / "two")), twice);
  test::write_text(folder / "part", bytes.substr(0, bytes.size() * 3 / 4 / 188 * 188 - 188) + bytes);
  const auto part = VideoReader::open(folder / "part");
  EXPECT_GT(part->info().total_frames, 160 + 90);
  EXPECT_LT(part->info().total_frames, 160 + 150);
  std::vector<std::string> last;
  const std::vector<int64_t> end = {part->info().total_frames - 1};
  part->read(end, [&](size_t, const Image& frame) { last.push_back(test::fnv(frame.rgb)); });
  EXPECT_EQ(last, (std::vector<std::string>{once.back()}));
}

}  // namespace
}  // namespace vl3
