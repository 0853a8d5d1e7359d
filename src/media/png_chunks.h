#pragma once
// A PNG's chunks, read from the file directly. libpng gives metadata only up to the first row, and the
// orientation may come after the last.

#include <optional>

#include "media/image_codec.h"

namespace vl3::media {

struct PngChunk {
  std::string_view type;          // four characters
  std::span<const uint8_t> data;  // the four bytes before it are the type, those behind it the checksum
  size_t end;                     // where the next chunk begins in the file
};

constexpr size_t kPngSignature = 8;  // bytes before the first chunk

// The chunk at this byte of the file; nothing where it does not fit in.
std::optional<PngChunk> png_chunk(std::span<const uint8_t> file, size_t at);

// A zlib stream's bytes into out, and their number; nothing where it is broken or out too small.
std::optional<size_t> inflate(std::span<const uint8_t> stream, std::span<uint8_t> out);

// The orientation from eXIf, from a "Raw profile type exif" text, or from an XMP text; 1 without one. Broken
// or cut-off chunks end the search without an error: the pixels decide whether the file is good.
int png_orientation(const Source& source);

}  // namespace vl3::media
