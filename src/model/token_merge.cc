#include "model/token_merge.h"

#include <vector>

#include "base/check.h"
#include "ops/ops.h"

namespace vl3 {

Tensor merge_visual_tokens(Context& context, const Tensor& embeds, std::span<const int64_t> ids,
                           int64_t placeholder, const Tensor& features, std::string_view what) {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == placeholder) rows.push_back(static_cast<int64_t>(i));
  }
  require(static_cast<int64_t>(rows.size()) == features.dim(0), ErrorCode::kInvalidArgument,
          "[token_merge] {} features and {} tokens do not match, tokens: {}, features: {}", what, what,
          rows.size(), features.dim(0));
  require(features.rank() == 2 && features.dim(1) == embeds.dim(1), ErrorCode::kInvalidArgument,
          "[token_merge] {} features {} for embeddings of width {}", what, to_string(features.shape()),
          embeds.dim(1));
  return ops::scatter_rows(context, embeds, rows, features);
}

}  // namespace vl3
