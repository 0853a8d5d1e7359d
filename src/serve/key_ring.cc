#include "serve/key_ring.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/ascii.h"
#include "base/check.h"
#include "base/file.h"

namespace vl3::serve {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr std::string_view kBlanks = " \t\r";

bool can_be_sent(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

KeyRing::KeyRing() {
  require(RAND_bytes(salt_.data(), static_cast<int>(salt_.size())) == 1, ErrorCode::kInternal,
          "[keys] there are no random bytes");
}

KeyRing::Hash KeyRing::hash_of(std::string_view key) const {
  Hash hash{};
  unsigned size = 0;
  const auto* made = HMAC(EVP_sha256(), salt_.data(), static_cast<int>(salt_.size()),
                          reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.data(), &size);
  require(made != nullptr && size == hash.size(), ErrorCode::kInternal, "[keys] there is no SHA-256");
  return hash;
}

void KeyRing::set(const std::vector<std::string>& keys) {
  std::vector<Hash> hashes;
  for (const std::string& key : keys) {
    // The key itself is not told: messages end up in logs.
    require(can_be_sent(key), ErrorCode::kInvalidArgument,
            "[keys] key {} of {} is empty or has characters other than visible ASCII ones", hashes.size() + 1,
            keys.size());
    hashes.push_back(hash_of(key));
  }
  const std::scoped_lock lock(mutex_);
  hashes_ = std::move(hashes);
}

bool KeyRing::wanted() const {
  const std::scoped_lock lock(mutex_);
  return !hashes_.empty();
}

std::optional<std::string> KeyRing::client_of(std::string_view key) const {
  const Hash hash = hash_of(key);
  bool known = false;
  {
    const std::scoped_lock lock(mutex_);
    for (const Hash& one : hashes_) known |= CRYPTO_memcmp(one.data(), hash.data(), hash.size()) == 0;
  }
  if (!known) return std::nullopt;
  constexpr size_t kBytes = 8;
  std::string name;
  for (size_t i = 0; i < kBytes; ++i) name += fmt::format("{:02x}", hash[i]);
  return name;
}

std::vector<std::string> read_keys(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxFileBytes);
  std::vector<std::string> keys;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(at, end - at), kBlanks);
    at = end + 1;
    if (line.empty() || line.front() == '#') continue;
    require(can_be_sent(line), ErrorCode::kInvalidArgument,
            "[{}] line {} is no key: it has spaces, or characters other than visible ASCII ones",
            path.string(), std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(end), '\n') + 1);
    keys.emplace_back(line);
  }
  require(!keys.empty(), ErrorCode::kInvalidArgument, "[{}] has no key: one a line is expected",
          path.string());
  return keys;
}

bool others_can_read(const std::filesystem::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0;
}

std::optional<std::string_view> bearer_key(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  if (authorization.size() <= kScheme.size() || authorization[kScheme.size()] != ' ') return std::nullopt;
  for (size_t i = 0; i < kScheme.size(); ++i) {
    if ((static_cast<unsigned char>(authorization[i]) | 0x20) != static_cast<unsigned char>(kScheme[i]))
      return std::nullopt;
  }
  const std::string_view key = trimmed(authorization.substr(kScheme.size()), kBlanks);
  if (key.empty()) return std::nullopt;
  return key;
}

}  // namespace vl3::serve
