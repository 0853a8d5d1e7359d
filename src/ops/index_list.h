#pragma once
// Lists of rows that operations are given.

#include <span>
#include <vector>

#include "base/check.h"
#include "ops/dispatch.h"

namespace vl3::ops {

// Throws kInvalidArgument where x is not [rows, D], lies elsewhere, or a row is not one of x.
inline void check_rows(const Context& context, const char* op, const char* name, const Tensor& x,
                       std::span<const int64_t> rows) {
  check_devices(context, op, {{name, x}});
  require(x.rank() == 2, ErrorCode::kInvalidArgument, "[{}] {} should be [rows, D]", op,
          to_string(x.shape()));
  for (const int64_t row : rows) {
    require(row >= 0 && row < x.dim(0), ErrorCode::kInvalidArgument, "[{}] {} is outside [0, {})", op, row,
            x.dim(0));
  }
}

// For a tape, which outlives the caller's.
inline std::vector<int64_t> copied(std::span<const int64_t> rows) { return {rows.begin(), rows.end()}; }

}  // namespace vl3::ops
