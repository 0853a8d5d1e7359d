#include "ops/embedding.h"

#include "autograd/tape.h"
#include "base/check.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/dispatch.h"
#include "ops/index_list.h"

namespace vl3::ops {

Tensor embedding(Context& context, const Tensor& table, const IndexList& ids, int64_t padding_id) {
  check_rows(context, "embedding", "table", table, ids);
  Tensor y = context.empty({ids.size(), table.dim(1)});
  implementation(context, "embedding", cpu::embedding)(context, table, ids, y);
  if (Tape* tape = tape_for(context, {&table})) {
    tape->record(y, [table, rows = copied(ids), padding_id](Context& c, Tape& t, const Tensor& dy) {
      implementation(c, "embedding", cpu::add_rows)(c, dy, rows, padding_id, t.gradient_sum(c, table));
    });
  }
  return y;
}

}  // namespace vl3::ops
