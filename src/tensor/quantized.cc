#include "tensor/quantized.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/check.h"
#include "vl3/thread_pool.h"

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

int64_t whole_lines(int64_t bytes) { return checked_add(bytes, 63, "[quantized] bytes") / 64 * 64; }

// Where what belongs to a block lies.
struct BlockPlaces {
  int64_t codes, body, bytes;
  BlockPlaces(DType dtype, int64_t k) {
    constexpr const char* kWhat = "[quantized] bytes of a block";
    codes = checked_mul(quant_groups(k), 2 * kBlockRows, kWhat);
    const bool int4 = dtype == DType::kInt4;
    body = whole_lines(int4 ? codes + checked_mul(quant_parts(k), kBlockRows, kWhat) : codes);
    bytes = checked_add(body, checked_mul(quant_parts(k), kBlockRows * kQuantPart / (int4 ? 2 : 1), kWhat),
                        kWhat);
  }
};

// Of number i of a row of a lane. int4: whether it is the high half of the byte.
int64_t place_int8(int64_t i, int64_t lane) { return i / 4 * 4 * kBlockRows + lane * 4 + i % 4; }
int64_t place_int4(int64_t i, int64_t lane) {
  return i / kQuantPart * kBlockRows * kQuantPart / 2 + i % 16 / 4 * 4 * kBlockRows + lane * 4 + i % 4;
}
bool in_high_half(int64_t i) { return i % kQuantPart >= 16; }

// To the next bf16, away from zero: what was the largest still fits.
float up_to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0xffffu) & 0xffff0000u;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

float nearest(float x) {  // of |x| < 2^22; a loop of these becomes vectors
  constexpr float kMagic = 12582912.0f;
  return (x + kMagic) - kMagic;
}

float largest_of(std::span<const float> numbers) {
  float largest = 0;
  for (const float x : numbers) largest = std::max(largest, std::abs(x));
  return largest;
}

// Σ (w - w')² where step and zero are these.
float squared_error(std::span<const float> weights, float step, float inverse, float zero) {
  float error = 0;
  for (const float w : weights) {
    const float q = std::min(std::max(nearest(w * inverse) + zero, 0.0f), 15.0f);
    const float difference = w - (q - zero) * step;
    error += difference * difference;
  }
  return error;
}

// In place, of a power of two.
void hadamard(float* x, int64_t length) {
  for (int64_t step = 1; step < length; step *= 2) {
    for (int64_t first = 0; first < length; first += 2 * step) {
      for (int64_t i = first; i < first + step; ++i) {
        const float a = x[i], b = x[i + step];
        x[i] = a + b;
        x[i + step] = a - b;
      }
    }
  }
  const float factor = 1.0f / std::sqrt(static_cast<float>(length));
  for (int64_t i = 0; i < length; ++i) x[i] *= factor;
}

// The sign bits of a group's signs; those of a shorter piece are the first of them.
struct GroupSigns {
  std::array<uint32_t, kQuantGroup> bits{};
  constexpr GroupSigns() {
    for (uint32_t i = 0; i < kQuantGroup; ++i) bits[i] = std::popcount(i & i >> 1) % 2 != 0 ? 1u << 31 : 0u;
  }
};
constexpr GroupSigns kSigns;

void change_signs(float* x, int64_t length) {
  for (int64_t i = 0; i < length; ++i)
    x[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(x[i]) ^ kSigns.bits[static_cast<size_t>(i)]);
}

template <class Rotate>
void for_each_piece(std::span<float> row, const Rotate& rotate) {
  float* x = row.data();
  for (int64_t left = static_cast<int64_t>(row.size()), length = kQuantGroup; left > 0;) {
    while (length > left) length /= 2;
    rotate(x, length);
    x += length;
    left -= length;
  }
}

}  // namespace

int64_t block_bytes(DType dtype, int64_t k) { return BlockPlaces(dtype, k).bytes; }

int64_t quantized_bytes(DType dtype, int64_t rows, int64_t k) {
  constexpr const char* kWhat = "[quantized] bytes of a matrix";
  const int64_t blocks =
      checked_mul(checked_add(rows, kBlockRows - 1, kWhat) / kBlockRows, block_bytes(dtype, k), kWhat);
  return checked_add(blocks, whole_lines(k), kWhat);
}

std::span<const int8_t> column_exponents(const Tensor& w) {
  return {reinterpret_cast<const int8_t*>(w.raw()), static_cast<size_t>(w.numel() / w.dim(0))};
}

const std::byte* blocks_of(const Tensor& w) { return w.raw() + whole_lines(w.numel() / w.dim(0)); }

void activation_multipliers(const Tensor& w, std::span<float> target) {
  // Every product of every token needs these: 2^-exponent is put together, not computed.
  constexpr int kBias = 127, kFraction = 23;
  const auto exponents = column_exponents(w);
  for (size_t i = 0; i < target.size(); ++i)
    target[i] = std::bit_cast<float>(static_cast<uint32_t>(kBias - exponents[i]) << kFraction);
  for_each_piece(target, change_signs);
}

