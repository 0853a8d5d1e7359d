#include "media/png_inflated.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>

#include "media/png_chunks.h"

namespace vl3::media {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr size_t kHeaderEnd = 33;     // the signature and IHDR
constexpr size_t kMaxStored = 65535;  // bytes of a stored block

// The bytes of all rows, each with its filter's byte in front; 0 where they are not to be had.
size_t bytes_of_rows(Bytes file) {
  if (file.size() < kHeaderEnd || std::memcmp(&file[12], "IHDR", 4) != 0 || file[28] != 0) return 0;
  const uint64_t width = load_be32(&file[16]), height = load_be32(&file[20]);
  constexpr int kSamples[] = {1, 0, 3, 1, 2, 0, 4};  // by colour type
  if (file[25] >= std::size(kSamples) || file[24] > 16 || width > kMaxBytes || height > kMaxBytes) return 0;
  const uint64_t bits = width * static_cast<uint64_t>(kSamples[file[25]]) * file[24];
  const uint64_t bytes = height * (1 + (bits + 7) / 8);
  return bits == 0 || bytes > kMaxBytes ? 0 : static_cast<size_t>(bytes);
}

// The chunks of pixels, one behind the other, and where they begin and end in the file.
struct Pixels {
  std::vector<Bytes> chunks;
  size_t begin = 0, end = 0;
};

// False for a file that ends early and for wrong checksums.
bool find_pixels(Bytes file, Pixels* pixels) {
  size_t at = kPngSignature;
  for (auto chunk = png_chunk(file, at); chunk; at = chunk->end, chunk = png_chunk(file, at)) {
    const auto& [type, data, end] = *chunk;
    if (type == "IDAT") {
      if (pixels->chunks.empty()) pixels->begin = at;
      if (libdeflate_crc32(0, type.data(), type.size() + data.size()) != load_be32(&file[end - 4]))
        return false;
      pixels->chunks.push_back(data);
    } else if (!pixels->chunks.empty()) {
      pixels->end = at;
      return true;
    }
  }
  return false;
}

std::vector<uint8_t> joined(const std::vector<Bytes>& chunks) {
  std::vector<uint8_t> bytes;
  for (const Bytes chunk : chunks) bytes.insert(bytes.end(), chunk.begin(), chunk.end());
  return bytes;
}

void append_be32(std::vector<uint8_t>& bytes, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<uint8_t>(value >> shift));
}

}  // namespace

std::optional<InflatedPng> InflatedPng::make(const Source& source) {
  const size_t size = bytes_of_rows(source.bytes);
  Pixels pixels;
  if (size == 0 || static_cast<int64_t>(size) > source.limits.max_allocation_bytes ||
      !find_pixels(source.bytes, &pixels))
    return std::nullopt;
  InflatedPng png;
  png.rows_ = std::make_unique_for_overwrite<uint8_t[]>(size);
  if (inflate(joined(pixels.chunks), {png.rows_.get(), size}) != size) return std::nullopt;

  const size_t blocks = (size + kMaxStored - 1) / kMaxStored;
  constexpr size_t kChunkHeader = 8, kZlib = 2, kBlockHeader = 5, kChecksum = 4;
  const size_t stream = kZlib + blocks * kBlockHeader + size + kChecksum;
  std::vector<uint8_t>& framing = png.framing_;
  framing.reserve(kChunkHeader + stream - size + kChecksum);  // parts point into it
  size_t framed = 0;
  const auto add_framing = [&] {
    png.parts_.push_back(Bytes(framing).subspan(framed));
    framed = framing.size();
  };
  png.parts_.push_back(source.bytes.first(pixels.begin));
  append_be32(framing, stream);
  for (const uint8_t byte : {0x49, 0x44, 0x41, 0x54, 0x78, 0x01}) framing.push_back(byte);  // IDAT, zlib
  for (size_t at = 0; at < size; at += kMaxStored) {
    const size_t length = std::min(kMaxStored, size - at);
    framing.push_back(at + length == size ? 1 : 0);
    for (const size_t number : {length, ~length}) {
      framing.push_back(static_cast<uint8_t>(number));
      framing.push_back(static_cast<uint8_t>(number >> 8));
    }
    add_framing();
    png.parts_.emplace_back(png.rows_.get() + at, length);
  }
  framing.insert(framing.end(), 2 * kChecksum, 0);  // of the stream and of the chunk
  add_framing();
  png.parts_.push_back(source.bytes.subspan(pixels.end));
  return png;
}

}  // namespace vl3::media
