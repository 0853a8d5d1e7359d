#include "tensor/quantized.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"

namespace vl3 {
namespace {

float widened(uint16_t bits, DType dtype) {
  uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  if (dtype == DType::kF16) {
    const uint32_t rest = bits & 0x7fffu;
    word = rest << 13;
    std::memcpy(&value, &word, sizeof value);
    value *= 0x1p112f;
    std::memcpy(&word, &value, sizeof word);
    if (rest >= 0x7c00u) word |= 0x7f800000u;
    word |= static_cast<uint32_t>(bits & 0x8000u) << 16;
  }
  std::memcpy(&value, &word, sizeof value);
  return value;
}

void read_row(const Tensor& w, int64_t n, int64_t k, float* target) {
  if (w.dtype() == DType::kF32) {
    std::memcpy(target, w.data<float>() + n * k, static_cast<size_t>(k) * sizeof(float));
  } else {
    const auto* source = reinterpret_cast<const uint16_t*>(w.raw()) + n * k;
    for (int64_t i = 0; i < k; ++i) target[i] = widened(source[i], w.dtype());
  }
}

// What a block says about its rows.
struct Header {
  std::array<float, kBlockRows> scale;
  std::array<int32_t, kBlockRows> sum_or_minimum;  // int8: sums; int4: minimums, as the bits of an f32
};
static_assert(sizeof(Header) == kBlockHeader);

void quantize_row_int8(const float* row, int64_t k, int64_t lane, Header& header, std::byte* quads) {
  float largest = 0;
  for (int64_t i = 0; i < k; ++i) largest = std::max(largest, std::abs(row[i]));
  const float scale = largest / 127.0f;
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) {
    const float q = scale > 0 ? std::nearbyint(std::clamp(row[i] / scale, -127.0f, 127.0f)) : 0.0f;
    sum += static_cast<int32_t>(q);
    quads[i / 4 * 4 * kBlockRows + lane * 4 + i % 4] = static_cast<std::byte>(static_cast<int8_t>(q));
  }
  const size_t n = static_cast<size_t>(lane);
  header.scale[n] = scale;
  header.sum_or_minimum[n] = sum;
}

// w ≈ scale · q - minimum over a group of count numbers.
struct GroupFit {
  float scale = 0, minimum = 0;
};

int quant4(float w, float inverse, float minimum) {
  return static_cast<int>(std::clamp(std::nearbyint((w + minimum) * inverse), 0.0f, 15.0f));
}

// Several roundings are tried; each fixes q, which makes scale and minimum a linear regression.
GroupFit fit_group(const float* w, int64_t count) {
  float low = 0, high = 0;  // zero stays representable
  for (int64_t i = 0; i < count; ++i) {
    low = std::min(low, w[i]);
    high = std::max(high, w[i]);
  }
  if (high == low) return {};
  GroupFit best;
  double least = -1;
  for (int step = 0; step < 8; ++step) {
    const float inverse = (13.8f + 0.2f * static_cast<float>(step)) / (high - low);
    double n = 0, sq = 0, sqq = 0, sw = 0, sqw = 0, sww = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double q = quant4(w[i], inverse, -low), v = w[i];
      n += 1;
      sq += q;
      sqq += q * q;
      sw += v;
      sqw += q * v;
      sww += v * v;
    }
    const double determinant = n * sqq - sq * sq;
    if (determinant <= 0) continue;
    double scale = (n * sqw - sq * sw) / determinant, offset = (sw - scale * sq) / n;
    if (offset > 0) {
      offset = 0;
      scale = sqq > 0 ? sqw / sqq : 0;
    }
    if (scale <= 0) continue;
    const double error = sww - 2 * scale * sqw - 2 * offset * sw + scale * scale * sqq +
                         2 * scale * offset * sq + n * offset * offset;
    if (least < 0 || error < least) {
      least = error;
      best = {static_cast<float>(scale), static_cast<float>(-offset)};
    }
  }
  if (least < 0) best = {(high - low) / 15.0f, -low};
  return best;
}

