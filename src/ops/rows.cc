#include "ops/rows.h"

#include <algorithm>
#include <vector>

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/index_list.h"
#include "runtime/context_parts.h"

namespace vl3::ops {
namespace {

constexpr int64_t kAll = -1;  // no row is left out

}  // namespace

Tensor gather_rows(Context& context, const Tensor& x, const IndexList& rows) {
  check_rows(context, "gather_rows", "x", x, rows);
  Tensor y = context.empty({rows.size(), x.dim(1)});
  implementation(context, "gather_rows", cpu::gather_rows)(context, x, rows, y);
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x = Variable(x), kept = copied(rows)](Context& c, Tape& t, const Tensor& dy) {
      implementation(c, "gather_rows", cpu::add_rows)(c, dy, kept, kAll, t.gradient_sum(c, x));
    });
  }
  return y;
}

Tensor scatter_rows(Context& context, const Tensor& base, const IndexList& rows, const Tensor& source) {
  check_rows(context, "scatter_rows", "base", base, rows);
  require(source.shape() == Shape{rows.size(), base.dim(1)}, ErrorCode::kInvalidArgument,
          "[scatter_rows] {} rows of {} are to be replaced by {}", rows.size(), to_string(base.shape()),
          to_string(source.shape()));
  check_devices(context, "scatter_rows", {{"source", source}});
  Tensor y = context.empty(base.shape());
  implementation(context, "scatter_rows", cpu::scatter_rows)(context, base, rows, source, y);
  if (Tape* tape = tape_for(context, {&base, &source})) {
    tape->record(y, [base = Variable(base), source = Variable(source), kept = copied(rows)](
                        Context& c, Tape& t, const Tensor& dy) {
      Tensor dbase = dy.clone();
      implementation(c, "scatter_rows", cpu::zero_rows)(c, kept, dbase);
      t.add_gradient(c, base, dbase);
      t.add_gradient(c, source, gather_rows(c, dy, kept));
    });
  }
  return y;
}

Tensor place_rows(Context& context, const Tensor& source, const IndexList& places, int64_t total) {
  require(source.rank() == 2 && source.dim(0) == places.size() && total >= 0, ErrorCode::kInvalidArgument,
          "[place_rows] {} to {} places of {} rows", to_string(source.shape()), places.size(), total);
  for (const int64_t place : places.host()) {
    require(place >= 0 && place < total, ErrorCode::kInvalidArgument, "[place_rows] {} is outside [0, {})",
            place, total);
  }
  check_devices(context, "place_rows", {{"source", source}});
  Tensor y = context.empty({total, source.dim(1)});
  implementation(context, "place_rows", cpu::place_rows)(context, source, places, y);
  if (Tape* tape = tape_for(context, {&source})) {
    tape->record(y,
                 [source = Variable(source), kept = copied(places)](Context& c, Tape& t, const Tensor& dy) {
                   t.add_gradient(c, source, gather_rows(c, dy, kept));
                 });
  }
  return y;
}

Tensor concat_rows(Context& context, std::span<const Tensor> parts) {
  require(!parts.empty(), ErrorCode::kInvalidArgument, "[concat_rows] of nothing");
  int64_t rows = 0;
  for (const Tensor& part : parts) {
    require(part.rank() == 2 && part.dim(1) == parts[0].dim(1), ErrorCode::kInvalidArgument,
            "[concat_rows] {} below {}", to_string(part.shape()), to_string(parts[0].shape()));
    check_devices(context, "concat_rows", {{"part", part}});
    rows += part.dim(0);
  }
  Tensor y = context.empty({rows, parts[0].dim(1)});
  implementation(context, "concat_rows", cpu::concat_rows)(context, parts, y);
  Tape* tape = tape_of(context);
  const bool needed = tape != nullptr && std::any_of(parts.begin(), parts.end(), [&](const Tensor& part) {
                        return tape->needs_gradient(part);
                      });
  if (needed) {
    tape->record(
        y, [kept = std::vector<Variable>(parts.begin(), parts.end())](Context& c, Tape& t, const Tensor& dy) {
          int64_t row = 0;
          for (const Variable& part : kept) {
            t.add_gradient(c, part, dy.rows(row, row + part.shape()[0]));
            row += part.shape()[0];
          }
        });
  }
  return y;
}

}  // namespace vl3::ops
