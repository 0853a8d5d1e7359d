#include "media/png_inflated.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>

namespace vl3::media {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr size_t kHeaderEnd = 33;     // the signature and IHDR
constexpr size_t kFrame = 12;         // length, type and checksum around a chunk's data
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
  for (size_t at = 8; at + kFrame <= file.size();) {
    const size_t length = load_be32(&file[at]);
    if (length > file.size() - at - kFrame) return false;
    if (std::memcmp(&file[at + 4], "IDAT", 4) == 0) {
      if (pixels->chunks.empty()) pixels->begin = at;
      if (libdeflate_crc32(0, &file[at + 4], length + 4) != load_be32(&file[at + 8 + length])) return false;
      pixels->chunks.push_back(file.subspan(at + 8, length));
    } else if (!pixels->chunks.empty()) {
      pixels->end = at;
      return true;
    }
    at += kFrame + length;
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

std::optional<size_t> inflate(Bytes stream, std::span<uint8_t> out) {
  using Decompressor =
      std::unique_ptr<libdeflate_decompressor,
                      decltype([](libdeflate_decompressor* d) { libdeflate_free_decompressor(d); })>;
  const Decompressor decompressor(libdeflate_alloc_decompressor());
  size_t size = 0;
  const bool ok = decompressor != nullptr &&
                  libdeflate_zlib_decompress(decompressor.get(), stream.data(), stream.size(), out.data(),
                                             out.size(), &size) == LIBDEFLATE_SUCCESS;
  return ok ? std::optional(size) : std::nullopt;
}

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
  constexpr size_t kBlockHeader = 5, kZlib = 2, kChecksum = 4;
  std::vector<uint8_t>& framing = png.framing_;
  append_be32(framing, kZlib + blocks * kBlockHeader + size + kChecksum);
  for (const uint8_t byte : {0x49, 0x44, 0x41, 0x54, 0x78, 0x01}) framing.push_back(byte);  // IDAT, zlib
  std::vector<size_t> ends;  // of framing, before each block's bytes
  for (size_t at = 0; at < size; at += kMaxStored) {
    const size_t length = std::min(kMaxStored, size - at);
    framing.push_back(at + length == size ? 1 : 0);
    for (const size_t number : {length, ~length}) {
      framing.push_back(static_cast<uint8_t>(number));
      framing.push_back(static_cast<uint8_t>(number >> 8));
    }
    ends.push_back(framing.size());
  }
  framing.insert(framing.end(), 2 * kChecksum, 0);  // of the stream and of the chunk

  png.parts_.push_back(source.bytes.first(pixels.begin));
  const Bytes frames(framing), rows(png.rows_.get(), size);
  size_t begin = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    png.parts_.push_back(frames.subspan(begin, ends[i] - begin));
    png.parts_.push_back(rows.subspan(i * kMaxStored, std::min(kMaxStored, size - i * kMaxStored)));
    begin = ends[i];
  }
  png.parts_.push_back(frames.subspan(begin));
  png.parts_.push_back(source.bytes.subspan(pixels.end));
  return png;
}

}  // namespace vl3::media
