#include "processor/pixel_difference.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vl3 {
namespace {

constexpr int kLanes = 8, kTurns = 4, kLevels = 4;
constexpr int kWidth = kLanes * kTurns;

struct Level {
  float sums[kWidth] = {};
};

void add(Level& to, Level& from) {
  for (int k = 0; k < kWidth; ++k) to.sums[k] += from.sums[k];
  from = {};
}

// Sums of kWidth columns over rows [0, rows): runs of `step` rows are added into the first level, runs of
// runs into the next.
Level sum_columns(const float* a, const float* b, int64_t rows) {
  Level levels[kLevels];
  const int bits = rows > 1 ? std::bit_width(static_cast<uint64_t>(rows - 1)) : 0;  // ⌈log2 rows⌉
  const int power = std::max(4, bits / kLevels);
  const int64_t step = int64_t{1} << power;
  const auto add_row = [&](int64_t row) {
    for (int k = 0; k < kWidth; ++k) levels[0].sums[k] += std::abs(a[row * kWidth + k] - b[row * kWidth + k]);
  };
  int64_t row = 0;
  while (row + step <= rows) {
    for (int64_t i = 0; i < step; ++i, ++row) add_row(row);
    for (int level = 1; level < kLevels; ++level) {
      add(levels[level], levels[level - 1]);
      if ((row & ((step - 1) << (level * power))) != 0) break;
    }
  }
  for (; row < rows; ++row) add_row(row);
  for (int level = 1; level < kLevels; ++level) add(levels[0], levels[level]);
  return levels[0];
}

}  // namespace

float mean_absolute_difference(const float* a, const float* b, int64_t n) {
  const auto difference = [&](int64_t i) { return std::abs(a[i] - b[i]); };
  const int64_t vectors = n / kLanes, rows = vectors / kTurns;
  float total = 0;
  if (vectors > 0) {
    Level sums = sum_columns(a, b, rows);
    float* first =
        sums.sums;  // of the four in turn, the one that takes what is left over and then the others
    for (int64_t v = rows * kTurns; v < vectors; ++v) {
      for (int k = 0; k < kLanes; ++k) first[k] += difference(v * kLanes + k);
    }
    for (int turn = 1; turn < kTurns; ++turn) {
      for (int k = 0; k < kLanes; ++k) first[k] += sums.sums[turn * kLanes + k];
    }
    for (int64_t i = vectors * kLanes; i < n; ++i) total += difference(i);
    for (int k = 0; k < kLanes; ++k) total += first[k];
  } else {
    for (int64_t i = 0; i < n; ++i) total += difference(i);
  }
  return total / static_cast<float>(n);
}

std::vector<uint8_t> kept_tokens(ThreadPool& threads, const Tensor& before, const Tensor& now, int64_t tokens,
                                 double threshold, int64_t min_tokens) {
  constexpr int64_t kTokensAtOnce = 32;
  const int64_t words = now.numel() / tokens;
  const float *was = before.data<float>(), *is = now.data<float>();
  std::vector<uint8_t> keep(static_cast<size_t>(tokens));
  threads.parallel_for(tokens, kTokensAtOnce, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const float difference = mean_absolute_difference(is + i * words, was + i * words, words) * 255.0f;
      keep[static_cast<size_t>(i)] = difference > static_cast<float>(threshold) ? 1 : 0;
    }
  });
  if (std::count(keep.begin(), keep.end(), uint8_t{1}) < min_tokens)
    std::fill_n(keep.begin(), std::min(min_tokens, tokens), uint8_t{1});
  return keep;
}

}  // namespace vl3
