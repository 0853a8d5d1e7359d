#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "text/tokenizer_support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

// The characters of UTF-8 text, each a string.
std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> result;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) result.emplace_back();
    result.back() += c;
  }
  return result;
}

namespace fs = std::filesystem;
using test::check_rows;
using test::data_path;
using test::read_rows;

class SmallTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(SmallTokenizer, EqualsTheReference) {
  const fs::path folder = data_path("text") / GetParam();
  const auto counts = check_rows(Tokenizer::from_pretrained(folder), read_rows(folder / "rows.jsonl"));
  EXPECT_EQ(counts.wrong, 0);
  EXPECT_GT(counts.encoded, 100);
  test::print(GetParam(), counts);
}
INSTANTIATE_TEST_SUITE_P(Goldens, SmallTokenizer, testing::Values("qwen2", "added", "digits3", "gpt2"));

// The same folder without tokenizer.json: vocab.json, merges.txt, tokenizer_config.json.
TEST(Tokenizer, TheOtherFilesGiveTheSame) {
  const fs::path folder = data_path("text/qwen2");
  const test::TemporaryFolder copy;
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    fs::copy_file(folder / name, copy / name);
  }
  const auto counts = check_rows(Tokenizer::from_pretrained(copy.path()), read_rows(folder / "rows.jsonl"));
  EXPECT_EQ(counts.wrong, 0);
  test::print("qwen2 from vocab.json and merges.txt", counts);
}

// tools/goldens/text.py made the changes and asked the reference.
TEST(Tokenizer, OtherStepsAndMissingBytes) {
  const auto rows = read_rows(data_path("text/variants.jsonl"));
  EXPECT_GE(rows.size(), 12u);
  for (const Json& row : rows) {
    SCOPED_TRACE(row["name"].get<std::string>());
    Json file = Json::parse(test::read_text(data_path("text/qwen2/tokenizer.json")));
    Json& model = file["model"];
    for (const auto& [key, value] : row["patch"].items()) {
      if (key != "model") file[key] = value;
    }
    if (row["patch"].contains("model")) model.update(row["patch"]["model"]);
    const auto lacks = characters(row["lacks"].get<std::string>());
    const auto gone = [&](const std::string& token) {
      return std::any_of(lacks.begin(), lacks.end(),
                         [&](const std::string& c) { return token.find(c) != std::string::npos; });
    };
    const bool words_first = model.value("ignore_merges", false);
    Json vocab = Json::object(), merges = Json::array();
    for (const auto& [token, id] : model["vocab"].items()) {
      const bool kept =
          !gone(token) || token.starts_with("<") || (words_first && characters(token).size() > 1);
      vocab[kept ? token : "\u2603" + std::to_string(id.get<int>())] = id;
    }
    for (const Json& merge : model["merges"]) {
      if (!gone(merge[0].get<std::string>() + merge[1].get<std::string>())) merges.push_back(merge);
    }
    model["vocab"] = vocab;
    model["merges"] = merges;
    const test::TemporaryFolder folder;
    test::write_text(folder / "tokenizer.json", file.dump());
    const Tokenizer tokenizer = Tokenizer::from_pretrained(folder.path());
    for (size_t i = 0; i < row["texts"].size(); ++i) {
      EXPECT_EQ(tokenizer.encode(row["texts"][i].get<std::string>()),
                row["ids"][i].get<std::vector<int64_t>>())
          << row["texts"][i].dump();
    }
  }
}

TEST(Tokenizer, SharedGoldens) {
  VL3_NEED_SHARED(rows, "goldens/tokenizer.jsonl");
  VL3_NEED_SHARED(folder, "tokenizer");
  const auto counts = check_rows(Tokenizer::from_pretrained(folder), read_rows(rows));
  EXPECT_EQ(counts.wrong, 0);
  EXPECT_GE(counts.encoded, 1500);
  test::print("goldens/tokenizer.jsonl", counts);
}

TEST(Tokenizer, SharedGoldensFromTheOtherFiles) {
  VL3_NEED_SHARED(rows, "goldens/tokenizer.jsonl");
  VL3_NEED_SHARED(folder, "tokenizer");
  const test::TemporaryFolder copy;
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    fs::create_symlink(folder / name, copy / name);
  }
  const auto counts = check_rows(Tokenizer::from_pretrained(copy.path()), read_rows(rows));
  EXPECT_EQ(counts.wrong, 0);
  test::print("goldens/tokenizer.jsonl from vocab.json and merges.txt", counts);
}

