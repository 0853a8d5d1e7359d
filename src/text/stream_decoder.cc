#include "text/unicode.h"
#include "vl3/tokenizer.h"

namespace vl3 {

StreamDecoder::StreamDecoder(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

std::string StreamDecoder::push(int64_t id) {
  const std::string_view bytes = tokenizer_.token_bytes(id);
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  held_ += bytes;
  // The first byte of an unfinished character begins one whatever came before, so cutting there changes
  // nothing.
  const size_t whole = held_.size() - unfinished_bytes(held_);
  std::string text = to_utf8(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = to_utf8(held_);
  held_.clear();
  return text;
}

}  // namespace vl3
