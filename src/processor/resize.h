#pragma once
// Bicubic resizing of 8-bit RGB with antialiasing, bit by bit as the two reference libraries do it:
// separable, columns first, 8 bits in between, in integers. They differ in the precision of their weights:
// Pillow's have 22 fractional bits, torchvision's are 16-bit numbers scaled as far as the largest allows.

#include <cstdint>

#include "vl3/image_processor.h"

namespace vl3 {

class ThreadPool;

// source [height, width, 3] → target [out.height, out.width, 3].
void resize_bicubic(ThreadPool& threads, const uint8_t* source, Size in, uint8_t* target, Size out,
                    ResizeBackend backend);

}  // namespace vl3
