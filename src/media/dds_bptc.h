#pragma once
// BC6H and BC7: blocks of 16 bytes whose first bits name a mode, which says how many pairs of colours lie in
// the block and how many bits each has (the Khronos Data Format Specification, chapters on BPTC).

#include <cstdint>

namespace vl3::media {

// The colours of the 4 x 4 pixels, rows from the top, as Pillow decodes them and without alpha. bytes: 16.
// No block is an error: a mode that is not defined is black.
void decode_bc7_block(const uint8_t* bytes, uint8_t* rgb);

// The same of half floats: what is below 0 becomes 0, what is above 1 becomes 255, the rest is cut to 8 bits.
void decode_bc6_block(const uint8_t* bytes, bool is_signed, uint8_t* rgb);

}  // namespace vl3::media
