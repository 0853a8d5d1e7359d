#include "processor/resize_taps.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vl3 {
namespace {

struct Filter {
  double support;
  double (*at)(double x);
};

// Keys' cubic with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double triangle(double x) { return std::max(1.0 - std::abs(x), 0.0); }

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double hamming(double x) {
  x = std::abs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

Filter filter_of(int64_t resample) {
  switch (resample) {
    case kLanczos:
      return {3.0, lanczos};
    case kBilinear:
      return {1.0, triangle};
    case kBox:
      return {0.5, box};
    case kHamming:
      return {1.0, hamming};
    default:
      return {2.0, cubic};
  }
}

// As many fractional bits as leave the largest weight below 2^15.
int bits_for_int16(double largest) {
  int precision = 0;
  for (; precision < 22; ++precision) {
    if (static_cast<int>(0.5 + largest * (1 << (precision + 1))) >= (1 << 15)) break;
  }
  return precision;
}

}  // namespace

Taps make_taps(int64_t in, int64_t out, int64_t resample, ResizeBackend backend) {
  const Filter filter = filter_of(resample);
  const double scale = static_cast<double>(in) / static_cast<double>(out),
               filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale, inverse = 1.0 / filter_scale;
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
      weights[j] = filter.at((static_cast<double>(j + first) - center + 0.5) * inverse);
      total += weights[j];
    }
    for (int64_t j = 0; j < count; ++j) {
      if (total != 0.0) weights[j] /= total;
      largest = std::max(largest, weights[j]);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  taps.precision = backend == ResizeBackend::kPil ? 22 : bits_for_int16(largest);
  taps.weights.reserve(exact.size());
  for (const double weight : exact) {
    const double scaled = weight * (1 << taps.precision);
    taps.weights.push_back(static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
  }
  return taps;
}

std::vector<int64_t> nearest_positions(int64_t in, int64_t out, ResizeBackend backend) {
  std::vector<int64_t> positions(static_cast<size_t>(out));
  // Pillow adds up steps in double; torchvision ("nearest-exact") multiplies by a float scale and rounds to
  // float.
  const double step = static_cast<double>(in) / static_cast<double>(out);
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  double at = 0.5 * step;
  for (int64_t i = 0; i < out; ++i, at += step) {
    const double position =
        backend == ResizeBackend::kPil
            ? at
            : static_cast<double>(static_cast<float>((static_cast<double>(i) + 0.5) * scale));
    positions[static_cast<size_t>(i)] = std::min(static_cast<int64_t>(std::floor(position)), in - 1);
  }
  return positions;
}

}  // namespace vl3
