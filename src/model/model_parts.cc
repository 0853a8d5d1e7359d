#include "model/model_parts.h"

#include <algorithm>

#include "base/check.h"
#include "model/key_value_factors.h"
#include "model/language_model.h"

namespace vl3 {
namespace {

KvShape cache_shape(const ForConditionalGeneration& model) {
  const TextConfig& text = model.config().text;
  return {text.num_hidden_layers, num_kv_heads(weights_of(model).text, text), text.head_dim};
}

}  // namespace

std::shared_ptr<KvPool> new_pool(const ForConditionalGeneration& model, const Context& context,
                                 int64_t budget_bytes) {
  return KvPool::create(cache_shape(model), model.cache_type(&context),
                        {.budget_bytes = budget_bytes, .backend = context.backend().shared_from_this()});
}

KvCache new_cache(const ForConditionalGeneration& model, const Context& context,
                  std::shared_ptr<KvPool> pool) {
  const KvShape shape = cache_shape(model);
  require(pool != nullptr && pool->shape() == shape, ErrorCode::kInvalidArgument,
          "[kv_pool] a pool of {} layers x {} heads x {} for a model of {} x {} x {}",
          pool ? pool->shape().num_layers : 0, pool ? pool->shape().num_kv_heads : 0,
          pool ? pool->shape().head_dim : 0, shape.num_layers, shape.num_kv_heads, shape.head_dim);
  if (pool->type() != CacheType::kInt8) return KvCache(std::move(pool));
  return KvCache(std::move(pool),
                 ModelParts::factors(model).get(context, weights_of(model).text, model.config().text));
}

KvCache new_cache(const ForConditionalGeneration& model, const Context& context, CacheType type) {
  return new_cache(model, context,
                   KvPool::create(cache_shape(model), type,
                                  {.slab_bytes = 0, .backend = context.backend().shared_from_this()}));
}

KvCache new_cache(const ForConditionalGeneration& model, const Context& context) {
  return new_cache(model, context, model.cache_type(&context));
}

PastKeyValues::PastKeyValues() : caches_(std::make_unique<Caches>()) {}
PastKeyValues::~PastKeyValues() = default;
PastKeyValues::PastKeyValues(PastKeyValues&& other) noexcept = default;
PastKeyValues& PastKeyValues::operator=(PastKeyValues&& other) noexcept = default;

size_t PastKeyValues::size() const noexcept { return caches_->rows.size(); }

int64_t PastKeyValues::length(size_t sequence) const {
  require(sequence < size(), ErrorCode::kInvalidArgument, "[past] sequence {} of {}", sequence, size());
  return caches_->rows[sequence].length();
}

int64_t PastKeyValues::columns(size_t sequence) const {
  require(sequence < size(), ErrorCode::kInvalidArgument, "[past] sequence {} of {}", sequence, size());
  return caches_->columns[sequence].count;
}

PastKeyValues PastKeyValues::fork() const {
  PastKeyValues copy;
  copy.caches_->columns = caches_->columns;
  for (const KvCache& cache : caches_->rows) copy.caches_->rows.push_back(cache.fork());
  return copy;
}

void PastKeyValues::truncate(int64_t columns) {
  require(columns >= 0, ErrorCode::kInvalidArgument, "[past] {} columns", columns);
  for (size_t i = 0; i < size(); ++i) {
    auto& [held, count] = caches_->columns[i];
    held.erase(std::lower_bound(held.begin(), held.end(), columns), held.end());
    count = std::min(count, columns);
    caches_->rows[i].truncate(static_cast<int64_t>(held.size()));
  }
}

PastKeyValues ForConditionalGeneration::new_past(const Context& context, int64_t sequences) const {
  require(sequences >= 0, ErrorCode::kInvalidArgument, "[past] {} sequences", sequences);
  PastKeyValues past;
  for (int64_t i = 0; i < sequences; ++i) caches_of(past).add(new_cache(*this, context));
  return past;
}

}  // namespace vl3
