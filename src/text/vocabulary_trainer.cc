#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "text/pretokenize.h"
#include "text/unicode.h"
#include "text/vocabulary.h"
#include "vl3/vocabulary.h"

namespace vl3 {
namespace {

constexpr const char* kSplit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

using Pair = std::pair<std::string, std::string>;

// A word on its way to fewer pieces.
struct Word {
  std::vector<std::string> pieces;
  int64_t count = 0;
};

std::map<Pair, int64_t> count_pairs(const std::vector<Word>& words) {
  std::map<Pair, int64_t> pairs;
  for (const Word& word : words) {
    for (size_t i = 0; i + 1 < word.pieces.size(); ++i)
      pairs[{word.pieces[i], word.pieces[i + 1]}] += word.count;
  }
  return pairs;
}

void join(Word& word, const Pair& pair) {
  size_t kept = 0;
  for (size_t i = 0; i < word.pieces.size(); ++i, ++kept) {
    const bool here =
        i + 1 < word.pieces.size() && word.pieces[i] == pair.first && word.pieces[i + 1] == pair.second;
    std::string piece = here ? pair.first + pair.second : std::move(word.pieces[i]);
    if (here) ++i;
    word.pieces[kept] = std::move(piece);
  }
  word.pieces.resize(kept);
}

Json added_token(int64_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

void write_json(const std::filesystem::path& path, const Json& json) {
  AtomicFile file(path);
  file.write(json.dump(1) + "\n");
  file.commit();
}

}  // namespace

void VocabularyTrainer::add(std::string_view text) {
  const std::string valid = to_utf8(text);
  Pretokenizer(SplitRule::kQwen2).words(valid, [&](std::string_view word) { ++words_[std::string(word)]; });
}

std::vector<VocabularyTrainer::Merge> VocabularyTrainer::merges(int64_t count, int64_t min_count) const {
  std::vector<Word> words;
  for (const auto& [text, times] : words_) {
    words.push_back({{}, times});
    for (const char c : text) words.back().pieces.emplace_back(1, c);
  }
  std::vector<Merge> result;
  while (static_cast<int64_t>(result.size()) < count) {
    const std::map<Pair, int64_t> pairs = count_pairs(words);
    const auto best = std::max_element(pairs.begin(), pairs.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == pairs.end() || best->second < min_count) break;
    for (Word& word : words) join(word, best->first);
    result.push_back({best->first.first, best->first.second});
  }
  return result;
}

void write_vocabulary(const std::filesystem::path& folder, const std::vector<std::string>& specials,
                      const std::string& eos, const std::string& pad,
                      const std::vector<VocabularyTrainer::Merge>& merges) {
  for (const std::string& name : {eos, pad}) {
    require(std::find(specials.begin(), specials.end(), name) != specials.end(), ErrorCode::kInvalidArgument,
            "[vocabulary] \"{}\" is not among the special tokens {}", name, fmt::join(specials, ", "));
  }
  Json added = Json::array(), decoder = Json::object(), vocabulary = Json::object(), joined = Json::array();
  int64_t id = 0;
  for (const std::string& special : specials) {
    Json token = added_token(id, special);
    added.push_back(token);
    token.erase("id");
    decoder[std::to_string(id)] = std::move(token);
    vocabulary[special] = id++;
  }
  for (int byte = 0; byte < 256; ++byte)
    vocabulary[spelling_of_bytes(std::string(1, static_cast<char>(byte)))] = id++;
  for (const auto& merge : merges) {
    const std::string left = spelling_of_bytes(merge.left), right = spelling_of_bytes(merge.right);
    joined.push_back({left, right});
    if (!vocabulary.contains(left + right)) vocabulary[left + right] = id++;
  }
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", kSplit}}}, {"behavior", "Isolated"}, {"invert", false}};
  write_json(folder / "tokenizer.json",
             {{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", added},
              {"normalizer", {{"type", "NFC"}}},
              {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}}},
              {"post_processor", nullptr},
              {"decoder", byte_level},
              {"model",
               {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", false},
                {"vocab", vocabulary},
                {"merges", joined}}}});
  write_json(folder / "tokenizer_config.json", {{"tokenizer_class", "Qwen2Tokenizer"},
                                                {"eos_token", eos},
                                                {"pad_token", pad},
                                                {"clean_up_tokenization_spaces", false},
                                                {"added_tokens_decoder", decoder}});
}

}  // namespace vl3