void quantize_row_int4(const float* row, int64_t k, int64_t lane, Header& header, std::byte* groups) {
  const int64_t count = (k + kInt4Group - 1) / kInt4Group;
  std::vector<GroupFit> fits(static_cast<size_t>(count));
  float scale = 0, minimum = 0;
  for (int64_t g = 0; g < count; ++g) {
    GroupFit& fit = fits[static_cast<size_t>(g)];
    fit = fit_group(row + g * kInt4Group, std::min(kInt4Group, k - g * kInt4Group));
    scale = std::max(scale, fit.scale / 255.0f);
    minimum = std::max(minimum, fit.minimum / 255.0f);
  }
  const size_t n = static_cast<size_t>(lane);
  header.scale[n] = scale;
  std::memcpy(&header.sum_or_minimum[n], &minimum, sizeof minimum);
  for (int64_t g = 0; g < count; ++g) {
    const GroupFit& fit = fits[static_cast<size_t>(g)];
    std::byte* group = groups + g * kInt4GroupBytes;
    float s = scale > 0 ? std::nearbyint(fit.scale / scale) : 0.0f;
    if (fit.scale > 0) s = std::max(s, 1.0f);
    const float m = minimum > 0 ? std::nearbyint(fit.minimum / minimum) : 0.0f;
    group[lane] = static_cast<std::byte>(static_cast<uint8_t>(s));
    group[kBlockRows + lane] = static_cast<std::byte>(static_cast<uint8_t>(m));
    const float inverse = s > 0 ? 1.0f / (s * scale) : 0.0f;
    for (int64_t i = 0; i < std::min(kInt4Group, k - g * kInt4Group); ++i) {
      const int q = s > 0 ? quant4(row[g * kInt4Group + i], inverse, m * minimum) : 0;
      std::byte& cell = group[2 * kBlockRows + i % 16 / 4 * 4 * kBlockRows + lane * 4 + i % 4];
      cell |= static_cast<std::byte>(i < 16 ? q : q << 4);
    }
  }
}

}  // namespace

int64_t block_bytes(DType dtype, int64_t k) {
  const int64_t body =
      dtype == DType::kInt8
          ? checked_mul((k + 3) / 4, 4 * kBlockRows, "[quantized] bytes of a block")
          : checked_mul((k + kInt4Group - 1) / kInt4Group, kInt4GroupBytes, "[quantized] bytes of a block");
  return checked_add(kBlockHeader, body, "[quantized] bytes of a block");
}

Tensor quantized(ThreadPool& threads, const Tensor& w, DType dtype) {
  require(is_quantized(dtype) &&
              (w.dtype() == DType::kF32 || w.dtype() == DType::kBF16 || w.dtype() == DType::kF16) &&
              w.rank() >= 2,
          ErrorCode::kInvalidArgument, "[quantized] {} weights {} to {}", to_string(w.dtype()),
          to_string(w.shape()), to_string(dtype));
  Tensor result = Tensor::zeros(w.shape(), dtype);
  if (w.numel() == 0) return result;
  const int64_t rows = w.dim(0), k = rows == 0 ? 0 : w.numel() / rows, bytes = block_bytes(dtype, k);
  threads.parallel_for((rows + kBlockRows - 1) / kBlockRows, 1, [&](int64_t block, int64_t, int) {
    std::byte* target = result.raw() + block * bytes;
    std::vector<float> row(static_cast<size_t>(k));
    Header header{};
    for (int64_t lane = 0; lane < std::min(kBlockRows, rows - block * kBlockRows); ++lane) {
      read_row(w, block * kBlockRows + lane, k, row.data());
      for (const float x : row) {
        require(std::isfinite(x), ErrorCode::kInvalidArgument, "[quantized] row {} holds {}",
                block * kBlockRows + lane, x);
      }
      const auto quantize_row = dtype == DType::kInt8 ? quantize_row_int8 : quantize_row_int4;
      quantize_row(row.data(), k, lane, header, target + kBlockHeader);
    }
    std::memcpy(target, &header, sizeof header);
  });
  return result;
}

void dequantize_row(const Tensor& w, int64_t n, float* target) {
  const int64_t k = w.numel() / w.dim(0), lane = n % kBlockRows;
  const std::byte* block = w.raw() + n / kBlockRows * block_bytes(w.dtype(), k);
  Header header;
  std::memcpy(&header, block, sizeof header);
  const float scale = header.scale[static_cast<size_t>(lane)];
  float minimum;
  std::memcpy(&minimum, &header.sum_or_minimum[static_cast<size_t>(lane)], sizeof minimum);
  block += kBlockHeader;
  for (int64_t i = 0; i < k; ++i) {
    if (w.dtype() == DType::kInt8) {
      const auto q = static_cast<int8_t>(block[i / 4 * 4 * kBlockRows + lane * 4 + i % 4]);
      target[i] = scale * static_cast<float>(q);
    } else {
      const std::byte* group = block + i / kInt4Group * kInt4GroupBytes;
      const auto cell =
          static_cast<uint8_t>(group[2 * kBlockRows + i % 16 / 4 * 4 * kBlockRows + lane * 4 + i % 4]);
      const int q = i % kInt4Group < 16 ? cell & 15 : cell >> 4;
      target[i] = scale * static_cast<float>(group[lane]) * static_cast<float>(q) -
                  minimum * static_cast<float>(group[kBlockRows + lane]);
    }
  }
}

}  // namespace vl3
