#include "ops/rows.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/kernels.h"
#include "ops/dispatch.h"
#include "ops/matmul.h"
#include "ops/tape.h"
#include "tensor/quantized.h"

namespace vl3::ops {
namespace {

void check_rows(const Context& context, const char* op, const Tensor& x, std::span<const int64_t> rows) {
  check_devices(context, op, {{"x", x}});
  require(x.rank() == 2, ErrorCode::kInvalidArgument, "[{}] {} should be [rows, D]", op,
          to_string(x.shape()));
  for (const int64_t row : rows) {
    require(row >= 0 && row < x.dim(0), ErrorCode::kInvalidArgument, "[{}] {} is outside [0, {})", op, row,
            x.dim(0));
  }
}

std::vector<int64_t> copied(std::span<const int64_t> rows) { return {rows.begin(), rows.end()}; }

// target[rows[i]] += source[i]
void add_rows(Context& context, const Tensor& source, std::span<const int64_t> rows, const Tensor& target) {
  const int64_t width = source.dim(1);
  for (size_t i = 0; i < rows.size(); ++i) {
    float* to = target.mutable_data<float>() + rows[i] * width;
    context.kernels().add(to, source.data<float>() + static_cast<int64_t>(i) * width, width, to);
  }
}

}  // namespace

Tensor embedding(Context& context, const Tensor& table, std::span<const int64_t> ids, int64_t padding_id) {
  check_rows(context, "embedding", table, ids);
  const int64_t width = table.dim(1);
  const int64_t row_bytes = width * static_cast<int64_t>(size_of(table.dtype()));
  Tensor y = context.empty({static_cast<int64_t>(ids.size()), width});
  for (size_t i = 0; i < ids.size(); ++i) {
    float* row = y.mutable_data<float>() + static_cast<int64_t>(i) * width;
    if (is_quantized(table.dtype()))
      dequantize_row(table, ids[i], row);
    else
      context.kernels().widen(table.raw() + ids[i] * row_bytes, weight_type(table), width, row);
  }
  if (Tape* tape = tape_for(context, {&table})) {
    tape->record(y, [table, rows = copied(ids), padding_id](Context& c, Tape& t, const Tensor& dy) {
      const Tensor sum = t.gradient_sum(c, table);
      for (size_t i = 0; i < rows.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i);
        if (rows[i] != padding_id) add_rows(c, dy.rows(at, at + 1), std::span(&rows[i], 1), sum);
      }
    });
  }
  return y;
}

Tensor gather_rows(Context& context, const Tensor& x, std::span<const int64_t> rows) {
  check_rows(context, "gather_rows", x, rows);
  const int64_t width = x.dim(1);
  Tensor y = context.empty({static_cast<int64_t>(rows.size()), width});
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(x.data<float>() + rows[i] * width, width,
                y.mutable_data<float>() + static_cast<int64_t>(i) * width);
  }
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [x = Variable(x), kept = copied(rows)](Context& c, Tape& t, const Tensor& dy) {
      add_rows(c, dy, kept, t.gradient_sum(c, x));
    });
  }
  return y;
}

Tensor scatter_rows(Context& context, const Tensor& base, std::span<const int64_t> rows,
                    const Tensor& source) {
  check_rows(context, "scatter_rows", base, rows);
  require(source.shape() == Shape{static_cast<int64_t>(rows.size()), base.dim(1)},
          ErrorCode::kInvalidArgument, "[scatter_rows] {} rows of {} are to be replaced by {}", rows.size(),
          to_string(base.shape()), to_string(source.shape()));
  check_devices(context, "scatter_rows", {{"source", source}});
  const int64_t width = base.dim(1);
  Tensor y = context.empty(base.shape());
  std::copy_n(base.data<float>(), base.numel(), y.mutable_data<float>());
  for (size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(source.data<float>() + static_cast<int64_t>(i) * width, width,
                y.mutable_data<float>() + rows[i] * width);
  }
  if (Tape* tape = tape_for(context, {&base, &source})) {
    tape->record(y, [base = Variable(base), source = Variable(source), kept = copied(rows), width](
                        Context& c, Tape& t, const Tensor& dy) {
      Tensor dbase = dy.clone();
      for (const int64_t row : kept) std::fill_n(dbase.mutable_data<float>() + row * width, width, 0.0f);
      t.add_gradient(c, base, dbase);
      t.add_gradient(c, source, gather_rows(c, dy, kept));
    });
  }
  return y;
}

Tensor place_rows(Context& context, const Tensor& source, std::span<const int64_t> places, int64_t total) {
  require(source.rank() == 2 && source.dim(0) == static_cast<int64_t>(places.size()) && total >= 0,
          ErrorCode::kInvalidArgument, "[place_rows] {} to {} places of {} rows", to_string(source.shape()),
          places.size(), total);
  for (const int64_t place : places) {
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
  float* target = y.mutable_data<float>();
  for (const Tensor& part : parts) target = std::copy_n(part.data<float>(), part.numel(), target);
  Tape* tape = context.tape();
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

Tensor bilinear_merge(Context& context, const Tensor& x, int64_t merge) {
  require(merge >= 1 && merge <= 1 << 15 && x.rank() == 2 && x.dim(0) % (merge * merge) == 0,
          ErrorCode::kInvalidArgument, "[bilinear_merge] {} patches cannot be merged by {} x {}", x.dim(0),
          merge, merge);
  check_devices(context, "bilinear_merge", {{"x", x}});
  if (merge == 1) return x;
  const int64_t block = merge * merge, width = x.dim(1), tokens = x.dim(0) / block;
  std::vector<int64_t> middle;  // of a block
  const int64_t first = (merge - 1) / 2, last = merge / 2;
  for (int64_t i = first; i <= last; ++i) {
    for (int64_t j = first; j <= last; ++j) middle.push_back(i * merge + j);
  }
  const float share = 1.0f / static_cast<float>(middle.size());
  Tensor y = context.empty({tokens, width});
  context.threads().parallel_for(tokens, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t v = begin; v < end; ++v) {
      float* target = y.mutable_data<float>() + v * width;
      std::fill_n(target, width, 0.0f);
      for (const int64_t patch : middle) {
        const float* source = x.data<float>() + (v * block + patch) * width;
        for (int64_t d = 0; d < width; ++d) target[d] += share * source[d];
      }
    }
  });
  if (Tape* tape = tape_for(context, {&x})) {
    tape->record(y, [=, x = Variable(x)](Context& c, Tape& t, const Tensor& dy) {
      Tensor dx = Tensor::zeros(x.shape(), DType::kF32);
      for (int64_t v = 0; v < tokens; ++v) {
        for (const int64_t patch : middle) {
          const float* from = dy.data<float>() + v * width;
          float* to = dx.mutable_data<float>() + (v * block + patch) * width;
          for (int64_t d = 0; d < width; ++d) to[d] = share * from[d];
        }
      }
      t.add_gradient(c, x, dx);
    });
  }
  return y;
}

}  // namespace vl3::ops
