#include <gtest/gtest.h>

#include <random>

#include "text/tokenizer_support.h"
#include "text/unicode.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using test::data_path;

class StreamDecoding : public testing::Test {
 protected:
  // The id of the token of one byte.
  int64_t byte(unsigned char value) const {
    for (int64_t id = 0; id < tokenizer_.vocab_size(); ++id) {
      if (tokenizer_.token_bytes(id) == std::string_view(reinterpret_cast<const char*>(&value), 1)) return id;
    }
    ADD_FAILURE() << "no token for byte " << int{value};
    return 0;
  }
  const Tokenizer tokenizer_ = Tokenizer::from_pretrained(data_path("text/qwen2"));
};

TEST_F(StreamDecoding, HoldsBackUnfinishedCharacters) {
  StreamDecoder decoder(tokenizer_);
  EXPECT_EQ(decoder.push(byte(0xF0)), "");
  EXPECT_EQ(decoder.push(byte(0x9F)), "");
  EXPECT_EQ(decoder.push(byte(0x99)), "");
  EXPECT_EQ(decoder.push(byte(0x82)), "\U0001F642");
  EXPECT_EQ(decoder.push(byte('a')), "a");
  EXPECT_EQ(decoder.push(byte(0xE4)), "");
  EXPECT_EQ(decoder.push(byte('b')), "\uFFFDb");
  EXPECT_EQ(decoder.push(byte(0x80)), "\uFFFD");
  EXPECT_EQ(decoder.push(byte(0xC3)), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
  EXPECT_EQ(decoder.push(byte('c')), "c");
}

TEST_F(StreamDecoding, SkippedTokensAreNotThere) {
  const int64_t end = *tokenizer_.eos_id();
  StreamDecoder skipping(tokenizer_);
  EXPECT_EQ(skipping.push(byte(0xC3)), "");
  EXPECT_EQ(skipping.push(end), "");
  EXPECT_EQ(skipping.push(byte(0xA9)), "\u00e9");
  StreamDecoder keeping(tokenizer_, false);
  EXPECT_EQ(keeping.push(byte(0xC3)), "");
  EXPECT_EQ(keeping.push(end), "\uFFFD<|im_end|>");
  EXPECT_EQ(keeping.push(1 << 20), "");
  EXPECT_THROW(keeping.push(-5), Error);
}

// Random ids, most of them single bytes that make and break characters.
TEST_F(StreamDecoding, PiecesJoinedAreTheDecodedText) {
  std::mt19937 random(20);
  const unsigned char interesting[] = {0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED,
                                       0xEF, 0xF0, 0xF4, 0xF5, 0xFF, 0x90, 0x8F, 0xE4, 0xF1, 0xC3};
  std::vector<int64_t> bytes;
  for (const unsigned char b : interesting) bytes.push_back(byte(b));
  for (int round = 0; round < 20000; ++round) {
    std::vector<int64_t> ids(random() % 12);
    for (int64_t& id : ids) {
      id = random() % 4 != 0
               ? bytes[random() % bytes.size()]
               : static_cast<int64_t>(random() % static_cast<uint64_t>(tokenizer_.vocab_size() + 2));
    }
    for (const bool skip : {false, true}) {
      StreamDecoder decoder(tokenizer_, skip);
      std::string text;
      for (const int64_t id : ids) {
        const std::string piece = decoder.push(id);
        ASSERT_TRUE(is_utf8(piece));
        text += piece;
      }
      ASSERT_EQ(text + decoder.finish(), tokenizer_.decode(ids, skip)) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace vl3
