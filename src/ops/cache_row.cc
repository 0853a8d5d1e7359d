#include "ops/cache_row.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "ops/cpu/kernels/kernels.h"

namespace vl3::ops {
namespace {

typedef float Four __attribute__((vector_size(16)));

// n a power of two. Sums of neighbours first, while four lie in a register, then of those ever further apart.
void rotate_piece(float* x, int64_t n) {
  const float norm = 1.0f / std::sqrt(static_cast<float>(n));  // first, so that sums stay as large as the row
  if (n < 4) {
    const float first = x[0] * norm;
    if (n == 1) return;
    const float second = x[1] * norm;
    x[0] = first + second;
    x[1] = first - second;
    return;
  }
  for (int64_t i = 0; i < n; i += 4) {
    Four v;
    std::memcpy(&v, x + i, sizeof v);
    v *= norm;
    v = __builtin_shufflevector(v, v, 1, 0, 3, 2) + v * Four{1, -1, 1, -1};
    v = __builtin_shufflevector(v, v, 2, 3, 0, 1) + v * Four{1, 1, -1, -1};
    std::memcpy(x + i, &v, sizeof v);
  }
  for (int64_t half = 4; half < n; half *= 2) {
    for (int64_t begin = 0; begin < n; begin += 2 * half) {
      for (int64_t i = begin; i < begin + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
}

void rotate(float* row, int64_t width) {
  while (width > 0) {
    const auto piece = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(width)));
    rotate_piece(row, piece);
    row += piece;
    width -= piece;
  }
}

constexpr float kRounder = 12582912.0f;  // 1.5 · 2^23: added, it leaves an integer, ties to even

void store_int8(std::span<const float> row, std::byte* target) {
  float largest = 0;
  bool finite = true;
  for (const float x : row) {
    largest = std::max(largest, std::abs(x));
    finite = finite && std::isfinite(x);
  }
  // The scale shows it in the whole row; in bytes it would look like a number.
  if (!finite) largest = std::numeric_limits<float>::quiet_NaN();
  const float scale = largest / 127.0f, inverse = scale > 1e-37f ? 1.0f / scale : 0.0f;
  std::memcpy(target, &scale, sizeof scale);
  auto* bytes = reinterpret_cast<int8_t*>(target + sizeof scale);
  if (!finite) {
    std::memset(bytes, 1, row.size());
    return;
  }
  for (size_t i = 0; i < row.size(); ++i) {
    const float q = std::clamp(row[i] * inverse, -127.0f, 127.0f);
    bytes[i] = static_cast<int8_t>(static_cast<int32_t>((q + kRounder) - kRounder));
  }
}

}  // namespace

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
               std::byte* target, const float* factors) {
  switch (type) {
    case CacheType::kF32:
      std::memcpy(target, source, static_cast<size_t>(width) * sizeof(float));
      return;
    case CacheType::kF16:
      return kernels.narrow_f16(source, width, reinterpret_cast<uint16_t*>(target));
    case CacheType::kInt8: {
      std::vector<float> row(source, source + width);
      for (int64_t i = 0; factors != nullptr && i < width; ++i) row[static_cast<size_t>(i)] /= factors[i];
      rotate(row.data(), width);
      return store_int8(row, target);
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

void to_stored(CacheType type, float* query, int64_t width, const float* factors) {
  if (type != CacheType::kInt8) return;
  for (int64_t i = 0; factors != nullptr && i < width; ++i) query[i] *= factors[i];
  rotate(query, width);
}

void from_stored(CacheType type, float* sum, int64_t width, const float* factors) {
  if (type != CacheType::kInt8) return;
  rotate(sum, width);
  for (int64_t i = 0; factors != nullptr && i < width; ++i) sum[i] *= factors[i];
}

}  // namespace vl3::ops
