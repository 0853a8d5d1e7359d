#include "ops/index_list.h"

#include "base/check.h"
#include "ops/dispatch.h"
#include "ops/upload.h"

namespace vl3::ops {

IndexList::IndexList(Context& context, std::span<const int64_t> rows) : host_(rows) {
  if (!context.device().is_host()) uploaded_ = upload(context, {size()}, rows);
}

Tensor IndexList::on(Context& context) const {
  const bool there = uploaded_.defined() && uploaded_.device() == context.device();
  return there ? uploaded_ : upload(context, {size()}, host_);
}

void check_rows(const Context& context, const char* op, const char* name, const Tensor& x,
                const IndexList& rows) {
  check_devices(context, op, {{name, x}});
  require(x.rank() == 2, ErrorCode::kInvalidArgument, "[{}] {} should be [rows, D]", op,
          to_string(x.shape()));
  for (const int64_t row : rows.host()) {
    require(row >= 0 && row < x.dim(0), ErrorCode::kInvalidArgument, "[{}] {} is outside [0, {})", op, row,
            x.dim(0));
  }
}

}  // namespace vl3::ops
