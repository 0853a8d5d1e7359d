#include "text/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "text/unicode.h"

namespace vl3 {
namespace {

// What is below U+0300, whose UTF-8 begins with 0xCC, is never changed unless such a character follows.
constexpr unsigned char kFirstUnsafeLead = 0xCC;

size_t first_unsafe(std::string_view text, size_t at) {
  const CharacterTable& table = character_table();
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < kFirstUnsafeLead) {
      ++at;  // also the continuation bytes, which are below it
      continue;
    }
    const Character c = character_at(text.data() + at);
    if ((table[c.code] & kNfcUnsafe) != 0) return at;
    at += c.size;
  }
  return at;
}

size_t previous_character(std::string_view text, size_t at) {
  do {
    --at;
  } while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

int32_t combining_class(int32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
}

// Appends the NFC of a region: what stands between two characters that no rule joins or moves.
class RegionComposer {
 public:
  void append(std::string_view region, std::string& out) {
    codes_.clear();
    while (!region.empty()) {
      const Character c = character_at(region.data());
      decompose(static_cast<int32_t>(c.code));
      region.remove_prefix(c.size);
    }
    order();
    const auto composed =
        utf8proc_normalize_utf32(codes_.data(), static_cast<utf8proc_ssize_t>(codes_.size()),
                                 static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    require(composed >= 0, ErrorCode::kInternal, "[nfc] utf8proc: {}", utf8proc_errmsg(composed));
    for (utf8proc_ssize_t i = 0; i < composed; ++i) {
      append_utf8(out, static_cast<char32_t>(codes_[static_cast<size_t>(i)]));
    }
  }

 private:
  void decompose(int32_t c) {
    utf8proc_int32_t parts[16];
    const auto count = utf8proc_decompose_char(
        c, parts, 16, static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), nullptr);
    require(count > 0 && count <= 16, ErrorCode::kInternal, "[nfc] decomposition of U+{:04X}", c);
    codes_.insert(codes_.end(), parts, parts + count);
  }

  // utf8proc orders marks itself, in time quadratic in their number.
  void order() {
    for (size_t i = 0; i < codes_.size();) {
      size_t end = i;
      marks_.clear();
      for (; end < codes_.size(); ++end) {
        const int32_t rank = combining_class(codes_[end]);
        if (rank == 0) break;
        marks_.emplace_back(rank, codes_[end]);
      }
      std::stable_sort(marks_.begin(), marks_.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      for (const auto& mark : marks_) codes_[i++] = mark.second;
      i = end + 1;
    }
  }

  std::vector<utf8proc_int32_t> codes_;
  std::vector<std::pair<int32_t, utf8proc_int32_t>> marks_;
};

}  // namespace

std::string_view to_nfc(std::string_view text, std::string& storage) {
  size_t at = first_unsafe(text, 0);
  if (at == text.size()) return text;
  const CharacterTable& table = character_table();
  RegionComposer composer;
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  while (at < text.size()) {
    size_t begin = at;
    // The character before takes part only where the reference knows it as the first of a pair: newer ones
    // that utf8proc would join must stay.
    if (begin > done) {
      const size_t before = previous_character(text, begin);
      if ((table[character_at(text.data() + before).code] & kNfcFirst) != 0) begin = before;
    }
    size_t end = at;
    while (end < text.size()) {
      const Character c = character_at(text.data() + end);
      if ((table[c.code] & kNfcUnsafe) == 0) break;
      end += c.size;
    }
    out += text.substr(done, begin - done);
    composer.append(text.substr(begin, end - begin), out);
    done = end;
    at = first_unsafe(text, end);
  }
  out += text.substr(done);
  storage = std::move(out);
  return storage;
}

}  // namespace vl3
