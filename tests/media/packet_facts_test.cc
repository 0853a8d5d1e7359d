// What packets say of themselves, byte by byte.

#include "media/packet_facts.h"

#include <gtest/gtest.h>

#include <vector>

#include "media/bit_reader.h"

namespace vl3 {
namespace {

// The facts of packets of one stream, each with FFmpeg's padding behind it.
std::vector<PacketFacts> facts_of(AVCodecID codec, const std::vector<std::vector<uint8_t>>& packets,
                                  int flags = AV_PKT_FLAG_KEY) {
  AVCodecParameters* parameters = avcodec_parameters_alloc();
  parameters->codec_type = AVMEDIA_TYPE_VIDEO;
  parameters->codec_id = codec;
  PacketInspector inspector(*parameters, false);
  avcodec_parameters_free(&parameters);
  std::vector<PacketFacts> facts;
  for (std::vector<uint8_t> bytes : packets) {
    AVPacket* packet = av_packet_alloc();
    packet->size = static_cast<int>(bytes.size());
    bytes.resize(bytes.size() + AV_INPUT_BUFFER_PADDING_SIZE);
    packet->data = bytes.data();
    packet->flags = flags;
    facts.push_back(inspector(*packet));
    av_packet_free(&packet);
  }
  return facts;
}

TEST(PacketFacts, BitsAndGolombCodes) {
  const std::vector<uint8_t> bytes = {0b10100011, 0b00100001, 0b10000000};
  BitReader bits(bytes);
  EXPECT_EQ(bits.golomb(), 0U);  // 1
  EXPECT_EQ(bits.golomb(), 1U);  // 010
  EXPECT_EQ(bits.golomb(), 5U);  // 00110
  EXPECT_FALSE(bits.ended());
  EXPECT_EQ(bits.bits(3), 2U);
  bits.skip(100);
  EXPECT_EQ(bits.bits(8), 0U);
  EXPECT_TRUE(bits.ended());
}

TEST(PacketFacts, OfInvisibleFrames) {
  const auto vp8 = facts_of(AV_CODEC_ID_VP8, {{0x10, 0, 0}, {0x11, 0, 0}, {0x01, 0, 0}, {}});
  EXPECT_EQ(vp8[0].shown, 1);
  EXPECT_TRUE(vp8[0].entry);
  EXPECT_EQ(vp8[1].shown, 1);
  EXPECT_FALSE(vp8[1].entry);
  EXPECT_EQ(vp8[2].shown, 0);
  EXPECT_EQ(vp8[3].shown, 0);
  // VP9: a key frame that is shown, one that is not, one that shows another, and a superframe of a hidden and
  // a shown one (of 2 bytes each).
  const auto vp9 =
      facts_of(AV_CODEC_ID_VP9,
               {{0x82, 0x49}, {0x84, 0x00}, {0x88, 0x00}, {0x84, 0x00, 0x86, 0x00, 0xc1, 2, 2, 0xc1}});
  EXPECT_EQ(vp9[0].shown, 1);
  EXPECT_TRUE(vp9[0].entry);
  EXPECT_EQ(vp9[1].shown, 0);
  EXPECT_FALSE(vp9[1].entry);
  EXPECT_EQ(vp9[2].shown, 1);
  EXPECT_EQ(vp9[3].shown, 1);
  // AV1: a temporal delimiter, a sequence header and a shown key frame; a hidden inter frame; one that shows
  // another.
  const auto av1 =
      facts_of(AV_CODEC_ID_AV1, {{0x12, 0, 0x0a, 1, 0x00, 0x32, 1, 0x10}, {0x32, 1, 0x20}, {0x1a, 1, 0x80}});
  EXPECT_EQ(av1[0].shown, 1);
  EXPECT_TRUE(av1[0].entry);
  EXPECT_EQ(av1[1].shown, 0);
  EXPECT_EQ(av1[2].shown, 1);
  EXPECT_FALSE(av1[2].entry);
}

TEST(PacketFacts, OfRecoveryPoints) {
  const std::vector<uint8_t> slice = {0, 0, 1, 0x41, 0x9a};
  const auto with_sei = [&](uint8_t payload) {  // recovery point SEI: frames to wait for, exact, broken link
    std::vector<uint8_t> bytes = {0, 0, 1, 0x06, 6, 1, payload, 0x80};
    bytes.insert(bytes.end(), slice.begin(), slice.end());
    return bytes;
  };
  const auto facts = facts_of(AV_CODEC_ID_H264, {{0, 0, 0, 1, 0x65, 0x88},
                                                 slice,
                                                 with_sei(0b11000100),    // 0, exact
                                                 with_sei(0b10000100),    // 0, about right
                                                 with_sei(0b11100100),    // 0, exact, broken link
                                                 with_sei(0b01010010)});  // 1, exact
  EXPECT_TRUE(facts[0].entry);
  EXPECT_FALSE(facts[1].entry);
  EXPECT_TRUE(facts[2].entry);
  EXPECT_FALSE(facts[3].entry);
  EXPECT_FALSE(facts[4].entry);
  EXPECT_FALSE(facts[5].entry);
}

TEST(PacketFacts, TheOrderFollowsFromPictureTypes) {
  const auto picture = [](int type) {
    return std::vector<uint8_t>{0, 0, 1, 0, 0, static_cast<uint8_t>(type << 3), 0};
  };
  // I P B B P: shown I B B P P.
  const auto facts =
      facts_of(AV_CODEC_ID_MPEG2VIDEO, {picture(1), picture(2), picture(3), picture(3), picture(2)});
  EXPECT_TRUE(facts[0].entry);
  EXPECT_FALSE(facts[1].entry);
  EXPECT_LT(facts[0].order, facts[2].order);
  EXPECT_LT(facts[2].order, facts[3].order);
  EXPECT_LT(facts[3].order, facts[1].order);
  EXPECT_LT(facts[1].order, facts[4].order);
}

}  // namespace
}  // namespace vl3
