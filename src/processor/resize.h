#pragma once
// Resizing of 8-bit RGB with antialiasing, bit by bit as the two reference libraries do it: separable,
// columns first, 8 bits in between, in integers. They differ in the precision of their weights: Pillow's have
// 22 fractional bits, torchvision's are 16-bit numbers scaled as far as the largest allows.

#include <cstdint>
#include <string_view>
#include <vector>

#include "processor/resize_taps.h"
#include "vl3/image_processor.h"

namespace vl3 {

// Throws kUnsupported, naming origin, for a filter that the backend cannot do exactly.
void require_filter(int64_t resample, ResizeBackend backend, std::string_view origin);

// Pictures of one size made another, a band of rows at a time, so that what lies between decoding and patches
// stays in the caches and the first rows can be used while the last are still being decoded.
class Resizer {
 public:
  // One for each thread.
  struct Scratch {
    std::vector<uint8_t> wide, narrow;  // a block of rows before and after its columns were weighed
    std::vector<uint8_t> between;       // rows after the first pass
    std::vector<uint8_t> rows;          // the result
  };

  // resample is PIL's number of the filter. Every size is positive.
  Resizer(Size in, Size out, int64_t resample, ResizeBackend backend);

  // Of how many of the source's rows, from the top, the target's first `end` rows are made.
  int64_t rows_needed(int64_t end) const noexcept;

  // source [in.height, in.width, 3], of which rows_needed(end) rows are read → rows [begin, end) of the
  // target, [end - begin, out.width, 3], in scratch or in the source itself.
  const uint8_t* rows(const uint8_t* source, int64_t begin, int64_t end, Scratch& scratch) const;

 private:
  // rows [count, in.width, 3] → [count, out.width, 3].
  void weigh_columns(const uint8_t* rows, int64_t count, Scratch& scratch, uint8_t* target) const;
  // Rows of row_bytes each, the first of which is the source's row `first` → target rows [begin, end).
  void weigh_rows(const uint8_t* rows, int64_t first, int64_t row_bytes, int64_t begin, int64_t end,
                  uint8_t* target) const;

  Size in_, out_;
  bool nearest_;
  bool rows_first_;
  std::vector<int64_t> nearest_rows_, nearest_columns_;
  Taps across_, down_;
};

}  // namespace vl3
