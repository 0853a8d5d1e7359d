#pragma once

#include <span>
#include <vector>

#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3::ops {

// Numbers of rows, in the order in which they are wanted. A list refers to what the host holds, which must
// outlive it. Made with a context, it has a copy on the context's device as well, for all operations that are
// given the list; an operation that is given another list makes its own.
class IndexList {
 public:
  IndexList() = default;
  IndexList(std::span<const int64_t> rows) : host_(rows) {}     // NOLINT(google-explicit-constructor)
  IndexList(const std::vector<int64_t>& rows) : host_(rows) {}  // NOLINT(google-explicit-constructor)
  IndexList(Context& context, std::span<const int64_t> rows);

  std::span<const int64_t> host() const noexcept { return host_; }
  int64_t size() const noexcept { return static_cast<int64_t>(host_.size()); }
  Tensor on(Context& context) const;  // [size] i64 of the context's device

 private:
  std::span<const int64_t> host_;
  Tensor uploaded_;  // undefined: nothing is
};

// Throws kInvalidArgument where x is not [rows, D], lies elsewhere, or a number is not one of its rows.
void check_rows(const Context& context, const char* op, const char* name, const Tensor& x,
                const IndexList& rows);

// For a tape, which outlives the caller's.
inline std::vector<int64_t> copied(const IndexList& rows) { return {rows.host().begin(), rows.host().end()}; }

}  // namespace vl3::ops
