#pragma once
// PNGs whose pixels are inflated before libpng reads them. zlib takes most of the time that a PNG takes;
// libdeflate inflates more than twice as fast, but only whole streams, and libpng cannot be told to use it.
// So libpng is given another file: the same chunks with the pixels in deflate's stored blocks, which zlib
// copies.

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "media/image_codec.h"

namespace vl3::media {

class InflatedPng {
 public:
  // Nothing for what libpng should read by itself: a picture that is interlaced, broken in whatever way (it
  // says how), or above 64 MiB or the limit of allocations.
  static std::optional<InflatedPng> make(const Source& source);

  // The file, one part behind the other. Its pixels' checksums are not written: they have been compared.
  std::span<const std::span<const uint8_t>> parts() const noexcept { return parts_; }

 private:
  std::unique_ptr<uint8_t[]> rows_;  // with the filter's byte before each
  std::vector<uint8_t> framing_;     // chunk and block headers
  std::vector<std::span<const uint8_t>> parts_;
};

}  // namespace vl3::media
