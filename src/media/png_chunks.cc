#include "media/png_chunks.h"

#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "media/exif.h"

namespace vl3::media {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kMaxTextBytes = size_t{1} << 20;  // as Pillow: no more of one compressed text

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

// Empty for what does not inflate, or not into kMaxTextBytes, and after the first few: a file may hold any
// number of texts, and each costs up to a megabyte of work.
std::string inflate_text(Bytes bytes, int* inflated) {
  constexpr int kMaxTexts = 16;
  if (++*inflated > kMaxTexts) return {};
  std::string text(kMaxTextBytes, '\0');
  text.resize(inflate(bytes, {reinterpret_cast<uint8_t*>(text.data()), text.size()}).value_or(0));
  return text;
}

// ImageMagick's way from before eXIf: a line "exif", a line with the length, then hexadecimal digits.
int raw_profile_orientation(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return 0;
    text.remove_prefix(end + 1);
  }
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::vector<uint8_t> block;
  int high = -1;
  for (const char c : text) {
    const int value = digit(c);
    if (value < 0) continue;
    if (high < 0) {
      high = value;
    } else {
      block.push_back(static_cast<uint8_t>(high << 4 | value));
      high = -1;
    }
  }
  return exif_orientation(block);
}

struct Found {
  int exif = 0, profile = 0, xmp = 0;
  int inflated = 0;  // texts taken apart so far
};

// tEXt: key 0 text. zTXt: key 0 method packed. iTXt: key 0 flag method language 0 translated 0 text.
void read_text(std::string_view type, std::string_view data, Found* found) {
  const size_t zero = data.find('\0');
  if (zero == std::string_view::npos) return;
  const std::string_view key = data.substr(0, zero);
  data.remove_prefix(zero + 1);
  if (key == "Raw profile type exif" && type == "tEXt") {
    found->profile = raw_profile_orientation(data);
  } else if (key == "Raw profile type exif" && type == "zTXt" && !data.empty() && data[0] == 0) {
    found->profile = raw_profile_orientation(inflate_text(bytes_of(data.substr(1)), &found->inflated));
  } else if (key == "XML:com.adobe.xmp" && type == "iTXt" && data.size() > 2) {
    const bool packed = data[0] != 0;
    data.remove_prefix(2);
    for (int field = 0; field < 2; ++field) {
      const size_t end = data.find('\0');
      if (end == std::string_view::npos) return;
      data.remove_prefix(end + 1);
    }
    const std::string inflated = packed ? inflate_text(bytes_of(data), &found->inflated) : std::string();
    found->xmp = xmp_orientation(bytes_of(packed ? std::string_view(inflated) : data));
  }
}

}  // namespace

std::optional<PngChunk> png_chunk(Bytes file, size_t at) {
  constexpr size_t kFrame = 12;  // length, type and checksum around a chunk's data
  if (file.size() < kFrame || at > file.size() - kFrame) return std::nullopt;
  const size_t length = load_be32(&file[at]);
  if (length > file.size() - at - kFrame) return std::nullopt;
  return PngChunk{text_of(file.subspan(at + 4, 4)), file.subspan(at + 8, length), at + kFrame + length};
}

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

int png_orientation(const Source& source) {
  Found found;
  for (auto chunk = png_chunk(source.bytes, kPngSignature); chunk;
       chunk = png_chunk(source.bytes, chunk->end)) {
    const auto& [type, data, end] = *chunk;
    if (type == "eXIf") found.exif = exif_orientation(data);
    if (type == "tEXt" || type == "zTXt" || type == "iTXt") read_text(type, text_of(data), &found);
    if (type == "IEND") break;
  }
  return choose_orientation(found.exif != 0 ? found.exif : found.profile, found.xmp);
}

}  // namespace vl3::media