std::vector<float> as_f32(const Tensor& w) {
  std::vector<float> values(static_cast<size_t>(w.numel()));
  read_row(w, 0, w.numel(), values.data());
  return values;
}

void add_column_squares(ThreadPool& threads, const Tensor& w, std::span<double> squares) {
  constexpr int64_t kRows = 256;  // of a thread at once
  const int64_t rows = w.dim(0), k = w.dim(1);
  std::mutex adding;
  threads.parallel_for((rows + kRows - 1) / kRows, 1, [&](int64_t part, int64_t, int) {
    std::vector<float> row(static_cast<size_t>(k)), sums(static_cast<size_t>(k));
    for (int64_t n = part * kRows; n < std::min(rows, (part + 1) * kRows); ++n) {
      read_row(w, n, k, row.data());
      for (size_t i = 0; i < row.size(); ++i) sums[i] += row[i] * row[i];
    }
    const std::lock_guard lock(adding);
    for (size_t i = 0; i < sums.size(); ++i) squares[i] += sums[i];
  });
}

void rotate_groups(std::span<float> row) {
  for_each_piece(row, [](float* x, int64_t length) {
    change_signs(x, length);
    hadamard(x, length);
  });
}

void rotate_groups_back(std::span<float> row) {
  for_each_piece(row, [](float* x, int64_t length) {
    hadamard(x, length);
    change_signs(x, length);
  });
}

float GroupCode::rounded(DType dtype, int64_t i, float w, uint8_t* q) const {
  if (dtype == DType::kInt8) {
    const float n = scale > 0 ? std::clamp(nearest(w / scale), -127.0f, 127.0f) : 0.0f;
    *q = static_cast<uint8_t>(static_cast<int>(n) + 128);
    return n * scale;
  }
  const auto part = static_cast<size_t>(i / kQuantPart);
  const float s = scale * static_cast<float>(step[part]), z = static_cast<float>(zero[part]);
  const float n = s > 0 ? std::clamp(nearest(w / s) + z, 0.0f, 15.0f) : z;
  *q = static_cast<uint8_t>(n);
  return (n - z) * s;
}

GroupCode fit_group(DType dtype, std::span<const float> group) {
  GroupCode code;
  constexpr float kLargestInt4 = 120.0f;  // 8 below zero in the longest steps
  code.scale = up_to_bf16(largest_of(group) / (dtype == DType::kInt8 ? 127.0f : kLargestInt4));
  return code;
}

void fit_part(GroupCode& code, int64_t part, std::span<const float> weights) {
  constexpr int kMostSteps = 15, kMost = 127;
  auto& step = code.step[static_cast<size_t>(part)];
  auto& zero = code.zero[static_cast<size_t>(part)];
  step = kMostSteps;  // reaches all that the scale was made for
  zero = 8;
  if (code.scale <= 0) return;
  const auto [low, high] = std::minmax_element(weights.begin(), weights.end());
  const float range = (*high - *low) / (15.0f * code.scale);  // of this step both ends are reached
  float least = squared_error(weights, code.scale * 15.0f, 1.0f / (code.scale * 15.0f), 8.0f);
  for (int s = std::max(1, static_cast<int>(0.65f * range)); s <= std::min(range + 1.0f, 15.0f); ++s) {
    const float length = code.scale * static_cast<float>(s), inverse = 1.0f / length;
    const int centre = static_cast<int>(nearest(7.5f - 0.5f * (*high + *low) * inverse));
    for (int z = std::max(centre - 1, 0); z <= std::min(centre + 1, 15); ++z) {
      if (s * std::max(z, 15 - z) > kMost) continue;
      const float error = squared_error(weights, length, inverse, static_cast<float>(z));
      if (error >= least) continue;
      least = error;
      step = static_cast<uint8_t>(s);
      zero = static_cast<uint8_t>(z);
    }
  }
}

void round_row(DType dtype, std::span<const float> row, std::span<GroupCode> codes, std::span<uint8_t> q) {
  for (size_t g = 0; g < codes.size(); ++g) {
    const size_t first = g * kQuantGroup, count = std::min<size_t>(kQuantGroup, row.size() - first);
    const auto group = row.subspan(first, count);
    GroupCode& code = codes[g] = fit_group(dtype, group);
    for (size_t p = 0; dtype == DType::kInt4 && p < count; p += kQuantPart)
      fit_part(code, static_cast<int64_t>(p) / kQuantPart,
               group.subspan(p, std::min<size_t>(kQuantPart, count - p)));
    for (size_t i = 0; i < count; ++i) code.rounded(dtype, static_cast<int64_t>(i), group[i], &q[first + i]);
  }
}

