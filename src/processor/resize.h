#pragma once
// Resizing of 8-bit RGB with antialiasing, bit by bit as the two reference libraries do it: separable,
// columns first, 8 bits in between, in integers. They differ in the precision of their weights: Pillow's have
// 22 fractional bits, torchvision's are 16-bit numbers scaled as far as the largest allows.

#include <cstdint>
#include <string_view>

#include "vl3/image_processor.h"

namespace vl3 {

class ThreadPool;

// Throws kUnsupported, naming origin, for a filter that the backend cannot do exactly.
void require_filter(int64_t resample, ResizeBackend backend, std::string_view origin);

// source [in.height, in.width, 3] → target [out.height, out.width, 3]; resample is PIL's number of the
// filter. Every size is positive. Memory: one picture of in.height x out.width.
void resize_rgb(ThreadPool& threads, const uint8_t* source, Size in, uint8_t* target, Size out,
                int64_t resample, ResizeBackend backend);

}  // namespace vl3
