#include "processor/resize.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "processor/resize_kernels.h"
#include "processor/resize_taps.h"

namespace vl3 {
namespace {

// Columns are weighed for this many rows at a time, interleaved in memory, so that both passes are sums of
// rows of bytes.
constexpr int64_t kRowsTogether = 16;
constexpr int64_t kLanes = kRowsTogether * 3;

WeightedRows weighted_rows(const Taps& taps, int64_t output, const uint8_t* source, int64_t stride,
                           uint8_t* target) {
  const size_t i = static_cast<size_t>(output);
  return {source + taps.first[i] * stride,
          stride,
          taps.weights.data() + output * taps.per_output,
          taps.count[i],
          taps.precision,
          target + output * stride,
          stride};
}

// rows [count, width, 3] ↔ block [width, kRowsTogether, 3]. Pixels travel four bytes at a time where the byte
// too many is written again later: a row's by its next pixel, a block's by the next row.
void gather_rows(const uint8_t* rows, int64_t count, int64_t width, uint8_t* block) {
  for (int64_t r = 0; r < count; ++r) {
    const uint8_t* from = rows + r * width * 3;
    uint8_t* to = block + r * 3;
    const bool spare = r + 1 < kRowsTogether;
    for (int64_t x = 0; x + 1 < width && spare; ++x) std::memcpy(to + x * kLanes, from + x * 3, 4);
    for (int64_t x = spare ? width - 1 : 0; x < width; ++x) std::memcpy(to + x * kLanes, from + x * 3, 3);
  }
}
void scatter_rows(const uint8_t* block, int64_t count, int64_t width, uint8_t* rows) {
  for (int64_t r = 0; r < count; ++r) {
    const uint8_t* from = block + r * 3;
    uint8_t* to = rows + r * width * 3;
    const bool spare = r + 1 < kRowsTogether;
    for (int64_t x = 0; x + 1 < width && spare; ++x) std::memcpy(to + x * 3, from + x * kLanes, 4);
    for (int64_t x = spare ? width - 1 : 0; x < width; ++x) std::memcpy(to + x * 3, from + x * kLanes, 3);
  }
}

// source [height, in, 3] → target [height, out, 3].
void resize_columns(ThreadPool& threads, const uint8_t* source, int64_t height, int64_t in, int64_t out,
                    const Taps& taps, uint8_t* target) {
  const WeighFunction weigh = weigh_function(taps.precision < 22);
  const int64_t blocks = (height + kRowsTogether - 1) / kRowsTogether;
  threads.parallel_for(blocks, 1, [&](int64_t begin, int64_t end, int) {
    // kRowsTogether rows of the source and of the target, interleaved; what a last block lacks of rows stays
    // zero
    std::vector<uint8_t> wide(static_cast<size_t>(in * kLanes)), narrow(static_cast<size_t>(out * kLanes));
    for (int64_t block = begin; block < end; ++block) {
      const int64_t y = block * kRowsTogether, count = std::min(kRowsTogether, height - y);
      gather_rows(source + y * in * 3, count, in, wide.data());
      for (int64_t x = 0; x < out; ++x) weigh(weighted_rows(taps, x, wide.data(), kLanes, narrow.data()));
      scatter_rows(narrow.data(), count, out, target + y * out * 3);
    }
  });
}

// source [in, row_bytes] → target [out, row_bytes].
void resize_rows(ThreadPool& threads, const uint8_t* source, int64_t row_bytes, int64_t out, const Taps& taps,
                 uint8_t* target) {
  const WeighFunction weigh = weigh_function(taps.precision < 22);
  threads.parallel_for(out, 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t y = begin; y < end; ++y) weigh(weighted_rows(taps, y, source, row_bytes, target));
  });
}

void resize_nearest(ThreadPool& threads, const uint8_t* source, Size in, uint8_t* target, Size out,
                    ResizeBackend backend) {
  const auto rows = nearest_positions(in.height, out.height, backend);
  const auto columns = nearest_positions(in.width, out.width, backend);
  threads.parallel_for(out.height, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* from = source + rows[static_cast<size_t>(y)] * in.width * 3;
      uint8_t* to = target + y * out.width * 3;
      for (const int64_t x : columns) {
        std::memcpy(to, from + x * 3, 3);
        to += 3;
      }
    }
  });
}

// Since its release 13 Pillow begins with the pass that takes more away; which comes first shows in the
// rounding between them.
bool rows_first(Size in, Size out, ResizeBackend backend) {
  const int64_t rows_gone = in.height - out.height, columns_gone = in.width - out.width;
  return backend == ResizeBackend::kPil && rows_gone > 0 && rows_gone > 2 * columns_gone;
}

}  // namespace

void require_filter(int64_t resample, ResizeBackend backend, std::string_view origin) {
  constexpr const char* kNames[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
  require(resample >= 0 && resample <= 5, ErrorCode::kFormat,
          "[{}] \"resample\" is {}; filters have the numbers 0 to 5", origin, resample);
  const bool able =
      backend == ResizeBackend::kPil || resample == kNearest || resample == kBilinear || resample == kBicubic;
  require(able, ErrorCode::kUnsupported,
          "[{}] \"resample\" is {} ({}), which the torchvision backend does not do here: it does nearest "
          "(0), bilinear (2) and "
          "bicubic (3)",
          origin, resample, kNames[resample]);
}

void resize_rgb(ThreadPool& threads, const uint8_t* source, Size in, uint8_t* target, Size out,
                int64_t resample, ResizeBackend backend) {
  if (in == out) {
    std::memcpy(target, source, static_cast<size_t>(out.height * out.width * 3));
    return;
  }
  if (resample == kNearest) return resize_nearest(threads, source, in, target, out, backend);
  const Taps across = make_taps(in.width, out.width, resample, backend);
  const Taps down = make_taps(in.height, out.height, resample, backend);
  if (in.height == out.height)
    return resize_columns(threads, source, in.height, in.width, out.width, across, target);
  if (in.width == out.width) return resize_rows(threads, source, out.width * 3, out.height, down, target);
  std::vector<uint8_t> between;
  if (rows_first(in, out, backend)) {
    between.resize(static_cast<size_t>(out.height * in.width * 3));
    resize_rows(threads, source, in.width * 3, out.height, down, between.data());
    return resize_columns(threads, between.data(), out.height, in.width, out.width, across, target);
  }
  between.resize(static_cast<size_t>(in.height * out.width * 3));
  resize_columns(threads, source, in.height, in.width, out.width, across, between.data());
  resize_rows(threads, between.data(), out.width * 3, out.height, down, target);
}

}  // namespace vl3
