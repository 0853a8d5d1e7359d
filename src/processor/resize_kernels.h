#pragma once
// The inner loop of resizing: weighted sums of rows of bytes.

#include <cstdint>

namespace vl3 {

// How the bytes of one target row come from rows of the source: target[x] = clip((half + Σj source[j·stride +
// x] · weights[j])
// >> precision), with half = 1 << (precision - 1), for count rows j and n bytes x.
struct WeightedRows {
  const uint8_t* source;
  int64_t stride;
  const int32_t* weights;
  int64_t count;
  int precision;
  uint8_t* target;
  int64_t n;
};

// A path for the processor at hand: AVX2, or what any processor can. narrow: every weight fits into 16 bits.
using WeighFunction = void (*)(const WeightedRows& rows);
WeighFunction weigh_function(bool narrow);
WeighFunction portable_weigh_function();  // for tests

}  // namespace vl3
