#include "base/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"

namespace vl3 {
namespace {

void check(int done) { require(done == 1, ErrorCode::kInternal, "[sha256] libcrypto failed"); }

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  const bool begun = context_ != nullptr && EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) == 1;
  if (!begun) {
    EVP_MD_CTX_free(context_);
    fail(ErrorCode::kInternal, "[sha256] libcrypto has no SHA-256");
  }
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::add(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(context_, bytes.data(), bytes.size()));
}

void Sha256::add_text(std::string_view text) {
  add_number(static_cast<int64_t>(text.size()));
  add(std::as_bytes(std::span(text.data(), text.size())));
}

void Sha256::add_number(int64_t number) {
  std::array<std::byte, 8> bytes;  // the lowest first, on every machine
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(static_cast<uint64_t>(number) >> (8 * i));
  add(bytes);
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  check(EVP_DigestFinal_ex(context_, digest.data(), nullptr));
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

}  // namespace vl3
