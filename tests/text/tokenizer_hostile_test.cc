// Text that would take a quadratic tokenizer minutes, and the parts against slow but plain definitions.
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <random>

#include "text/bpe.h"
#include "text/nfc.h"
#include "text/tokenizer_support.h"
#include "text/unicode.h"

namespace vl3 {
namespace {

using test::data_path;

std::string repeat(std::string_view piece, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += piece;
  return text;
}

TEST(HostileText, TimeGrowsWithTheLength) {
  const Tokenizer tokenizer = Tokenizer::from_pretrained(data_path("text/qwen2"));
  std::mt19937 random(4);
  std::string bytes(1 << 20, '\0'), letters(1 << 20, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  for (char& c : letters) c = "abest"[random() % 5];
  const std::vector<std::pair<const char*, std::string>> texts{
      {"a", repeat("a", 1 << 20)},
      {"spaces", repeat(" ", 1 << 20)},
      {"newlines", repeat("\n", 1 << 20)},
      {"bytes", bytes},
      {"one word", letters},
      {"accents", repeat("\u0301", 1 << 20)},
      {"mixed accents", repeat("\u0301\u0323\u0334", 1 << 20)},
      {"jamo", repeat("\u1100\u1161\u11a8", 1 << 20)},
      {"apostrophes", repeat("'", 1 << 20)},
      {"digits", repeat("7", 1 << 20)},
      {"space newline", repeat(" \n", 1 << 20)},
      {"tokens", repeat("<|im_start|>", 1 << 20)},
      {"half tokens", repeat("<|im_start", 1 << 20)},
      {"punctuation", repeat("<|", 1 << 20)}};
  for (const auto& [name, text] : texts) {
    const std::clock_t start = std::clock();
    const auto ids = tokenizer.encode(text);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("%-14s %zu bytes, %zu ids, %.0f ms\n", name, text.size(), ids.size(), seconds * 1e3);
    EXPECT_FALSE(ids.empty());
    // Of the processor. A quadratic step would take hours; a slow machine with sanitizers is within this.
    EXPECT_LT(seconds, 600) << name;
    std::string storage;
    EXPECT_EQ(tokenizer.decode(ids), to_nfc(to_utf8(text), storage)) << name;
  }
}

TEST(HostileText, AddedTokensAndSpaces) {
  const Tokenizer tokenizer = Tokenizer::from_pretrained(data_path("text/added"));
  for (const char* piece :
       {"[L]  ", "  [R]", " [B] ", "wordword", "caf\u00e9caf\u00e9", "two two ", "[L][L]"}) {
    EXPECT_FALSE(tokenizer.encode(repeat(piece, 1 << 18)).empty());
  }
}

// Merging by its definition: join the leftmost pair of lowest rank until none is left.
TEST(BytePairs, EqualTheirDefinition) {
  std::mt19937 random(31);
  for (int round = 0; round < 40; ++round) {
    Vocabulary vocabulary;
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      vocabulary.add(spelling_of_bytes({&c, 1}), byte, "test");
    }
    std::vector<Bpe::Merge> merges;
    std::map<std::pair<int32_t, int32_t>, size_t> ranks;
    std::vector<int32_t> known{'a', 'b', 'c'};
    for (int i = 0; i < 30; ++i) {
      const int32_t left = known[random() % known.size()], right = known[random() % known.size()];
      const std::string joined = std::string(vocabulary.bytes(left)) + std::string(vocabulary.bytes(right));
      int32_t id = vocabulary.find_bytes(joined);
      if (id < 0) {
        id = static_cast<int32_t>(vocabulary.size());
        vocabulary.add(spelling_of_bytes(joined), id, "test");
        known.push_back(id);
      }
      if (!ranks.emplace(std::pair(left, right), merges.size()).second) continue;
      merges.push_back({left, right, id});
    }
    const Bpe bpe(vocabulary, merges, {}, "test");
    Bpe::Scratch scratch;
    for (int words = 0; words < 60; ++words) {
      std::string word(1 + random() % (words % 2 == 0 ? 40 : 200), 'a');
      for (char& c : word) c = static_cast<char>('a' + random() % 3);
      std::vector<int64_t> want(word.begin(), word.end()), got;
      for (;;) {
        size_t best = SIZE_MAX, where = 0;
        for (size_t i = 0; i + 1 < want.size(); ++i) {
          const auto found = ranks.find({want[i], want[i + 1]});
          if (found != ranks.end() && found->second < best) best = found->second, where = i;
        }
        if (best == SIZE_MAX) break;
        want[where] = merges[best].result;
        want.erase(want.begin() + static_cast<std::ptrdiff_t>(where) + 1);
      }
      bpe.encode(word, scratch, got);
      ASSERT_EQ(got, want) << "round " << round << ", word " << word;
    }
  }
}

TEST(Nfc, LeavesPlainTextWhereItIs) {
  std::string storage;
  for (const std::string text : {"", "plain text", "caf\u00e9 \u4e2d\u6587 \uac00 \U0001F642"}) {
    EXPECT_EQ(to_nfc(text, storage).data(), text.data());
  }
  EXPECT_EQ(to_nfc("cafe\u0301", storage), "caf\u00e9");
  EXPECT_EQ(to_nfc("\u1112\u1161\u11ab", storage), "\ud55c");
  EXPECT_EQ(to_nfc("\u2126\u212b", storage), "\u03a9\u00c5");
  EXPECT_EQ(to_nfc("\u0958", storage), "\u0915\u093c");
  // A composed character comes apart for a mark that belongs between its parts.
  EXPECT_EQ(to_nfc("\u0143\u0323\u0307", storage), "\u1e46\u0301\u0307");
  EXPECT_EQ(to_nfc("\u0117\u0323", storage), "\u1eb9\u0307");
  // Of Unicode 13: the reference's older tables neither join nor move them.
  EXPECT_EQ(to_nfc("\U00011935\U00011930", storage), "\U00011935\U00011930");
  EXPECT_EQ(to_nfc("a\u1abf\u0334", storage), "a\u1abf\u0334");
}

TEST(Utf8, LongestBeginningsAreReplaced) {
  const std::string bad = "\uFFFD";
  EXPECT_EQ(to_utf8("\xF0\x9F\x99"), bad);
  EXPECT_EQ(to_utf8("\xF0\x80\x80"), bad + bad + bad);
  EXPECT_EQ(to_utf8("\xE0\x9F\xBF"), bad + bad + bad);
  EXPECT_EQ(to_utf8("\xF4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(to_utf8("\xC0\xAF"), bad + bad);
  EXPECT_EQ(to_utf8("\xE4\xB8"
                    "A\xC3"),
            bad + "A" + bad);
  EXPECT_EQ(unfinished_bytes("ab\xF0\x9F\x99"), 3u);
  EXPECT_EQ(unfinished_bytes("ab\xE4"), 1u);
  EXPECT_EQ(unfinished_bytes("\xED\xA0"), 0u);
  EXPECT_EQ(unfinished_bytes("\u00e9"), 0u);
  EXPECT_EQ(unfinished_bytes("\x80\x80\x80"), 0u);
  EXPECT_EQ(unfinished_bytes(""), 0u);
}

}  // namespace
}  // namespace vl3