void store_row(DType dtype, std::span<const GroupCode> codes, std::span<const uint8_t> q, int64_t lane,
               std::byte* block) {
  const auto k = static_cast<int64_t>(q.size());
  const BlockPlaces at(dtype, k);
  const bool int4 = dtype == DType::kInt4;
  for (size_t g = 0; g < codes.size(); ++g) {
    uint32_t bits;
    std::memcpy(&bits, &codes[g].scale, sizeof bits);
    const auto scale = static_cast<uint16_t>(bits >> 16);
    std::memcpy(block + (static_cast<int64_t>(g) * kBlockRows + lane) * 2, &scale, sizeof scale);
    for (int64_t p = 0; int4 && p < kQuantGroup / kQuantPart; ++p) {
      const int64_t part = static_cast<int64_t>(g) * kQuantGroup / kQuantPart + p;
      if (part >= quant_parts(k)) break;
      const auto i = static_cast<size_t>(p);
      block[at.codes + part * kBlockRows + lane] =
          static_cast<std::byte>(codes[g].step[i] | codes[g].zero[i] << 4);
    }
  }
  for (int64_t i = 0; i < quant_parts(k) * kQuantPart; ++i) {
    if (!int4) {
      block[at.body + place_int8(i, lane)] =
          i < k ? static_cast<std::byte>(q[static_cast<size_t>(i)]) : std::byte{128};
      continue;
    }
    const uint8_t half = i < k ? q[static_cast<size_t>(i)] : uint8_t{0};
    block[at.body + place_int4(i, lane)] |= static_cast<std::byte>(in_high_half(i) ? half << 4 : half);
  }
}

Tensor quantized(ThreadPool& threads, const Tensor& w, DType dtype, const QuantizedOptions& options) {
  require(is_quantized(dtype) &&
              (w.dtype() == DType::kF32 || w.dtype() == DType::kBF16 || w.dtype() == DType::kF16) &&
              w.rank() >= 2,
          ErrorCode::kInvalidArgument, "[quantized] {} weights {} to {}", to_string(w.dtype()),
          to_string(w.shape()), to_string(dtype));
  Tensor result = Tensor::zeros(w.shape(), dtype);
  if (w.numel() == 0) return result;
  const int64_t rows = w.dim(0), k = w.numel() / rows, bytes = block_bytes(dtype, k);
  const auto exponents = options.exponents;
  require(exponents.empty() || static_cast<int64_t>(exponents.size()) == k, ErrorCode::kInvalidArgument,
          "[quantized] {} exponents for {} columns", exponents.size(), k);
  std::copy(exponents.begin(), exponents.end(), reinterpret_cast<int8_t*>(result.mutable_raw()));
  std::byte* const blocks = result.mutable_raw() + whole_lines(k);
  threads.parallel_for((rows + kBlockRows - 1) / kBlockRows, 1, [&](int64_t block, int64_t, int) {
    std::vector<float> row(static_cast<size_t>(k));
    std::vector<uint8_t> q(static_cast<size_t>(k));
    std::vector<GroupCode> codes(static_cast<size_t>(quant_groups(k)));
    for (int64_t lane = 0; lane < kBlockRows; ++lane) {
      const int64_t n = block * kBlockRows + lane;
      std::fill(row.begin(), row.end(), 0.0f);
      if (n < rows) read_row(w, n, k, row.data());
      for (size_t i = 0; i < exponents.size(); ++i)
        if (exponents[i] != 0) row[i] = std::ldexp(row[i], exponents[i]);
      for (const float x : row)
        require(std::isfinite(x), ErrorCode::kInvalidArgument, "[quantized] row {} holds {}", n, x);
      rotate_groups(row);
      if (options.rounding && n < rows)
        options.rounding(row, codes, q);
      else
        round_row(dtype, row, codes, q);
      store_row(dtype, codes, q, lane, blocks + block * bytes);
    }
  });
  return result;
}

void dequantize_row(const Tensor& w, int64_t n, float* target) {
  const int64_t k = w.numel() / w.dim(0), lane = n % kBlockRows;
  const BlockPlaces at(w.dtype(), k);
  const std::byte* block = blocks_of(w) + n / kBlockRows * at.bytes;
  for (int64_t i = 0; i < k; ++i) {
    uint16_t bits;
    std::memcpy(&bits, block + (i / kQuantGroup * kBlockRows + lane) * 2, sizeof bits);
    const float scale = widened(bits, DType::kBF16);
    if (w.dtype() == DType::kInt8) {
      target[i] = scale * static_cast<float>(static_cast<int>(block[at.body + place_int8(i, lane)]) - 128);
      continue;
    }
    const int code = static_cast<int>(block[at.codes + i / kQuantPart * kBlockRows + lane]);
    const int cell = static_cast<int>(block[at.body + place_int4(i, lane)]);
    const int q = in_high_half(i) ? cell >> 4 : cell & 15;
    target[i] = scale * static_cast<float>((code & 15) * (q - (code >> 4)));
  }
  rotate_groups_back(std::span(target, static_cast<size_t>(k)));
  const auto exponents = column_exponents(w);
  for (int64_t i = 0; i < k; ++i)
    if (const int8_t e = exponents[static_cast<size_t>(i)]; e != 0) target[i] = std::ldexp(target[i], -e);
}

}  // namespace vl3
