#include "hub/content_hash.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "base/file.h"

namespace vl3::hub {
namespace {

constexpr size_t kSha256Digits = 64;

void check(int done) { require(done == 1, ErrorCode::kInternal, "[hub] libcrypto failed to hash"); }

}  // namespace

ContentHash::ContentHash(std::string_view etag, int64_t size) : context_(EVP_MD_CTX_new()) {
  const bool sha256 = etag.size() == kSha256Digits;
  const bool begun =
      context_ != nullptr && EVP_DigestInit_ex(context_, sha256 ? EVP_sha256() : EVP_sha1(), nullptr) == 1;
  if (!begun) {
    EVP_MD_CTX_free(context_);
    fail(ErrorCode::kInternal, "[hub] libcrypto has no SHA-{}", sha256 ? 256 : 1);
  }
  if (!sha256) add(std::string_view(fmt::format("blob {}", size) + std::string(1, '\0')));
}

ContentHash::~ContentHash() { EVP_MD_CTX_free(context_); }

void ContentHash::add(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_, bytes.data(), bytes.size()));
}

std::string ContentHash::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  check(EVP_DigestFinal_ex(context_, digest.data(), &size));
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + size, ""));
}

bool has_hash(const std::filesystem::path& file, std::string_view etag,
              const std::function<bool()>& cancelled) {
  std::error_code code;
  const auto size = std::filesystem::file_size(file, code);
  require(!code, ErrorCode::kIo, "[{}] cannot read: {}", file.string(), code.message());
  ContentHash hash(etag, static_cast<int64_t>(size));
  read_in_pieces(file, [&](std::span<const std::byte> piece) {
    require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[hub] cancelled");
    hash.add(piece);
  });
  return hash.hex() == etag;
}

}  // namespace vl3::hub
