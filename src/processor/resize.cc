#include "processor/resize.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "processor/resize_kernels.h"

namespace vl3 {
namespace {

// Columns are weighed for this many rows at a time, interleaved in memory, so that both passes are sums of
// rows of bytes.
constexpr int64_t kRowsTogether = 16;
constexpr int64_t kLanes = kRowsTogether * 3;

// source: the rows of the source picture from `first` on.
WeightedRows weighted_rows(const Taps& taps, int64_t output, const uint8_t* source, int64_t first,
                           int64_t stride, uint8_t* target) {
  const size_t i = static_cast<size_t>(output);
  return {source + (taps.first[i] - first) * stride,
          stride,
          taps.weights.data() + output * taps.per_output,
          taps.count[i],
          taps.precision,
          target,
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

// Since its release 13 Pillow begins with the pass that takes more away; which comes first shows in the
// rounding between them.
bool rows_first(Size in, Size out, ResizeBackend backend) {
  const int64_t rows_gone = in.height - out.height, columns_gone = in.width - out.width;
  return backend == ResizeBackend::kPil && rows_gone > 0 && rows_gone > 2 * columns_gone;
}

uint8_t* room(std::vector<uint8_t>& buffer, int64_t bytes) {
  if (static_cast<int64_t>(buffer.size()) < bytes) buffer.resize(static_cast<size_t>(bytes));
  return buffer.data();
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

Resizer::Resizer(Size in, Size out, int64_t resample, ResizeBackend backend)
    : in_(in), out_(out), nearest_(resample == kNearest), rows_first_(rows_first(in, out, backend)) {
  if (in == out) return;
  if (nearest_) {
    nearest_rows_ = nearest_positions(in.height, out.height, backend);
    nearest_columns_ = nearest_positions(in.width, out.width, backend);
    return;
  }
  across_ = make_taps(in.width, out.width, resample, backend);
  down_ = make_taps(in.height, out.height, resample, backend);
}

int64_t Resizer::rows_needed(int64_t end) const noexcept {
  if (in_.height == out_.height) return end;
  const size_t last = static_cast<size_t>(end - 1);
  return nearest_ ? nearest_rows_[last] + 1 : down_.first[last] + down_.count[last];
}

void Resizer::weigh_columns(const uint8_t* rows, int64_t count, Scratch& scratch, uint8_t* target) const {
  const WeighFunction weigh = weigh_function(across_.precision < 22);
  uint8_t* wide = room(scratch.wide, in_.width * kLanes);
  uint8_t* narrow = room(scratch.narrow, out_.width * kLanes);
  for (int64_t y = 0; y < count; y += kRowsTogether) {
    const int64_t together = std::min(kRowsTogether, count - y);  // other lanes hold rows of before, unused
    gather_rows(rows + y * in_.width * 3, together, in_.width, wide);
    for (int64_t x = 0; x < out_.width; ++x)
      weigh(weighted_rows(across_, x, wide, 0, kLanes, narrow + x * kLanes));
    scatter_rows(narrow, together, out_.width, target + y * out_.width * 3);
  }
}

void Resizer::weigh_rows(const uint8_t* rows, int64_t first, int64_t row_bytes, int64_t begin, int64_t end,
                         uint8_t* target) const {
  const WeighFunction weigh = weigh_function(down_.precision < 22);
  for (int64_t y = begin; y < end; ++y)
    weigh(weighted_rows(down_, y, rows, first, row_bytes, target + (y - begin) * row_bytes));
}

const uint8_t* Resizer::rows(const uint8_t* source, int64_t begin, int64_t end, Scratch& scratch) const {
  const int64_t bytes_in = in_.width * 3, bytes_out = out_.width * 3, count = end - begin;
  if (in_ == out_) return source + begin * bytes_in;
  uint8_t* target = room(scratch.rows, count * bytes_out);
  if (nearest_) {
    uint8_t* to = target;
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* from = source + nearest_rows_[static_cast<size_t>(y)] * bytes_in;
      for (const int64_t x : nearest_columns_) to = std::copy_n(from + x * 3, 3, to);
    }
  } else if (in_.height == out_.height) {
    weigh_columns(source + begin * bytes_in, count, scratch, target);
  } else if (in_.width == out_.width) {
    weigh_rows(source, 0, bytes_in, begin, end, target);
  } else if (rows_first_) {
    uint8_t* between = room(scratch.between, count * bytes_in);
    weigh_rows(source, 0, bytes_in, begin, end, between);
    weigh_columns(between, count, scratch, target);
  } else {
    const int64_t first = down_.first[static_cast<size_t>(begin)], last = rows_needed(end);
    uint8_t* between = room(scratch.between, (last - first) * bytes_out);
    weigh_columns(source + first * bytes_in, last - first, scratch, between);
    weigh_rows(between, first, bytes_out, begin, end, target);
  }
  return target;
}

}  // namespace vl3