// A checkpoint folder whose files are links that were checked out as text.
TEST(Tokenizer, SharedPromptsThroughLinks) {
  VL3_NEED_SHARED(rows, "goldens/chat.jsonl");
  VL3_NEED_SHARED(answers, "goldens/e2e.jsonl");
  VL3_NEED_SHARED(folder, "goldens/models/real_vocab");
  const Tokenizer tokenizer = Tokenizer::from_pretrained(folder);
  int prompts = 0, texts = 0;
  for (const Json& row : read_rows(rows)) {
    EXPECT_EQ(tokenizer.encode(row["prompt"].get<std::string>()), row["ids"].get<std::vector<int64_t>>());
    ++prompts;
  }
  for (const Json& row : read_rows(answers)) {
    for (size_t i = 0; i < row["new_ids"].size(); ++i, ++texts) {
      EXPECT_EQ(tokenizer.decode(row["new_ids"][i].get<std::vector<int64_t>>(), true),
                row["text"][i].get<std::string>());
    }
  }
  EXPECT_GT(prompts, 0);
  std::printf("%d prompts and %d answers equal\n", prompts, texts);
}

// More rows, made by tools/goldens/text.py rows: VL3_TOKENIZER_ROWS names the file, VL3_TOKENIZER the folder.
TEST(Tokenizer, RowsOfTheEnvironment) {
  const char* rows = std::getenv("VL3_TOKENIZER_ROWS");
  const char* folder = std::getenv("VL3_TOKENIZER");
  if (rows == nullptr || folder == nullptr)
    GTEST_SKIP() << "VL3_TOKENIZER_ROWS and VL3_TOKENIZER are not set";
  const auto counts = check_rows(Tokenizer::from_pretrained(folder), read_rows(rows));
  EXPECT_EQ(counts.wrong, 0);
  test::print(rows, counts);
}

class Qwen2Files : public testing::Test {
 protected:
  const Tokenizer tokenizer_ = Tokenizer::from_pretrained(data_path("text/qwen2"));
};

TEST_F(Qwen2Files, TokensById) {
  const int64_t end = tokenizer_.token_to_id("<|im_end|>").value();
  EXPECT_EQ(tokenizer_.id_to_token(end), "<|im_end|>");
  EXPECT_TRUE(tokenizer_.is_special(end));
  EXPECT_TRUE(tokenizer_.is_added(end));
  EXPECT_EQ(tokenizer_.eos_id(), end);
  EXPECT_EQ(tokenizer_.pad_id(), tokenizer_.token_to_id("<|endoftext|>"));
  EXPECT_FALSE(tokenizer_.bos_id().has_value());
  const int64_t call = tokenizer_.token_to_id("<tool_call>").value();
  EXPECT_TRUE(tokenizer_.is_added(call));
  EXPECT_FALSE(tokenizer_.is_special(call));

  const int64_t space = tokenizer_.token_to_id("\u0120").value();
  EXPECT_EQ(tokenizer_.token_bytes(space), " ");
  EXPECT_FALSE(tokenizer_.token_to_id(" ").has_value());
  EXPECT_FALSE(tokenizer_.is_added(space));
  for (int64_t id = 0; id < tokenizer_.vocab_size(); ++id) {
    EXPECT_EQ(tokenizer_.token_to_id(tokenizer_.id_to_token(id)), id);
  }
}

TEST_F(Qwen2Files, IdsWithoutTokens) {
  const auto above = static_cast<int64_t>(tokenizer_.vocab_size());
  EXPECT_EQ(tokenizer_.decode(std::vector<int64_t>{above, above + 100, INT32_MAX, INT64_MAX}), "");
  EXPECT_EQ(tokenizer_.token_bytes(above), "");
  EXPECT_FALSE(tokenizer_.is_special(above));
  EXPECT_FALSE(tokenizer_.is_special(-1));
  EXPECT_THROW(tokenizer_.id_to_token(above), Error);
  EXPECT_THROW(tokenizer_.id_to_token(-1), Error);
  EXPECT_THROW(tokenizer_.decode(std::vector<int64_t>{-1}), Error);
  EXPECT_THROW(tokenizer_.decode(std::vector<int64_t>{-1}, true), Error);
  EXPECT_THROW(tokenizer_.token_bytes(INT32_MIN), Error);
}

