#pragma once
// Weights rounded for the inputs they meet. Reference: GPTQ (Frantar et al., 2022), section 3, with the
// Hessian's blocks of one group: on real weights that reaches what the whole Hessian does to within a
// twentieth.

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/quantized.h"
#include "vl3/quantize.h"

namespace vl3 {

// Rounds the numbers of a group one after the other; those to come make up for what rounding did to the
// products with the inputs.
class Gptq {
 public:
  // exponents: of the columns, as in QuantizedOptions; may be empty. Throws kInvalidArgument where the
  // moments are of another width.
  Gptq(ThreadPool& threads, DType dtype, const InputMoments& moments, int64_t k,
       std::span<const int8_t> exponents);

  // A RowRounding.
  void operator()(std::span<float> row, std::span<GroupCode> codes, std::span<uint8_t> q) const;

 private:
  DType dtype_;
  // [G][256][256]: row j holds in place i > j how much of the error of number j number i takes over.
  std::vector<float> shares_;
};

}  // namespace vl3
