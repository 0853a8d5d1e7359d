#pragma once
// Text to token ids and back: byte-level BPE, equal to Hugging Face tokenizers for Qwen2 (the reference's
// Qwen2Tokenizer). docs/decisions/text.md says how, and where it differs on purpose.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"

namespace vl3 {

// A stretch of a prompt. Where parse_special is false nothing in it becomes a special or added token.
struct TextSpan {
  std::string_view text;
  bool parse_special = true;
};

// Ids are int64_t wherever they pass from one part to another, as in the reference's tensors: prompts,
// labels, features' names and the network's input are made of the same numbers. Tables inside hold them in 32
// bits.
//
// Immutable once made, cheap to copy (copies share), safe to use from many threads at once.
class VL3_API Tokenizer {
 public:
  // The tokenizer of a checkpoint folder: tokenizer.json, else vocab.json and merges.txt; added tokens and
  // the names of special ones from tokenizer_config.json where it is there. Throws kNotFound (no such
  // files), kFormat (file and field that are wrong), kUnsupported (by name: another model than byte-level
  // BPE, another pattern, normaliser or setting than those docs/decisions/text.md lists), kLimitExceeded.
  static Tokenizer from_pretrained(const std::filesystem::path& folder);

  // Ids of UTF-8 text; what is not UTF-8 counts as U+FFFD, as decode has it. With parse_special, added
  // tokens in it are recognised; without, it is plain text all over, so that nobody can forge a control
  // token. Time O(n log n) whatever the text. Throws kLimitExceeded above 256 MiB.
  std::vector<int64_t> encode(std::string_view text, bool parse_special = true) const;
  // One prompt made of trusted and other spans. Added tokens are recognised inside runs of trusted spans
  // only; everything between two of them is tokenised in one piece across spans, so that the ids are those
  // of the joined text unless it has tokens that are not to be recognised.
  // recognised: where it is given, gets the places in the ids of the added tokens that were recognised.
  std::vector<int64_t> encode(std::span<const TextSpan> spans,
                              std::vector<size_t>* recognised = nullptr) const;

  // The text of ids; bytes that are not UTF-8 come as U+FFFD, one for each longest beginning of a
  // character. As in the reference an id without a token (models pad their vocabulary) is no text. Throws
  // kInvalidArgument for negative ids. Spaces are never cleaned up.
  std::string decode(std::span<const int64_t> ids, bool skip_special = false) const;

  // Tokens as the vocabulary spells them ("Ġthe", "<|im_end|>").
  std::optional<int64_t> token_to_id(std::string_view token) const;
  std::string id_to_token(int64_t id) const;  // throws kInvalidArgument where there is none
  // What an id adds to decoded text, before that is made UTF-8; empty for ids without a token. Throws
  // kInvalidArgument for negative ids. Lives as long as a copy of this tokenizer.
  std::string_view token_bytes(int64_t id) const;
  bool is_special(int64_t id) const;  // what skip_special leaves out; false for ids without a token
  bool is_added(int64_t id) const;    // recognised in text as a whole, special or not

  int64_t vocab_size() const;  // 1 + the largest id, added tokens included
  std::optional<int64_t> bos_id() const;
  std::optional<int64_t> eos_id() const;
  std::optional<int64_t> pad_id() const;

  struct Parts;  // of src/text

 private:
  explicit Tokenizer(std::shared_ptr<const Parts> parts);
  std::shared_ptr<const Parts> parts_;
};

// Tokens to text as they come, never half a character. What push and finish return, joined, is what decode
// gives for all the ids.
class VL3_API StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true);

  std::string push(int64_t id);  // throws kInvalidArgument for a negative id
  std::string finish();          // what was held back, an unfinished character as U+FFFD; then starts anew

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::string held_;  // the beginning of a character, at most three bytes
};

}  // namespace vl3
