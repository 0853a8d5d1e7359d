#pragma once
// What the library sees of a model and users do not: its weights, and the caches of its sequences.

#include <memory>
#include <vector>

#include "model/kv_cache.h"
#include "model/parameters.h"
#include "vl3/model.h"

namespace vl3 {

struct PastKeyValues::Caches {
  std::vector<KvCache> rows;  // one a sequence
  // Likewise: in which columns of its batches the tokens held stood, and how many columns these had.
  struct Columns {
    std::vector<int64_t> held;
    int64_t count = 0;
  };
  std::vector<Columns> columns;

  void add(KvCache empty) {
    rows.push_back(std::move(empty));
    columns.emplace_back();
  }
};

struct ModelParts {
  static ForConditionalGeneration make(Config config, std::shared_ptr<const ModelWeights> weights) {
    return {std::move(config), std::move(weights)};
  }
  static const ModelWeights& weights(const ForConditionalGeneration& model) { return *model.model_.weights_; }
  static KeyValueFactors& factors(const ForConditionalGeneration& model) { return *model.factors_; }
  static PastKeyValues::Caches& caches(PastKeyValues& past) { return *past.caches_; }
};

inline ForConditionalGeneration model_of(Config config, std::shared_ptr<const ModelWeights> weights) {
  return ModelParts::make(std::move(config), std::move(weights));
}
inline const ModelWeights& weights_of(const ForConditionalGeneration& model) {
  return ModelParts::weights(model);
}
inline auto& caches_of(PastKeyValues& past) { return ModelParts::caches(past); }

// A cache with a pool of its own: of the type that the context asks for
// (ForConditionalGeneration::cache_type), or of another.
KvCache new_cache(const ForConditionalGeneration& model, const Context& context);
KvCache new_cache(const ForConditionalGeneration& model, const Context& context, CacheType type);
// Blocks for caches of the model, of the type that the context asks for. budget_bytes: of all of them; 0: no
// limit. Throws kInvalidArgument for a budget that holds no block.
std::shared_ptr<KvPool> new_pool(const ForConditionalGeneration& model, const Context& context,
                                 int64_t budget_bytes = 0);
// A cache on such a pool. Throws kInvalidArgument for a pool of another shape, or none.
KvCache new_cache(const ForConditionalGeneration& model, const Context& context,
                  std::shared_ptr<KvPool> pool);

}  // namespace vl3
