#include "processor/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"

namespace vl3 {
namespace {

// Keys' cubic with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// Which source positions make up each target position, and with what integer weights.
struct Taps {
  int64_t per_output = 0;        // room for each output's weights
  int precision = 0;             // fractional bits of a weight
  std::vector<int64_t> first;    // [outputs]
  std::vector<int64_t> count;    // [outputs]
  std::vector<int32_t> weights;  // [outputs, per_output]
};

Taps make_taps(int64_t in, int64_t out, ResizeBackend backend) {
  const double scale = static_cast<double>(in) / static_cast<double>(out),
               filter_scale = std::max(scale, 1.0);
  const double support = 2.0 * filter_scale, inverse = 1.0 / filter_scale;
  Taps taps;
  taps.per_output = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  std::vector<double> exact(static_cast<size_t>(out * taps.per_output), 0.0);
  double largest = 0;
  for (int64_t i = 0; i < out; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t count = std::min(static_cast<int64_t>(center + support + 0.5), in) - first;
    double* weights = exact.data() + i * taps.per_output;
    double total = 0;
    for (int64_t j = 0; j < count; ++j) {
      weights[j] = cubic((static_cast<double>(j + first) - center + 0.5) * inverse);
      total += weights[j];
    }
    for (int64_t j = 0; j < count; ++j) {
      if (total != 0.0) weights[j] /= total;
      largest = std::max(largest, weights[j]);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  taps.precision = 22;
  if (backend == ResizeBackend::kTorchvision) {
    for (taps.precision = 0; taps.precision < 22; ++taps.precision) {
      const int next = static_cast<int>(0.5 + largest * (1 << (taps.precision + 1)));
      if (next >= (1 << 15)) break;
    }
  }
  for (const double weight : exact) {
    const double scaled = weight * (1 << taps.precision);
    taps.weights.push_back(static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
  }
  return taps;
}

uint8_t clip(int32_t sum, int precision) {
  return static_cast<uint8_t>(std::clamp(sum >> precision, 0, 255));
}

// One row of columns: source [in, 3] → target [out, 3].
void resize_row(const Taps& taps, const uint8_t* source, uint8_t* target) {
  const int32_t half = 1 << (taps.precision - 1);
  for (size_t i = 0; i < taps.first.size(); ++i) {
    const uint8_t* pixel = source + taps.first[i] * 3;
    const int32_t* weight = taps.weights.data() + static_cast<int64_t>(i) * taps.per_output;
    int32_t r = half, g = half, b = half;
    for (int64_t j = 0; j < taps.count[i]; ++j, pixel += 3) {
      r += pixel[0] * weight[j];
      g += pixel[1] * weight[j];
      b += pixel[2] * weight[j];
    }
    target[i * 3] = clip(r, taps.precision);
    target[i * 3 + 1] = clip(g, taps.precision);
    target[i * 3 + 2] = clip(b, taps.precision);
  }
}

#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VL3_CLONES __attribute__((target_clones("arch=skylake-avx512", "avx2", "default")))
#else
#define VL3_CLONES
#endif

// A weighted sum of rows of n bytes, stride bytes apart. sums: [n].
VL3_CLONES void add_rows(const uint8_t* source, int64_t stride, const int32_t* weights, int64_t count,
                         int64_t n, int precision, int32_t* sums, uint8_t* target) {
  for (int64_t x = 0; x < n; ++x) sums[x] = 1 << (precision - 1);
  for (int64_t j = 0; j < count; ++j) {
    const uint8_t* row = source + j * stride;
    const int32_t weight = weights[j];
    for (int64_t x = 0; x < n; ++x) sums[x] += row[x] * weight;
  }
  for (int64_t x = 0; x < n; ++x) {
    const int32_t value = sums[x] >> precision;
    target[x] = static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

}  // namespace

void resize_bicubic(ThreadPool& threads, const uint8_t* source, Size in, uint8_t* target, Size out,
                    ResizeBackend backend) {
  const int64_t row_bytes = out.width * 3;
  std::vector<uint8_t> narrowed;
  const uint8_t* columns = source;
  if (in.width != out.width) {
    const Taps taps = make_taps(in.width, out.width, backend);
    narrowed.resize(static_cast<size_t>(in.height * row_bytes));
    threads.parallel_for(in.height, 8, [&](int64_t begin, int64_t end, int) {
      for (int64_t y = begin; y < end; ++y) {
        resize_row(taps, source + y * in.width * 3, narrowed.data() + y * row_bytes);
      }
    });
    columns = narrowed.data();
  }
  if (in.height == out.height) {
    std::memcpy(target, columns, static_cast<size_t>(out.height * row_bytes));
    return;
  }
  const Taps taps = make_taps(in.height, out.height, backend);
  threads.parallel_for(out.height, 8, [&](int64_t begin, int64_t end, int) {
    std::vector<int32_t> sums(static_cast<size_t>(row_bytes));
    for (int64_t y = begin; y < end; ++y) {
      const size_t i = static_cast<size_t>(y);
      add_rows(columns + taps.first[i] * row_bytes, row_bytes, taps.weights.data() + y * taps.per_output,
               taps.count[i], row_bytes, taps.precision, sums.data(), target + y * row_bytes);
    }
  });
}

}  // namespace vl3
