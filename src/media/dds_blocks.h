#pragma once
// The compressed blocks of textures: 4 x 4 pixels each.

#include <cstddef>
#include <cstdint>

namespace vl3::media {

enum class DdsBlock { kBc1, kBc2, kBc3, kBc4, kBc5, kBc5Signed, kBc6, kBc6Signed, kBc7 };

// Bytes of a block: 8 or 16.
size_t dds_block_bytes(DdsBlock block);

// The colours of the 16 pixels, rows from the top, without alpha, as Pillow decodes them. bytes: a whole
// block. BC4 is grey; of BC5 the third colour is 0, or 128 where it is signed. BC6 and BC7 are dds_bptc's.
void decode_dds_block(DdsBlock block, const uint8_t* bytes, uint8_t* rgb);

}  // namespace vl3::media
