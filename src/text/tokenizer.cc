#include "vl3/tokenizer.h"

#include <deque>

#include "base/check.h"
#include "base/model_folder.h"
#include "text/nfc.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

namespace vl3 {
namespace {

constexpr size_t kMaxTextBytes = size_t{256} << 20;

// One call of encode: pieces between added tokens are joined, then cut into words and merged.
class EncodeCall {
 public:
  explicit EncodeCall(const Tokenizer::Parts& parts) : parts_(parts) {}

  void plain(std::string_view text) {
    if (text.empty()) return;
    if (pending_.empty()) {
      pending_ = text;
      return;
    }
    if (pending_.data() != joined_.data()) joined_ = pending_;
    joined_ += text;
    pending_ = joined_;
  }

  void parsed(std::string_view text) {
    std::vector<AddedTokenMatcher::Piece> pieces;
    parts_.verbatim.split(text, pieces);
    for (const auto& piece : pieces) {
      if (piece.id >= 0) {
        token(piece.id);
      } else if (parts_.normalized.empty()) {
        plain(piece.text);
      } else {
        parsed_normalized(piece.text);
      }
    }
  }

  // text that lives as long as the call
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  std::vector<int64_t> finish(std::vector<size_t>* recognised) {
    flush();
    if (recognised != nullptr) *recognised = std::move(recognised_);
    return std::move(ids_);
  }

 private:
  void token(int64_t id) {
    flush();
    recognised_.push_back(ids_.size());
    ids_.push_back(id);
  }

  void parsed_normalized(std::string_view text) {
    std::string normal = to_utf8(text), storage;
    if (parts_.nfc) normal = std::string(to_nfc(normal, storage));
    std::vector<AddedTokenMatcher::Piece> pieces;
    const std::string_view kept = keep(std::move(normal));
    parts_.normalized.split(kept, pieces);
    if (pieces.size() == 1 && pieces[0].id < 0) return plain(text);
    for (const auto& piece : pieces) {
      if (piece.id >= 0) {
        token(piece.id);
      } else {
        plain(piece.text);
      }
    }
  }

  void flush() {
    if (pending_.empty()) return;
    std::string repaired, normal;
    std::string_view text = pending_;
    if (!is_utf8(text)) {
      repaired = to_utf8(text);
      text = repaired;
    }
    if (parts_.nfc) text = to_nfc(text, normal);
    parts_.pretokenizer.words(text, [&](std::string_view word) {
      const int32_t whole = parts_.vocabulary.find_bytes(word);
      if (whole >= 0 && parts_.vocabulary.is_direct(whole)) {
        ids_.push_back(whole);
      } else {
        parts_.bpe.encode(word, scratch_, ids_);
      }
    });
    pending_ = {};
    joined_.clear();
  }

  const Tokenizer::Parts& parts_;
  std::string_view pending_;  // not yet tokenised: the caller's text, or joined_
  std::string joined_;
  std::deque<std::string> kept_;
  Bpe::Scratch scratch_;
  std::vector<int64_t> ids_;
  std::vector<size_t> recognised_;  // places of added tokens
};

void check_id(int64_t id) {
  require(id >= 0, ErrorCode::kInvalidArgument, "[tokenizer] id {} is negative", id);
}

}  // namespace

Tokenizer::Parts::Parts(TokenizerSpec spec)
    : vocabulary(std::move(spec.vocabulary)),
      bpe(vocabulary, spec.merges, {spec.unknown_id, spec.fuse_unknown}, spec.origin),
      pretokenizer(std::move(spec.steps)),
      nfc(spec.nfc),
      bos_id(spec.bos_id),
      eos_id(spec.eos_id),
      pad_id(spec.pad_id) {
  // Most words of text are a token that merging would arrive at: known beforehand, they cost a look-up.
  Bpe::Scratch scratch;
  std::vector<int64_t> ids;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.is_of_bytes(id)) continue;
    ids.clear();
    if (!spec.ignore_merges) bpe.encode(vocabulary.bytes(id), scratch, ids);
    if (spec.ignore_merges || (ids.size() == 1 && ids[0] == id)) vocabulary.make_direct(id);
  }
  for (const AddedToken& token : spec.added) {
    std::string storage;
    if (!token.normalized) {
      verbatim.add(token, token.content);
    } else {
      normalized.add(token, nfc ? to_nfc(token.content, storage) : token.content);
    }
  }
}

Tokenizer::Tokenizer(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}

Tokenizer Tokenizer::from_pretrained(const std::filesystem::path& folder) {
  return Tokenizer(std::make_shared<const Parts>(load_tokenizer_spec(model_folder(folder))));
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, bool parse_special) const {
  const TextSpan span{text, parse_special};
  return encode(std::span(&span, 1));
}

std::vector<int64_t> Tokenizer::encode(std::span<const TextSpan> spans,
                                       std::vector<size_t>* recognised) const {
  size_t bytes = 0;
  for (const TextSpan& span : spans) bytes += span.text.size();
  require(bytes <= kMaxTextBytes, ErrorCode::kLimitExceeded,
          "[tokenizer] the text has {} bytes, more than the limit of {}", bytes, kMaxTextBytes);
  EncodeCall call(*parts_);
  for (size_t i = 0; i < spans.size();) {
    if (!spans[i].parse_special) {
      call.plain(spans[i++].text);
      continue;
    }
    size_t end = i + 1;
    while (end < spans.size() && spans[end].parse_special) ++end;
    std::string_view text = spans[i].text;
    if (end > i + 1) {
      std::string joined;
      for (size_t j = i; j < end; ++j) joined += spans[j].text;
      text = call.keep(std::move(joined));
    }
    call.parsed(text);
    i = end;
  }
  return call.finish(recognised);
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int64_t id : ids) {
    check_id(id);
    if (!skip_special || !parts_->vocabulary.is_special(id)) bytes += parts_->vocabulary.bytes(id);
  }
  return is_utf8(bytes) ? bytes : to_utf8(bytes);
}

std::optional<int64_t> Tokenizer::token_to_id(std::string_view token) const {
  return parts_->vocabulary.find_spelling(token);
}

std::string Tokenizer::id_to_token(int64_t id) const {
  require(parts_->vocabulary.has(id), ErrorCode::kInvalidArgument,
          "[tokenizer] no token has the id {} (ids go to {})", id, vocab_size() - 1);
  return parts_->vocabulary.spelling(static_cast<int32_t>(id));
}

std::string_view Tokenizer::token_bytes(int64_t id) const {
  check_id(id);
  return parts_->vocabulary.bytes(id);
}

bool Tokenizer::is_special(int64_t id) const { return parts_->vocabulary.is_special(id); }
bool Tokenizer::is_added(int64_t id) const { return parts_->vocabulary.is_added(id); }
int64_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }
std::optional<int64_t> Tokenizer::bos_id() const { return parts_->bos_id; }
std::optional<int64_t> Tokenizer::eos_id() const { return parts_->eos_id; }
std::optional<int64_t> Tokenizer::pad_id() const { return parts_->pad_id; }

}  // namespace vl3
