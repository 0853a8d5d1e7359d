#pragma once
// SHA-256: a name for bytes that no other bytes have, whoever chose them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace vl3 {

class Sha256 {
 public:
  Sha256();  // throws kInternal where the library has no SHA-256
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::span<const std::byte> bytes);
  // With its length before it, so that neighbours cannot run into each other.
  void add_text(std::string_view text);
  void add_number(int64_t number);
  std::string hex();  // 64 digits; ends the hash

 private:
  evp_md_ctx_st* context_;
};

}  // namespace vl3
