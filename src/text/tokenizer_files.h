#pragma once
// What the files of a checkpoint folder say of its tokenizer.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pretokenize.h"
#include "text/vocabulary.h"

namespace vl3 {

struct TokenizerSpec {
  Vocabulary vocabulary;
  std::vector<Bpe::Merge> merges;
  std::string origin;  // the file of the vocabulary
  std::vector<SplitStep> steps{SplitStep{}};
  bool nfc = true;
  bool ignore_merges = false;  // a word that is a token is it, whether merges lead there or not
  int32_t unknown_id = -1;     // stands for bytes without a token; -1: they are left out
  bool fuse_unknown = false;   // one for a run of them
  std::vector<AddedToken> added;
  std::optional<int32_t> bos_id, eos_id, pad_id;
};

// Everything as Tokenizer::from_pretrained says, errors too.
TokenizerSpec load_tokenizer_spec(const std::filesystem::path& folder);

// The parts of that.
// tokenizer.json: vocabulary, merges, pipeline, added tokens.
void load_tokenizer_json(const std::filesystem::path& path, TokenizerSpec& spec);
// vocab.json and merges.txt: vocabulary and merges.
void load_vocabulary_files(const std::filesystem::path& vocab, const std::filesystem::path& merges,
                           TokenizerSpec& spec);
// tokenizer_config.json: added tokens and the names of special ones. Where added_tokens_decoder is there it
// replaces the added tokens of tokenizer.json for Qwen2 tokenizers, as in the reference, and completes them
// for others. from_json: the vocabulary came from tokenizer.json.
void load_tokenizer_config(const std::filesystem::path& path, bool from_json, TokenizerSpec& spec);

// Tokens of a merge by their spellings. name(): "[file] merges[7]" for the errors: kFormat where one of the
// tokens, or the one they make, is not in the vocabulary.
Bpe::Merge find_merge(const Vocabulary& vocabulary, std::string_view left, std::string_view right,
                      std::string_view origin, std::string_view field, size_t index);
// The two halves of "left right"; kFormat for anything else.
std::pair<std::string_view, std::string_view> split_merge(std::string_view line, std::string_view origin,
                                                          std::string_view field, size_t index);

inline constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;

}  // namespace vl3
