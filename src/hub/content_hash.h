#pragma once
// The hash by which the hub names a file: SHA-256 of those it stores beside git, else git's own.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace vl3::hub {

class ContentHash {
 public:
  // etag: 64 hexadecimal digits mean SHA-256, 40 git's SHA-1, which begins with the size.
  ContentHash(std::string_view etag, int64_t size);
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view bytes) { add(std::as_bytes(std::span(bytes.data(), bytes.size()))); }
  std::string hex();  // ends the hash

 private:
  evp_md_ctx_st* context_;
};

// Whether a file's content has this etag. Throws kNotFound, kIo, and kCancelled where cancelled() says so.
bool has_hash(const std::filesystem::path& file, std::string_view etag,
              const std::function<bool()>& cancelled);

}  // namespace vl3::hub
