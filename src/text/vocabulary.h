#pragma once
// The tokens of a byte-level vocabulary by id, by spelling and by bytes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vl3 {

// Byte-level vocabularies are spelt with one printable character for each byte ("Ġ" for a space). The bytes
// that a spelling stands for; nothing where it has another character.
std::optional<std::string> bytes_of_spelling(std::string_view spelling);
std::string spelling_of_bytes(std::string_view bytes);

class Vocabulary {
 public:
  // Larger ids than any vocabulary has would only cost memory.
  static constexpr int64_t kMaxId = (int64_t{1} << 22) - 1;

  void reserve(size_t tokens, size_t bytes);

  // Adds a token of the model. origin is the file; throws kFormat naming it, the token and the id where the
  // id is out of range, or it or the spelling is there already.
  void add(std::string_view spelling, int64_t id, std::string_view origin);
  // Adds a token that is recognised in text as a whole: under its id of the model where it has one.
  void add_added(std::string_view content, int64_t id, bool special, std::string_view origin);
  void make_special(int32_t id) { entries_[static_cast<size_t>(id)].flags |= kSpecial; }
  // Words spelt like this token are it; see Bpe.
  void make_direct(int32_t id) { entries_[static_cast<size_t>(id)].flags |= kDirect; }

  int64_t size() const noexcept { return static_cast<int64_t>(entries_.size()); }  // 1 + the largest id
  bool has(int64_t id) const noexcept { return flag(id, kPresent); }
  bool is_special(int64_t id) const noexcept { return flag(id, kSpecial); }
  bool is_added(int64_t id) const noexcept { return flag(id, kAdded); }
  bool is_direct(int64_t id) const noexcept { return flag(id, kDirect); }
  bool is_of_bytes(int64_t id) const noexcept { return has(id) && !flag(id, kVerbatim); }

  // What decoding adds for an id; empty for one without a token.
  std::string_view bytes(int64_t id) const noexcept;
  std::string spelling(int32_t id) const;  // of an id that is there
  std::optional<int32_t> find_spelling(std::string_view spelling) const;
  // The token that stands for these bytes, or -1.
  int32_t find_bytes(std::string_view bytes) const noexcept { return find(bytes, false); }

 private:
  enum Flag : uint8_t {
    kPresent = 1,
    kVerbatim = 2,  // a spelling with other characters, kept as it is
    kAdded = 4,
    kSpecial = 8,
    kDirect = 16,
  };
  struct Entry {
    uint64_t offset = 0;
    uint32_t size = 0;
    uint8_t flags = 0;
  };
  // A place of the hash table, by linear probing; id -1 where it is free.
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };
  bool flag(int64_t id, Flag f) const noexcept {
    return id >= 0 && id < size() && (entries_[static_cast<size_t>(id)].flags & f) != 0;
  }
  Entry& place(std::string_view text, int64_t id, bool verbatim);
  int32_t find(std::string_view text, bool verbatim) const noexcept;
  void index(uint32_t hash, int32_t id);
  void rehash(size_t slots);

  std::string text_;            // all tokens, one after the other
  std::vector<Entry> entries_;  // by id
  std::vector<Slot> slots_;     // a power of two of them, at most half full
  size_t used_ = 0;
};

}  // namespace vl3
