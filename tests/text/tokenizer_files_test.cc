// Files of tokenizers that are broken or of another kind: each an error that names file and field.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "text/media_tokens.h"
#include "text/tokenizer_support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
using test::data_path;
using test::read_text;
using test::write_text;

std::string error_of(const fs::path& folder, ErrorCode code) {
  try {
    Tokenizer::from_pretrained(folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

struct Broken {
  const char* name;
  std::function<void(Json&)> change;
  ErrorCode code;
  const char* says;  // besides the file
};

int check_broken(const char* file, const std::vector<Broken>& cases,
                 std::initializer_list<const char*> others) {
  const Json good = Json::parse(read_text(data_path("text/qwen2") / file));
  for (const Broken& broken : cases) {
    const test::TemporaryFolder folder;
    for (const char* other : others) fs::copy_file(data_path("text/qwen2") / other, folder / other);
    Json json = good;
    broken.change(json);
    write_text(folder / file, json.dump());
    const std::string error = error_of(folder.path(), broken.code);
    EXPECT_NE(error.find(broken.says), std::string::npos) << broken.name << ": " << error;
    EXPECT_NE(error.find(folder.path().string()), std::string::npos) << broken.name << ": " << error;
  }
  return static_cast<int>(cases.size());
}

constexpr ErrorCode kFormat = ErrorCode::kFormat, kUnsupported = ErrorCode::kUnsupported;

// Editors of other systems write a byte order mark, or UTF-16.
TEST(TokenizerFiles, AByteOrderMarkChangesNothingAndUtf16IsNamed) {
  const fs::path good = data_path("text/qwen2");
  const std::vector<int64_t> wanted =
      Tokenizer::from_pretrained(good).encode("a red <|im_end|> circle", true);
  for (const bool whole : {true, false}) {  // with tokenizer.json, and with vocab.json and merges.txt
    const test::TemporaryFolder folder;
    for (const fs::directory_entry& entry : fs::directory_iterator(good)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && (whole || name != "tokenizer.json"))
        write_text(folder / name, "\xef\xbb\xbf" + read_text(entry.path()));
    }
    EXPECT_EQ(Tokenizer::from_pretrained(folder.path()).encode("a red <|im_end|> circle", true), wanted);
    const std::string file = whole ? "tokenizer.json" : "merges.txt";
    write_text(folder / file, std::string("\xff\xfe{\0}\0", 6));
    EXPECT_NE(error_of(folder.path(), kFormat).find(file + "] is UTF-16"), std::string::npos);
  }
}

TEST(TokenizerFiles, BrokenTokenizerJson) {
  const int count = check_broken(
      "tokenizer.json",
      {
          {"no model", [](Json& j) { j.erase("model"); }, kFormat, "model"},
          {"model a list", [](Json& j) { j["model"] = Json::array(); }, kFormat, "model should be an object"},
          {"no vocabulary", [](Json& j) { j["model"].erase("vocab"); }, kFormat, "model.vocab"},
          {"vocabulary a string", [](Json& j) { j["model"]["vocab"] = "a"; }, kFormat,
           "model.vocab should be"},
          {"vocabulary empty", [](Json& j) { j["model"]["vocab"] = Json::object(); }, kFormat,
           "not in the vocabulary"},
          {"id a string", [](Json& j) { j["model"]["vocab"]["a"] = "7"; }, kFormat, "model.vocab[\"a\"]"},
          {"id a fraction", [](Json& j) { j["model"]["vocab"]["a"] = 1.5; }, kFormat, "model.vocab[\"a\"]"},
          {"id negative", [](Json& j) { j["model"]["vocab"]["a"] = -1; }, kFormat, "id -1"},
          {"id huge", [](Json& j) { j["model"]["vocab"]["a"] = int64_t{1} << 40; }, kFormat, "1099511627776"},
          {"id beyond 64 bits", [](Json& j) { j["model"]["vocab"]["a"] = UINT64_MAX; }, kFormat,
           "model.vocab[\"a\"]"},
          {"id twice", [](Json& j) { j["model"]["vocab"]["a"] = j["model"]["vocab"]["b"]; }, kFormat,
           "two tokens"},
          {"no bytes",
           [](Json& j) {
             j["model"]["vocab"] = {{"hello", 0}};
             j["model"]["merges"] = Json::array();
           },
           kFormat, "no token for any single byte"},
          {"unknown token missing",
           [](Json& j) {
             j["model"]["vocab"].erase("\u00c0");
             j["model"]["unk_token"] = "<unk>";
           },
           kFormat, "model.unk_token is \"<unk>\""},
          {"byte fallback",
           [](Json& j) {
             j["model"]["vocab"].erase("\u00c0");
             j["model"]["byte_fallback"] = true;
           },
           kUnsupported, "SentencePiece"},
          {"no merges", [](Json& j) { j["model"].erase("merges"); }, kFormat, "model.merges"},
          {"merges a number", [](Json& j) { j["model"]["merges"] = 3; }, kFormat, "model.merges should be"},
          {"merge a number", [](Json& j) { j["model"]["merges"][2] = 3; }, kFormat, "model.merges[2]"},
          {"merge of one", [](Json& j) { j["model"]["merges"][2] = {"a"}; }, kFormat, "model.merges[2]"},
          {"merge of numbers",
           [](Json& j) {
             j["model"]["merges"][2] = {1, 2};
           },
           kFormat, "model.merges[2]"},
          {"merge text", [](Json& j) { j["model"]["merges"][2] = "abc"; }, kFormat, "model.merges[2]"},
          {"merge of three", [](Json& j) { j["model"]["merges"][2] = "a b c"; }, kFormat, "model.merges[2]"},
          {"merge unknown",
           [](Json& j) {
             j["model"]["merges"][2] = {"nope", "a"};
           },
           kFormat, "\"nope\""},
          {"merge makes unknown",
           [](Json& j) {
             j["model"]["merges"][2] = {"~", "~"};
           },
           kFormat, "\"~~\""},
          {"other model", [](Json& j) { j["model"]["type"] = "Unigram"; }, kUnsupported, "SentencePiece"},
          {"words", [](Json& j) { j["model"]["type"] = "WordPiece"; }, kUnsupported, "WordPiece"},
          {"model type a number", [](Json& j) { j["model"]["type"] = 1; }, kFormat, "model.type"},
          {"dropout", [](Json& j) { j["model"]["dropout"] = 0.1; }, kUnsupported, "dropout"},
          {"prefix", [](Json& j) { j["model"]["continuing_subword_prefix"] = "##"; }, kUnsupported, "##"},
          {"suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, kUnsupported, "</w>"},
          {"ignore_merges", [](Json& j) { j["model"]["ignore_merges"] = 1; }, kFormat, "ignore_merges"},
          {"normalizer", [](Json& j) { j["normalizer"]["type"] = "NFKC"; }, kUnsupported, "NFKC"},
          {"normalizer a list", [](Json& j) { j["normalizer"] = Json::array(); }, kFormat, "normalizer"},
          {"no pre-tokenizer", [](Json& j) { j["pre_tokenizer"] = nullptr; }, kUnsupported, "pre_tokenizer"},
          {"pre-tokenizer",
           [](Json& j) {
             j["pre_tokenizer"] = {{"type", "Metaspace"}};
           },
           kUnsupported, "SentencePiece"},
          {"normalizer of SentencePiece",
           [](Json& j) {
             j["normalizer"] = {{"type", "Prepend"}, {"prepend", "\u2581"}};
           },
           kUnsupported, "SentencePiece"},
          {"steps behind bytes",
           [](Json& j) {
             j["pre_tokenizer"]["pretokenizers"].push_back({{"type", "Digits"}, {"individual_digits", true}});
           },
           kUnsupported, "behind ByteLevel"},
          {"no bytes in the end", [](Json& j) { j["pre_tokenizer"]["pretokenizers"].erase(1); }, kUnsupported,
           "ByteLevel"},
          {"no steps", [](Json& j) { j["pre_tokenizer"]["pretokenizers"] = Json::array(); }, kUnsupported,
           "pre_tok"},
          {"pattern",
           [](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "[\\p{L}\\p{M}]+"; },
           kUnsupported, "\\\\p{M}"},
          {"pattern a string",
           [](Json& j) {
             j["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"String", " "}};
           },
           kUnsupported, "String"},
          {"behavior", [](Json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; },
           kUnsupported, "Removed"},
          {"numbers removed",
           [](Json& j) {
             Json& step = j["pre_tokenizer"]["pretokenizers"][0];
             step["pattern"]["Regex"] = "\\p{N}";
             step["behavior"] = "Removed";
             step["invert"] = true;
           },
           kUnsupported, "Removed"},
          {"decoder",
           [](Json& j) {
             j["decoder"] = {{"type", "Metaspace"}};
           },
           kUnsupported, "decoder"},
          {"post-processor",
           [](Json& j) {
             j["post_processor"] = {{"type", "TemplateProcessing"}};
           },
           kUnsupported, "TemplateProcessing"},
          {"special tokens around a text",
           [](Json& j) {
             const Json special = {{"SpecialToken", {{"id", "<|im_start|>"}, {"type_id", 0}}}};
             const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
             j["post_processor"] = {{"type", "TemplateProcessing"}, {"single", {special, text}}};
           },
           kUnsupported, "adds no special tokens"},
          {"added a number", [](Json& j) { j["added_tokens"] = 1; }, kFormat, "added_tokens should be"},
          {"added without id", [](Json& j) { j["added_tokens"][1].erase("id"); }, kFormat,
           "added_tokens[1] has no"},
          {"added without content", [](Json& j) { j["added_tokens"][1].erase("content"); }, kFormat,
           "\"content\""},
          {"added content a number", [](Json& j) { j["added_tokens"][1]["content"] = 1; }, kFormat,
           "added_tokens[1].content"},
          {"added id a string", [](Json& j) { j["added_tokens"][1]["id"] = "x"; }, kFormat,
           "added_tokens[1].id"},
          {"added id negative", [](Json& j) { j["added_tokens"][1]["id"] = -7; }, kFormat, "id -7"},
          {"added id huge", [](Json& j) { j["added_tokens"][1]["id"] = 1e9; }, kFormat, "added_tokens[1].id"},
          {"added id large", [](Json& j) { j["added_tokens"][1]["id"] = 1000000000; }, kFormat, "1000000000"},
          {"added id taken", [](Json& j) { j["added_tokens"][1]["id"] = 5; }, kFormat, "two tokens"},
          {"added twice", [](Json& j) { j["added_tokens"][1]["content"] = j["added_tokens"][0]["content"]; },
           kFormat, "<|endoftext|>"},
          {"added empty", [](Json& j) { j["added_tokens"][1]["content"] = ""; }, kFormat, "is empty"},
          {"added flag", [](Json& j) { j["added_tokens"][1]["lstrip"] = "yes"; }, kFormat,
           "added_tokens[1].lstrip"},
          {"added elsewhere",
           [](Json& j) {
             j["added_tokens"].push_back({{"id", 3000}, {"content", "a"}});
           },
           kFormat, "\"a\""},
          {"the file a list",
           [](Json& j) {
             j = Json::array({1, 2});
           },
           kFormat, "the file should be an object"},
          {"the file a number", [](Json& j) { j = 1; }, kFormat, "the file should be an object"},
      },
      {});
  std::printf("%d broken tokenizer.json, each refused by name\n", count);
}

TEST(TokenizerFiles, BrokenTokenizerConfig) {
  const auto decoder = [](Json& j) -> Json& { return j["added_tokens_decoder"]; };
  const int count = check_broken(
      "tokenizer_config.json",
      {
          {"a list", [](Json& j) { j = Json::array(); }, kFormat, "should be a JSON object"},
          {"decoder a list", [&](Json& j) { decoder(j) = Json::array(); }, kFormat, "added_tokens_decoder"},
          {"key a word",
           [&](Json& j) {
             decoder(j)["x"] = {{"content", "y"}};
           },
           kFormat, "\"x\""},
          {"key negative",
           [&](Json& j) {
             decoder(j)["-1"] = {{"content", "y"}};
           },
           kFormat, "\"-1\""},
          {"key huge",
           [&](Json& j) {
             decoder(j)["99999999999999999999"] = {{"content", "y"}};
           },
           kFormat, "9999999"},
          {"key large",
           [&](Json& j) {
             decoder(j)["2000000000"] = {{"content", "y"}};
           },
           kFormat, "2000000000"},
          {"key taken",
           [&](Json& j) {
             decoder(j)["3"] = {{"content", "y!y"}};
           },
           kFormat, "id 3"},
          {"value a string", [&](Json& j) { decoder(j)["9000"] = "y"; }, kFormat, "9000"},
          {"no content", [&](Json& j) { decoder(j)["9000"] = Json::object(); }, kFormat, "content"},
          {"content a number",
           [&](Json& j) {
             decoder(j)["9000"] = {{"content", 3}};
           },
           kFormat, "content"},
          {"content empty",
           [&](Json& j) {
             decoder(j)["9000"] = {{"content", ""}};
           },
           kFormat, "9000"},
          {"flag",
           [&](Json& j) {
             decoder(j)["9000"] = {{"content", "y"}, {"special", 1}};
           },
           kFormat, "special"},
          {"content twice",
           [&](Json& j) {
             decoder(j)["9000"] = {{"content", "<|im_end|>"}};
           },
           kFormat, "9000"},
          {"eos a number", [](Json& j) { j["eos_token"] = 5; }, kFormat, "eos_token"},
          {"eos an empty object", [](Json& j) { j["eos_token"] = Json::object(); }, kFormat, "eos_token"},
          {"extra a string", [](Json& j) { j["additional_special_tokens"] = "x"; }, kFormat,
           "additional_special"},
          {"extra of numbers", [](Json& j) { j["additional_special_tokens"] = {1}; }, kFormat,
           "additional_special"},
          {"class a number", [](Json& j) { j["tokenizer_class"] = 1; }, kFormat, "tokenizer_class"},
          {"prefix space", [](Json& j) { j["add_prefix_space"] = true; }, kUnsupported, "add_prefix_space"},
          {"end added", [](Json& j) { j["add_eos_token"] = true; }, kUnsupported, "add_eos_token"},
      },
      {"tokenizer.json"});
  std::printf("%d broken tokenizer_config.json, each refused by name\n", count);
}

TEST(TokenizerFiles, BrokenVocabularyFiles) {
  const fs::path good = data_path("text/qwen2");
  const auto with = [&](const std::string& vocab, const std::string& merges, const char* says,
                        ErrorCode code = kFormat) {
    const test::TemporaryFolder folder;
    write_text(folder / "vocab.json", vocab);
    write_text(folder / "merges.txt", merges);
    const std::string error = error_of(folder.path(), code);
    EXPECT_NE(error.find(says), std::string::npos) << error;
    EXPECT_NE(error.find(folder.path().string()), std::string::npos) << error;
  };
  const std::string vocab = read_text(good / "vocab.json"), merges = read_text(good / "merges.txt");
  with("", merges, "vocab.json] is not valid JSON");
  with(vocab.substr(0, vocab.size() / 2), merges, "vocab.json] is not valid JSON");
  with("[]", merges, "object");
  with("{\"a\": null}", merges, "\"a\"");
  with("{\"a\": 0, \"a\": 1}", merges, "twice");
  with("{\"a\": 0, \"b\": 0}", merges, "two tokens");
  with(vocab, merges + "a", "merges.txt] line[");
  with(vocab, merges + "\n", "merges.txt] line[");
  with(vocab, merges + "a b c\n", "merges.txt] line[");
  with(vocab, merges + "nope nope\n", "\"nope\"");
  with(vocab, "#version: 0.2\n" + std::string(3, '\0'), "line[2]");
  with(vocab, "\xFF\xFE", "UTF-8");

  const test::TemporaryFolder other;
  for (const char* name : {"vocab.json", "merges.txt"}) fs::copy_file(good / name, other / name);
  write_text(other / "tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_NE(error_of(other.path(), kUnsupported).find("GPT2Tokenizer"), std::string::npos);
}

TEST(TokenizerFiles, MissingFiles) {
  const test::TemporaryFolder folder;
  EXPECT_NE(error_of(folder.path(), ErrorCode::kNotFound).find("vocab.json"), std::string::npos);
  fs::copy_file(data_path("text/qwen2") / "vocab.json", folder / "vocab.json");
  EXPECT_NE(error_of(folder.path(), ErrorCode::kNotFound).find("merges.txt"), std::string::npos);
  EXPECT_NE(error_of(folder / "nowhere", ErrorCode::kNotFound).find("nowhere"), std::string::npos);
  fs::create_directory(folder / "tokenizer.json");
  EXPECT_NE(error_of(folder.path(), ErrorCode::kIo).find("tokenizer.json"), std::string::npos);
}

// Cut anywhere the file is refused; with any bit flipped it is read or refused, and then works or not, but
// never breaks what it runs in.
TEST(TokenizerFiles, OtherTokenizersAreNamed) {
  for (const auto& [name, word] :
       {std::pair{"tokenizer.model", "SentencePiece"}, std::pair{"spiece.model", "SentencePiece"},
        std::pair{"qwen.tiktoken", "tiktoken"}, std::pair{"tekken.json", "Tekken"},
        std::pair{"vocab.txt", "WordPiece"}}) {
    const test::TemporaryFolder folder;
    write_text(folder / name, "x");
    const std::string error = error_of(folder.path(), kUnsupported);
    EXPECT_NE(error.find(word), std::string::npos) << error;
    EXPECT_NE(error.find(name), std::string::npos) << error;
  }
  const test::TemporaryFolder pointer;
  write_text(pointer / "tokenizer.json",
             "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n");
  EXPECT_NE(error_of(pointer.path(), kUnsupported).find("Git LFS pointer"), std::string::npos);
}

TEST(TokenizerFiles, TokensOfMediaAreFound) {
  const test::TemporaryFolder folder;
  const auto found = [&](const char* settings, const char* config) {
    write_text(folder / "tokenizer_config.json", settings);
    write_text(folder / "config.json", config);
    const MediaTokens tokens = find_media_tokens(folder.path(), Tokenizer::from_pretrained(folder.path()));
    return tokens.image + " " + tokens.video;
  };
  Json file = Json::parse(read_text(data_path("text/qwen2/tokenizer.json")));
  write_text(folder / "tokenizer.json", file.dump());
  const std::string ids = R"("image_token_id": 701, "video_token_id": 702)";
  // The vocabulary has <|image_pad|>, and none for clips.
  EXPECT_EQ(found("{}", ("{" + ids + "}").c_str()), "<|image_pad|> <|im_end|>");
  EXPECT_EQ(found(R"({"image_token": "<tool_call>"})", ("{" + ids + "}").c_str()), "<tool_call> <|im_end|>");
  EXPECT_EQ(found(R"({"extra_special_tokens": {"video_token": "<|endoftext|>"}})", "{}"),
            "<|image_pad|> <|endoftext|>");
  EXPECT_EQ(found("{}", R"({"image_token_index": 700})"), "<|image_pad|> <|endoftext|>");
  // A word of the vocabulary, or nothing at all, cannot stand for a clip.
  for (const char* config : {"{}", R"({"video_token_id": 65})", R"({"video_token_id": 70000})"})
    EXPECT_THROW(found("{}", config), Error) << config;
}

TEST(TokenizerFiles, TruncatedAndFlipped) {
  const std::string good = read_text(data_path("text/added") / "tokenizer.json");
  const test::TemporaryFolder folder;
  std::mt19937 random(9);
  int refused = 0;
  for (int round = 0; round < 100; ++round) {
    write_text(folder / "tokenizer.json", good.substr(0, random() % good.size()));
    EXPECT_NE(error_of(folder.path(), kFormat).find("tokenizer.json] is not valid JSON"), std::string::npos);
  }
  for (int round = 0; round < 500; ++round) {
    std::string bad = good;
    for (int flips = 1 + round % 3; flips > 0; --flips) {
      const size_t at = random() % bad.size();
      bad[at] = static_cast<char>(bad[at] ^ 1 << random() % 8);
    }
    write_text(folder / "tokenizer.json", bad);
    try {
      const Tokenizer tokenizer = Tokenizer::from_pretrained(folder.path());
      const auto ids = tokenizer.encode("Hello [L] two words\u00e9te\u0301<|im_end|> 123 \xFF");
      tokenizer.decode(ids);
    } catch (const Error&) {
      ++refused;
    }
  }
  std::printf("100 truncated files refused; of 500 with flipped bits %d refused\n", refused);
  EXPECT_GT(refused, 400);
}

// What the configuration says beside tokenizer.json.
TEST(TokenizerFiles, SpecialTokensOfTheConfiguration) {
  const test::TemporaryFolder folder;
  fs::copy_file(data_path("text/qwen2") / "tokenizer.json", folder / "tokenizer.json");
  const auto load = [&](const Json& config) {
    write_text(folder / "tokenizer_config.json", config.dump());
    return Tokenizer::from_pretrained(folder.path());
  };
  const Tokenizer plain = Tokenizer::from_pretrained(data_path("text/qwen2"));
  // Named tokens become special; unknown ones get the next ids.
  const Tokenizer named = load({{"eos_token", {{"content", "<tool_call>"}}},
                                {"pad_token", "<pad>"},
                                {"unk_token", nullptr},
                                {"additional_special_tokens", {"<more>"}}});
  EXPECT_TRUE(named.is_special(*named.eos_id()));
  EXPECT_EQ(named.eos_id(), plain.token_to_id("<tool_call>"));
  EXPECT_EQ(named.pad_id(), static_cast<int64_t>(plain.vocab_size()));
  EXPECT_EQ(named.encode("<more>"), std::vector<int64_t>{static_cast<int64_t>(plain.vocab_size()) + 1});
  EXPECT_EQ(named.vocab_size(), plain.vocab_size() + 2);
  // Its list of added tokens is the list for Qwen2, and completes that of the file for others.
  const Json list = {{"5000", {{"content", "<x>"}, {"special", true}}}};
  const Tokenizer alone = load({{"added_tokens_decoder", list},
                                {"unk_token", nullptr},
                                {"pad_token", nullptr},
                                {"eos_token", nullptr},
                                {"tokenizer_class", "Qwen2TokenizerFast"}});
  EXPECT_EQ(alone.encode("<x>"), std::vector<int64_t>{5000});
  EXPECT_GT(alone.encode("<|im_end|>").size(), 1u);
  EXPECT_EQ(alone.decode(std::vector<int64_t>{4000, 5000}), "<x>");
  const Tokenizer both =
      load({{"added_tokens_decoder", list}, {"tokenizer_class", "PreTrainedTokenizerFast"}});
  EXPECT_EQ(both.encode("<x><|im_end|>").size(), 2u);
}

}  // namespace
}  // namespace vl3
