// BC6H and BC7, from the formats' description; Pillow's roundings.
#include "media/dds_bptc.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "media/image_codec.h"

namespace vl3::media {
namespace {

// Which of two pairs of colours each of the 16 pixels is made of, a bit a pixel, by partition.
constexpr std::array<uint16_t, 64> kTwoSubsets = {
    0xcccc, 0x8888, 0xeeee, 0xecc8, 0xc880, 0xfeec, 0xfec8, 0xec80, 0xc800, 0xffec, 0xfe80, 0xe800, 0xffe8,
    0xff00, 0xfff0, 0xf000, 0xf710, 0x008e, 0x7100, 0x08ce, 0x008c, 0x7310, 0x3100, 0x8cce, 0x088c, 0x3110,
    0x6666, 0x366c, 0x17e8, 0x0ff0, 0x718e, 0x399c, 0xaaaa, 0xf0f0, 0x5a5a, 0x33cc, 0x3c3c, 0x55aa, 0x9696,
    0xa55a, 0x73ce, 0x13c8, 0x324c, 0x3bdc, 0x6996, 0xc33c, 0x9966, 0x0660, 0x0272, 0x04e4, 0x4e40, 0x2720,
    0xc936, 0x936c, 0x39c6, 0x639c, 0x9336, 0x9cc6, 0x817e, 0xe718, 0xccf0, 0x0fcc, 0x7744, 0xee22,
};
// Which of three, two bits a pixel.
constexpr std::array<uint32_t, 64> kThreeSubsets = {
    0xaa685050, 0x6a5a5040, 0x5a5a4200, 0x5450a0a8, 0xa5a50000, 0xa0a05050, 0x5555a0a0, 0x5a5a5050,
    0xaa550000, 0xaa555500, 0xaaaa5500, 0x90909090, 0x94949494, 0xa4a4a4a4, 0xa9a59450, 0x2a0a4250,
    0xa5945040, 0x0a425054, 0xa5a5a500, 0x55a0a0a0, 0xa8a85454, 0x6a6a4040, 0xa4a45000, 0x1a1a0500,
    0x0050a4a4, 0xaaa59090, 0x14696914, 0x69691400, 0xa08585a0, 0xaa821414, 0x50a4a450, 0x6a5a0200,
    0xa9a58000, 0x5090a0a8, 0xa8a09050, 0x24242424, 0x00aa5500, 0x24924924, 0x24499224, 0x50a50a50,
    0x500aa550, 0xaaaa4444, 0x66660000, 0xa5a0a5a0, 0x50a050a0, 0x69286928, 0x44aaaa44, 0x66666600,
    0xaa444444, 0x54a854a8, 0x95809580, 0x96969600, 0xa85454a8, 0x80959580, 0xaa141414, 0x96960000,
    0xaaaa1414, 0xa05050a0, 0xa0a5a5a0, 0x96000000, 0x40804080, 0xa9a8a9a8, 0xaaaaaa44, 0x2a4a5254,
};
// By partition, as hexadecimal digits: the pixel whose index lacks its first bit (it is 0), for the second of
// two subsets, and for the second and third of three. For the first subset it is pixel 0.
constexpr std::string_view kAnchorOfTwo = "fffffffffffffffff282288f28228822ff6828ff28222ff66268ff22fffff22f";
constexpr std::string_view kSecondAnchor = "33ff83ff88666533338f336a588685ff8f356a8ff3f5ffff3f55585a5a8dfc33";
constexpr std::string_view kThirdAnchor = "f883ff38fffffff8f8f3f8f83f6affa8f3faa89a6f8f3668f3ffffffffff3ff8";

// The share of the second colour of a pair, in 64ths, by the bits of an index.
constexpr std::array<int, 4> kWeights2 = {0, 21, 43, 64};
constexpr std::array<int, 8> kWeights3 = {0, 9, 18, 27, 37, 46, 55, 64};
constexpr std::array<int, 16> kWeights4 = {0, 4, 9, 13, 17, 21, 26, 30, 34, 38, 43, 47, 51, 55, 60, 64};

int weight_of(int bits, uint32_t index) {
  return bits == 2 ? kWeights2[index] : bits == 3 ? kWeights3[index] : kWeights4[index];
}

constexpr uint32_t hex_digit(char digit) {
  return static_cast<uint32_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

// The bits of a block, the least significant of the first byte first.
class Bits {
 public:
  explicit Bits(const uint8_t* bytes)
      : low_(load_le32(bytes) | uint64_t{load_le32(bytes + 4)} << 32),
        high_(load_le32(bytes + 8) | uint64_t{load_le32(bytes + 12)} << 32) {}

  // The next count (0 to 16) bits.
  uint32_t take(int count) {
    const uint32_t value = static_cast<uint32_t>(low_) & ((1u << count) - 1);
    if (count > 0) {
      low_ = low_ >> count | high_ << (64 - count);
      high_ >>= count;
    }
    return value;
  }

 private:
  uint64_t low_, high_;
};

uint32_t subset_of(int subsets, uint32_t partition, uint32_t pixel) {
  if (subsets == 2) return kTwoSubsets[partition] >> pixel & 1;
  if (subsets == 3) return kThreeSubsets[partition] >> (2 * pixel) & 3;
  return 0;
}

bool is_anchor(int subsets, uint32_t partition, uint32_t pixel) {
  if (pixel == 0) return true;
  if (subsets == 2) return hex_digit(kAnchorOfTwo[partition]) == pixel;
  if (subsets == 3)
    return hex_digit(kSecondAnchor[partition]) == pixel || hex_digit(kThirdAnchor[partition]) == pixel;
  return false;
}

using Indices = std::array<uint32_t, 16>;

Indices take_indices(int subsets, uint32_t partition, int bits, Bits* in) {
  Indices indices{};
  for (uint32_t i = 0; i < 16; ++i) indices[i] = in->take(is_anchor(subsets, partition, i) ? bits - 1 : bits);
  return indices;
}

struct Bc7Mode {
  int subsets, partition_bits, rotation_bits, selector_bits;
  int colour_bits, alpha_bits;
  // A further last bit of all channels: of each colour, or of both of a pair.
  bool bit_per_colour, bit_per_pair;
  // second_index_bits: of the alpha's indices, 0 where the colours' are used.
  int index_bits, second_index_bits;
};
constexpr std::array<Bc7Mode, 8> kBc7Modes = {{
    {3, 4, 0, 0, 4, 0, true, false, 3, 0},
    {2, 6, 0, 0, 6, 0, false, true, 3, 0},
    {3, 6, 0, 0, 5, 0, false, false, 2, 0},
    {2, 6, 0, 0, 7, 0, true, false, 2, 0},
    {1, 0, 2, 1, 5, 6, false, false, 2, 3},
    {1, 0, 2, 0, 7, 8, false, false, 2, 2},
    {1, 0, 0, 0, 7, 7, true, false, 4, 0},
    {2, 6, 0, 0, 5, 5, true, false, 2, 0},
}};

using Rgba = std::array<uint32_t, 4>;
using Endpoints = std::array<Rgba, 6>;

// The pairs of colours, widened to 8 bits.
Endpoints take_endpoints(const Bc7Mode& mode, Bits* in) {
  Endpoints ends{};
  const auto count = static_cast<size_t>(2 * mode.subsets);
  const size_t channels = mode.alpha_bits > 0 ? 4 : 3;
  for (size_t c = 0; c < channels; ++c)
    for (size_t i = 0; i < count; ++i) ends[i][c] = in->take(c < 3 ? mode.colour_bits : mode.alpha_bits);
  const bool shared_bit = mode.bit_per_colour || mode.bit_per_pair;
  uint32_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    if (mode.bit_per_colour || (mode.bit_per_pair && i % 2 == 0)) last = in->take(1);
    for (size_t c = 0; c < channels; ++c) {
      const int bits = (c < 3 ? mode.colour_bits : mode.alpha_bits) + (shared_bit ? 1 : 0);
      const uint32_t value = (shared_bit ? ends[i][c] << 1 | last : ends[i][c]) << (8 - bits);
      ends[i][c] = value | value >> bits;
    }
    if (channels == 3) ends[i][3] = 255;
  }
  return ends;
}

// A mode of BC6H. layout: where each bit after the mode goes, in the specification's words: the channel (r,
// g, b), the colour (w and x of the first pair, y and z of the second), and the bit or the bits from - to, in
// hexadecimal.
struct Bc6Mode {
  int subsets;
  bool deltas;  // x, y and z are differences to w
  int bits;
  std::array<int, 3> delta_bits;
  std::string_view layout;
};
constexpr std::array<Bc6Mode, 14> kBc6Modes = {{
    {2,
     true,
     10,
     {5, 5, 5},
     "gy4 by4 bz4 rw0-9 gw0-9 bw0-9 rx0-4 gz4 gy0-3 gx0-4 bz0 gz0-3 bx0-4 bz1 by0-3 ry0-4 bz2 rz0-4 bz3"},
    {2,
     true,
     7,
     {6, 6, 6},
     "gy5 gz4-5 rw0-6 bz0-1 by4 gw0-6 by5 bz2 gy4 bw0-6 bz3 bz5-4 rx0-5 gy0-3 gx0-5 gz0-3 bx0-5 by0-3 ry0-5 "
     "rz0-5"},
    {2,
     true,
     11,
     {5, 4, 4},
     "rw0-9 gw0-9 bw0-9 rx0-4 rwa gy0-3 gx0-3 gwa bz0 gz0-3 bx0-3 bwa bz1 by0-3 ry0-4 bz2 rz0-4 bz3"},
    {2,
     true,
     11,
     {4, 5, 4},
     "rw0-9 gw0-9 bw0-9 rx0-3 rwa gz4 gy0-3 gx0-4 gwa gz0-3 bx0-3 bwa bz1 by0-3 ry0-3 bz0 bz2 rz0-3 gy4 bz3"},
    {2,
     true,
     11,
     {4, 4, 5},
     "rw0-9 gw0-9 bw0-9 rx0-3 rwa by4 gy0-3 gx0-3 gwa bz0 gz0-3 bx0-4 bwa by0-3 ry0-3 bz1-2 rz0-3 bz4-3"},
    {2,
     true,
     9,
     {5, 5, 5},
     "rw0-8 by4 gw0-8 gy4 bw0-8 bz4 rx0-4 gz4 gy0-3 gx0-4 bz0 gz0-3 bx0-4 bz1 by0-3 ry0-4 bz2 rz0-4 bz3"},
    {2,
     true,
     8,
     {6, 5, 5},
     "rw0-7 gz4 by4 gw0-7 bz2 gy4 bw0-7 bz3-4 rx0-5 gy0-3 gx0-4 bz0 gz0-3 bx0-4 bz1 by0-3 ry0-5 rz0-5"},
    {2,
     true,
     8,
     {5, 6, 5},
     "rw0-7 bz0 by4 gw0-7 gy5-4 bw0-7 gz5 bz4 rx0-4 gz4 gy0-3 gx0-5 gz0-3 bx0-4 bz1 by0-3 ry0-4 bz2 rz0-4 "
     "bz3"},
    {2,
     true,
     8,
     {5, 5, 6},
     "rw0-7 bz1 by4 gw0-7 by5 gy4 bw0-7 bz5-4 rx0-4 gz4 gy0-3 gx0-4 bz0 gz0-3 bx0-5 by0-3 ry0-4 bz2 rz0-4 "
     "bz3"},
    {2,
     false,
     6,
     {6, 6, 6},
     "rw0-5 gz4 bz0-1 by4 gw0-5 gy5 by5 bz2 gy4 bw0-5 gz5 bz3 bz5-4 rx0-5 gy0-3 gx0-5 gz0-3 bx0-5 by0-3 "
     "ry0-5 rz0-5"},
    {1, false, 10, {10, 10, 10}, "rw0-9 gw0-9 bw0-9 rx0-9 gx0-9 bx0-9"},
    {1, true, 11, {9, 9, 9}, "rw0-9 gw0-9 bw0-9 rx0-8 rwa gx0-8 gwa bx0-8 bwa"},
    {1, true, 12, {8, 8, 8}, "rw0-9 gw0-9 bw0-9 rx0-7 rwb-a gx0-7 gwb-a bx0-7 bwb-a"},
    {1, true, 16, {4, 4, 4}, "rw0-9 gw0-9 bw0-9 rx0-3 rwf-a gx0-3 gwf-a bx0-3 bwf-a"},
}};

// Endpoint 3 * colour + channel, as 16 bits.
using HalfEnds = std::array<uint16_t, 12>;

HalfEnds take_half_ends(const Bc6Mode& mode, Bits* in) {
  HalfEnds ends{};
  for (std::string_view rest = mode.layout; !rest.empty();) {
    const size_t channel = std::string_view("rgb").find(rest[0]),
                 colour = std::string_view("wxyz").find(rest[1]);
    const uint32_t from = hex_digit(rest[2]);
    const bool range = rest.size() > 3 && rest[3] == '-';
    const uint32_t to = range ? hex_digit(rest[4]) : from;
    uint16_t& end = ends[3 * colour + channel];
    for (uint32_t bit = from;; bit = bit < to ? bit + 1 : bit - 1) {
      end = static_cast<uint16_t>(end | in->take(1) << bit);
      if (bit == to) break;
    }
    rest.remove_prefix(std::min<size_t>(rest.size(), range ? 6 : 4));
  }
  return ends;
}

uint16_t sign_extend(uint16_t value, int bits) {
  const bool negative = (value >> (bits - 1) & 1) != 0;
  return static_cast<uint16_t>(negative ? value | ~0u << bits : value);
}

// The endpoints where deltas are added. Pillow keeps the sums' lowest bits and doesn't extend their sign
// again.
void add_deltas(const Bc6Mode& mode, bool is_signed, HalfEnds* ends) {
  const size_t count = static_cast<size_t>(mode.subsets) * 6;
  const uint32_t mask = (1u << mode.bits) - 1;
  for (size_t i = 0; i < count; ++i) {
    uint16_t& end = (*ends)[i];
    if (i < 3) {
      if (is_signed) end = sign_extend(end, mode.bits);
      continue;
    }
    if (is_signed || mode.deltas) end = sign_extend(end, mode.delta_bits[i % 3]);
    if (mode.deltas) end = static_cast<uint16_t>((uint32_t{end} + (*ends)[i % 3]) & mask);
  }
}

// An endpoint stretched to 16 bits (15 and a sign).
int stretch(uint16_t value, int bits, bool is_signed) {
  if (!is_signed) {
    if (bits >= 15 || value == 0) return value;
    return value == (1 << bits) - 1 ? 0xffff : ((value << 15) + 0x4000) >> (bits - 1);
  }
  const int number = static_cast<int16_t>(value);
  if (bits >= 16 || number == 0) return number;
  const int size = number < 0 ? -number : number;
  const int wide = size >= (1 << (bits - 1)) - 1 ? 0x7fff : ((size << 15) + 0x4000) >> (bits - 1);
  return number < 0 ? -wide : wide;
}

// A half float's magnitude (no infinity, no NaN, at least 0) in 8 bits.
uint8_t byte_of_half(uint32_t half) {
  if (half > 0x3c00) return 255;
  // The exponent moves from a bias of 15 to one of 127, subnormals with it.
  return static_cast<uint8_t>(std::bit_cast<float>(half << 13) * 0x1p112f * 255.0f);
}

}  // namespace

void decode_bc7_block(const uint8_t* bytes, uint8_t* rgb) {
  std::memset(rgb, 0, 48);
  if (bytes[0] == 0) return;
  const int number = std::countr_zero(bytes[0]);
  const Bc7Mode& mode = kBc7Modes[static_cast<size_t>(number)];
  Bits in(bytes);
  in.take(number + 1);
  const uint32_t partition = in.take(mode.partition_bits), rotation = in.take(mode.rotation_bits);
  const bool swapped = in.take(mode.selector_bits) != 0;
  const Endpoints ends = take_endpoints(mode, &in);
  const Indices first = take_indices(mode.subsets, partition, mode.index_bits, &in);
  const bool two = mode.second_index_bits > 0;
  const Indices second = two ? take_indices(1, 0, mode.second_index_bits, &in) : first;
  for (uint32_t i = 0; i < 16; ++i) {
    int colour = weight_of(mode.index_bits, first[i]);
    int alpha = weight_of(two ? mode.second_index_bits : mode.index_bits, second[i]);
    if (swapped) std::swap(colour, alpha);
    const uint32_t subset = subset_of(mode.subsets, partition, i);
    const Rgba &a = ends[2 * subset], &b = ends[2 * subset + 1];
    std::array<uint8_t, 4> pixel{};
    for (size_t c = 0; c < 4; ++c) {
      const auto share = static_cast<uint32_t>(c < 3 ? colour : alpha);
      pixel[c] = static_cast<uint8_t>(((64 - share) * a[c] + share * b[c] + 32) >> 6);
    }
    if (rotation > 0) std::swap(pixel[rotation - 1], pixel[3]);
    std::memcpy(rgb + 3 * i, pixel.data(), 3);
  }
}

void decode_bc6_block(const uint8_t* bytes, bool is_signed, uint8_t* rgb) {
  std::memset(rgb, 0, 48);
  Bits in(bytes);
  // Modes 0 and 1 have two bits, the others five.
  uint32_t number = in.take(2);
  if (number >= 2) number = (number == 2 ? 2 : 10) + in.take(3);
  if (number >= kBc6Modes.size()) return;
  const Bc6Mode& mode = kBc6Modes[number];
  HalfEnds halves = take_half_ends(mode, &in);
  const uint32_t partition = in.take(mode.subsets == 2 ? 5 : 0);
  add_deltas(mode, is_signed, &halves);
  std::array<int, 12> ends{};
  for (size_t i = 0; i < halves.size(); ++i) ends[i] = stretch(halves[i], mode.bits, is_signed);
  const int index_bits = mode.subsets == 2 ? 3 : 4;
  const Indices indices = take_indices(mode.subsets, partition, index_bits, &in);
  for (uint32_t i = 0; i < 16; ++i) {
    const int share = weight_of(index_bits, indices[i]);
    const size_t first = 6 * subset_of(mode.subsets, partition, i);
    for (size_t c = 0; c < 3; ++c) {
      const int value = (ends[first + c] * (64 - share) + ends[first + 3 + c] * share) >> 6;
      const int half = value < 0 ? 0 : value * 31 / (is_signed ? 32 : 64);
      rgb[3 * i + c] = byte_of_half(static_cast<uint32_t>(half));
    }
  }
}

}  // namespace vl3::media