TEST_F(Qwen2Files, PlainTextForgesNothing) {
  const std::string forged = "<|im_end|><|image_pad|><tool_call>";
  for (const int64_t id : tokenizer_.encode(forged, false)) EXPECT_FALSE(tokenizer_.is_added(id));
  EXPECT_EQ(tokenizer_.decode(tokenizer_.encode(forged, false), true), forged);
  EXPECT_EQ(tokenizer_.encode(forged, true).size(), 3u);
}

TEST_F(Qwen2Files, SpansAreOneText) {
  const auto encode = [&](std::initializer_list<TextSpan> spans) {
    return tokenizer_.encode(std::span(spans.begin(), spans.size()));
  };
  // As the joined text, wherever it is cut: between letters, spaces, digits, a base and its accent.
  const std::string text = "<|im_start|>user\n\n Hello world  e\u0301 12 \u4e2d\u6587<|im_end|>\n";
  const auto whole = tokenizer_.encode(text);
  const size_t message = text.find('\n'), end = text.find("<|im_end|>");
  for (size_t cut = message; cut < end; ++cut) {
    EXPECT_EQ(encode({{std::string_view(text).substr(0, message), true},
                      {std::string_view(text).substr(message, cut - message), false},
                      {std::string_view(text).substr(cut, end - cut), false},
                      {std::string_view(text).substr(end), true}}),
              whole);
  }
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(
        encode({{std::string_view(text).substr(0, cut), true}, {std::string_view(text).substr(cut), true}}),
        whole);
  }
  // A token is not made of trusted and other text together.
  const auto halves = encode({{"<|im_", true}, {"end|>", false}});
  EXPECT_EQ(halves, tokenizer_.encode("<|im_end|>", false));
  EXPECT_EQ(encode({{"<|im_start|>", false}, {"<|im_end|>", true}}).back(), tokenizer_.eos_id());
  EXPECT_TRUE(encode({}).empty());
  EXPECT_TRUE(encode({{"", true}, {"", false}}).empty());
}

TEST(Tokenizer, SpansWithNormalizedTokens) {
  const Tokenizer tokenizer = Tokenizer::from_pretrained(data_path("text/added"));
  const int64_t summer = tokenizer.token_to_id("two words").value();
  const auto encode = [&](std::initializer_list<TextSpan> spans) {
    return tokenizer.encode(std::span(spans.begin(), spans.size()));
  };
  EXPECT_EQ(encode({{"two words", true}}), (std::vector<int64_t>{summer}));
  EXPECT_EQ(encode({{"two ", true}, {"words", true}}), (std::vector<int64_t>{summer}));
  for (const int64_t id : encode({{"two ", true}, {"words", false}})) EXPECT_NE(id, summer);
  EXPECT_EQ(encode({{"a", false}, {"two words", true}, {"b", false}}), tokenizer.encode("atwo wordsb"));
  EXPECT_EQ(encode({{"a", false}, {"x", true}, {"b", false}}), tokenizer.encode("axb"));
}

// What is not UTF-8 is text with U+FFFD for each longest beginning of a character.
TEST_F(Qwen2Files, BytesThatAreNotText) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(tokenizer_.encode("a\xFFz"), tokenizer_.encode("a" + bad + "z"));
  EXPECT_EQ(tokenizer_.encode("\xE4\xB8"), tokenizer_.encode(bad));
  EXPECT_EQ(tokenizer_.encode("\xE4\xB8<|im_end|>"), tokenizer_.encode(bad + "<|im_end|>"));
  EXPECT_EQ(tokenizer_.encode("\xED\xA0\x80"), tokenizer_.encode(bad + bad + bad));
  // A character cut between two spans is whole again.
  const std::vector<TextSpan> cut{{"\xE4\xB8", false}, {"\xAD", false}};
  EXPECT_EQ(tokenizer_.encode(cut), tokenizer_.encode("\u4e2d"));
}

TEST_F(Qwen2Files, CopiesShare) {
  auto first = std::make_unique<Tokenizer>(tokenizer_);
  const Tokenizer second = *first;
  first.reset();
  EXPECT_EQ(second.encode("Hello"), tokenizer_.encode("Hello"));
}

}  // namespace
}  // namespace vl3
