#include "ops/cache_row.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cpu/kernels.h"

namespace vl3::ops {

int64_t cache_row_bytes(CacheType type, int64_t width) {
  switch (type) {
    case CacheType::kF32:
      return width * 4;
    case CacheType::kF16:
      return width * 2;
    case CacheType::kInt8:
      return width + 4;
  }
  return 0;
}

void store_row(const KernelSet& kernels, CacheType type, const float* source, int64_t width,
               std::byte* target) {
  switch (type) {
    case CacheType::kF32:
      std::memcpy(target, source, static_cast<size_t>(width) * sizeof(float));
      return;
    case CacheType::kF16:
      return kernels.narrow_f16(source, width, reinterpret_cast<uint16_t*>(target));
    case CacheType::kInt8: {
      float largest = 0;
      for (int64_t i = 0; i < width; ++i) {
        if (!(std::abs(source[i]) <= largest)) largest = std::abs(source[i]);  // NaN stays
      }
      const float scale = largest / 127.0f, inverse = scale > 1e-37f ? 1.0f / scale : 0.0f;
      std::memcpy(target, &scale, sizeof scale);
      auto* bytes = reinterpret_cast<int8_t*>(target + sizeof scale);
      for (int64_t i = 0; i < width; ++i) {
        const float q = source[i] * inverse;
        bytes[i] =
            std::isnan(q) ? int8_t{1} : static_cast<int8_t>(std::nearbyint(std::clamp(q, -127.0f, 127.0f)));
      }
    }
  }
}

void widen_row(const KernelSet& kernels, CacheType type, const std::byte* source, int64_t width,
               float* target) {
  switch (type) {
    case CacheType::kF32:
      std::memcpy(target, source, static_cast<size_t>(width) * sizeof(float));
      return;
    case CacheType::kF16:
      return kernels.widen(source, WeightType::kF16, width, target);
    case CacheType::kInt8: {
      float scale;
      std::memcpy(&scale, source, sizeof scale);
      kernels.widen_int8(reinterpret_cast<const int8_t*>(source + sizeof scale), scale, width, target);
    }
  }
}

}  // namespace vl3::ops
