// DDS: the textures that Pillow reads, of which the first surface counts. Blocks are dds_blocks'.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "media/dds_blocks.h"
#include "media/image_codec.h"

namespace vl3::media {
namespace {

constexpr uint64_t kHeaderBytes = 128;
constexpr uint32_t kAlphaPixels = 1, kFourCc = 4, kPaletteIndexed = 0x20, kRgb = 0x40, kLuminance = 0x20000;

constexpr uint32_t four(const char (&text)[5]) {
  return uint32_t{static_cast<uint8_t>(text[0])} | uint32_t{static_cast<uint8_t>(text[1])} << 8 |
         uint32_t{static_cast<uint8_t>(text[2])} << 16 | uint32_t{static_cast<uint8_t>(text[3])} << 24;
}

struct Header {
  enum class Kind { kMasks, kGrey, kPalette, kRgba, kBlocks };
  Kind kind = Kind::kMasks;
  int64_t width = 0, height = 0;
  uint64_t offset = kHeaderBytes;
  uint64_t pixel_bytes = 0;
  std::array<uint32_t, 3> masks{};
  DdsBlock block{};
  const char* mode = "";
  Palette palette{};
};

struct BlockName {
  uint32_t code;
  DdsBlock block;
  const char* mode;
};
constexpr BlockName kFourCcs[] = {
    {four("DXT1"), DdsBlock::kBc1, "RGBA"}, {four("DXT3"), DdsBlock::kBc2, "RGBA"},
    {four("DXT5"), DdsBlock::kBc3, "RGBA"}, {four("BC4U"), DdsBlock::kBc4, "L"},
    {four("ATI1"), DdsBlock::kBc4, "L"},    {four("BC5S"), DdsBlock::kBc5Signed, "RGB"},
    {four("BC5U"), DdsBlock::kBc5, "RGB"},  {four("ATI2"), DdsBlock::kBc5, "RGB"},
};
// The numbers of DXGI_FORMAT.
constexpr BlockName kDxgi[] = {
    {70, DdsBlock::kBc1, "RGBA"},      {71, DdsBlock::kBc1, "RGBA"},      {73, DdsBlock::kBc2, "RGBA"},
    {74, DdsBlock::kBc2, "RGBA"},      {76, DdsBlock::kBc3, "RGBA"},      {77, DdsBlock::kBc3, "RGBA"},
    {79, DdsBlock::kBc4, "L"},         {80, DdsBlock::kBc4, "L"},         {82, DdsBlock::kBc5, "RGB"},
    {83, DdsBlock::kBc5, "RGB"},       {84, DdsBlock::kBc5Signed, "RGB"}, {95, DdsBlock::kBc6, "RGB"},
    {96, DdsBlock::kBc6Signed, "RGB"}, {97, DdsBlock::kBc7, "RGBA"},      {98, DdsBlock::kBc7, "RGBA"},
    {99, DdsBlock::kBc7, "RGBA"},
};
constexpr uint32_t kDxgiRgba[] = {27, 28, 29};

void read_blocks(const Source& source, uint32_t code, Header* header) {
  const bool extended = code == four("DX10");
  if (extended) {
    code = load_le32(source.slice(kHeaderBytes, 20, "the DDS header's extension").data());
    header->offset += 20;
    if (std::ranges::find(kDxgiRgba, code) != std::end(kDxgiRgba)) {
      header->kind = Header::Kind::kRgba;
      header->mode = "RGBA";
      header->pixel_bytes = 4;
      return;
    }
  }
  header->kind = Header::Kind::kBlocks;
  const auto names = extended ? std::span<const BlockName>(kDxgi) : std::span<const BlockName>(kFourCcs);
  const auto found = std::ranges::find(names, code, &BlockName::code);
  require(found != names.end(), ErrorCode::kUnsupported, "[{}] DDS of the {} {:#x} is not supported",
          source.name, extended ? "DXGI format" : "code", code);
  header->block = found->block;
  header->mode = found->mode;
}

Header read_header(const Source& source) {
  const uint8_t* bytes = source.slice(0, kHeaderBytes, "the DDS header").data();
  require(load_le32(bytes + 4) == 124, ErrorCode::kUnsupported,
          "[{}] DDS with a header of {} bytes is not supported", source.name, load_le32(bytes + 4));
  Header header;
  header.height = load_le32(bytes + 12);
  header.width = load_le32(bytes + 16);
  check_size(source, header.width, header.height, 3);
  const uint32_t flags = load_le32(bytes + 80), bits = load_le32(bytes + 88);
  if ((flags & kRgb) != 0) {
    header.mode = (flags & kAlphaPixels) != 0 ? "RGBA" : "RGB";
    header.pixel_bytes = bits / 8;
    require(bits >= 8 && bits <= 64, ErrorCode::kUnsupported,
            "[{}] DDS with {} bits a pixel is not supported", source.name, bits);
    for (size_t c = 0; c < 3; ++c) header.masks[c] = load_le32(bytes + 92 + 4 * c);
  } else if ((flags & kLuminance) != 0) {
    const bool alpha = bits == 16 && (flags & kAlphaPixels) != 0;
    require(bits == 8 || alpha, ErrorCode::kUnsupported, "[{}] DDS with grey of {} bits is not supported",
            source.name, bits);
    header.kind = Header::Kind::kGrey;
    header.mode = alpha ? "LA" : "L";
    header.pixel_bytes = bits / 8;
  } else if ((flags & kPaletteIndexed) != 0) {
    header.kind = Header::Kind::kPalette;
    header.mode = "P";
    header.pixel_bytes = 1;
    const auto palette = source.slice(kHeaderBytes, 1024, "the palette");
    for (size_t i = 0; i < 256; ++i) std::memcpy(header.palette[i].data(), &palette[4 * i], 3);
    header.offset += 1024;
  } else {
    require((flags & kFourCc) != 0, ErrorCode::kUnsupported,
            "[{}] DDS with the pixel flags {:#x} is not supported", source.name, flags);
    read_blocks(source, load_le32(bytes + 84), &header);
  }
  return header;
}

// A sample's share of what its mask can hold, in Pillow's arithmetic.
uint8_t masked(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  return static_cast<uint8_t>(static_cast<double>((pixel & mask) >> shift) /
                              static_cast<double>(mask >> shift) * 255);
}

void decode_pixels(const Header& header, const uint8_t* in, Image* image) {
  const size_t count = static_cast<size_t>(header.width * header.height);
  for (size_t i = 0; i < count; ++i, in += header.pixel_bytes) {
    uint8_t* rgb = &image->rgb[3 * i];
    switch (header.kind) {
      case Header::Kind::kMasks: {
        uint32_t pixel = 0;
        for (uint64_t b = 0; b < std::min<uint64_t>(header.pixel_bytes, 4); ++b)
          pixel |= uint32_t{in[b]} << (8 * b);
        for (size_t c = 0; c < 3; ++c) rgb[c] = masked(pixel, header.masks[c]);
        break;
      }
      case Header::Kind::kGrey:
        rgb[0] = rgb[1] = rgb[2] = in[0];
        break;
      case Header::Kind::kPalette:
        std::memcpy(rgb, header.palette[in[0]].data(), 3);
        break;
      default:
        std::memcpy(rgb, in, 3);
    }
  }
}

void decode_blocks(const Header& header, const uint8_t* in, Image* image) {
  for (int64_t y = 0; y < header.height; y += 4) {
    for (int64_t x = 0; x < header.width; x += 4, in += dds_block_bytes(header.block)) {
      uint8_t rgb[16 * 3];
      decode_dds_block(header.block, in, rgb);
      const int64_t rows = std::min<int64_t>(4, header.height - y),
                    columns = std::min<int64_t>(4, header.width - x);
      for (int64_t row = 0; row < rows; ++row)
        std::memcpy(&image->rgb[static_cast<size_t>(((y + row) * header.width + x) * 3)], rgb + 12 * row,
                    static_cast<size_t>(columns) * 3);
    }
  }
}

}  // namespace

ImageInfo probe_dds(const Source& source) {
  const Header header = read_header(source);
  return info_of(header.width, header.height, header.mode);
}

void decode_dds(const Source& source, Image* image) {
  const Header header = read_header(source);
  const auto width = static_cast<uint64_t>(header.width), height = static_cast<uint64_t>(header.height);
  const bool blocks = header.kind == Header::Kind::kBlocks;
  const uint64_t needed = blocks ? (width + 3) / 4 * ((height + 3) / 4) * dds_block_bytes(header.block)
                                 : width * height * header.pixel_bytes;
  const uint8_t* in = source.slice(header.offset, needed, "the pixels").data();
  *image = new_image(source, header.width, header.height, header.mode);
  if (blocks) {
    decode_blocks(header, in, image);
  } else {
    decode_pixels(header, in, image);
  }
}

}  // namespace vl3::media
