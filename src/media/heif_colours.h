#pragma once
// Colours as libheif 1.16 and later make them of full-range 4:2:0 (Y + k Cr with k in 256ths, rounded), from
// what older versions make of the same samples in floats. These follow from the colours: what YCbCr a colour
// was made of is one triple at most, for the matrix spreads triples out, to a fourth of all colours.

#include <cstdint>
#include <cstring>
#include <span>

#include "vl3/image.h"

namespace vl3::media {

struct HeifPlane {
  const uint8_t* bytes = nullptr;
  int64_t stride = 0, width = 0, height = 0;
  int bits = 8;  // two bytes a sample where above 8

  int at(int64_t x, int64_t y) const {
    const uint8_t* row = bytes + y * stride;
    if (bits == 8) return row[x];
    uint16_t value = 0;
    std::memcpy(&value, row + 2 * x, 2);
    return value;
  }
};

struct HeifColours {
  HeifPlane red, green, blue;

  bool same_size() const;
};

// What the HEVC pictures of a file are: all grey, all of 4:2:0 but for grey ones (alpha), or others too.
enum class HevcChroma { kGrey, k420, kOther };
HevcChroma find_chroma(std::span<const uint8_t> file);

// The colours with their low bits left out. image has their size.
void narrow_colours(const HeifColours& colours, Image* image);

// Mends what narrow_colours gave. False, and without an effect, where the colours are not made of full-range
// YCbCr with that matrix (ISO 23091-2; 2 for unspecified). Where a sample was clipped its chroma is its
// neighbours', and where theirs were too the colour stays, which differs by 1 at most.
bool convert_full_range_420(const HeifColours& colours, int matrix, Image* image);

}  // namespace vl3::media
