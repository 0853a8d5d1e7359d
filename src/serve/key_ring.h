#pragma once
// Keys that open the API, and whose request it is.

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vl3::serve {

// Thread-safe. Keys themselves are not kept: their hashes are, with a salt of this process.
class KeyRing {
 public:
  KeyRing();
  // In place of those that were there. Throws kInvalidArgument for a key that could not be sent: one with
  // spaces, or with other than visible ASCII characters.
  void set(const std::vector<std::string>& keys);
  bool wanted() const;  // there are keys, so one is asked for
  // The name of the key's owner where it is one of these; takes as long whichever it is, or none.
  std::optional<std::string> client_of(std::string_view key) const;

 private:
  using Hash = std::array<unsigned char, 32>;
  Hash hash_of(std::string_view key) const;

  std::array<unsigned char, 32> salt_{};
  mutable std::mutex mutex_;
  std::vector<Hash> hashes_;
};

// The keys of a file: one a line; empty lines and those that begin with # are read over. Throws what reading
// a file throws, and kInvalidArgument for a file without a key.
std::vector<std::string> read_keys(const std::filesystem::path& path);
bool others_can_read(const std::filesystem::path& path);

// What stands behind "Bearer", in any case; none where the field is something else.
std::optional<std::string_view> bearer_key(std::string_view authorization);

}  // namespace vl3::serve
