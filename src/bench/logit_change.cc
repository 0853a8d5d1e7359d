#include "bench/logit_change.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "model/kv_cache.h"

namespace vl3 {
namespace {

// Logits [T, vocabulary] of every id; keys and values pass through a cache of that type where there is one.
Tensor logits_of(Context& context, const ForConditionalGeneration& model, const std::vector<int64_t>& ids,
                 std::optional<CacheType> cache = {}) {
  ForwardInput input;
  input.input_ids = Tensor::from<int64_t>({1, static_cast<int64_t>(ids.size())}, ids);
  std::vector<KvCache> caches;
  if (cache) {
    caches.push_back(model.new_cache(context, *cache));
    input.caches = &caches;
  }
  const Tensor logits = model.forward(context, input).logits;
  return logits.reshape({logits.dim(1), logits.dim(2)});
}

double log_sum_exp(std::span<const float> row) {
  const double highest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float x : row) sum += std::exp(x - highest);
  return highest + std::log(sum);
}

double divergence(std::span<const float> p, std::span<const float> q) {
  const double p_sum = log_sum_exp(p), q_sum = log_sum_exp(q);
  double kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double log_p = p[i] - p_sum;
    kl += std::exp(log_p) * (log_p - (q[i] - q_sum));
  }
  return std::max(kl, 0.0);
}

// Logits of the same ids, as they were and changed.
struct Predictions {
  Tensor before, after;  // [T, vocabulary]
};

template <class F>
LogitChange compare(std::span<const std::vector<int64_t>> prompts, F&& predict) {
  require(!prompts.empty(), ErrorCode::kInvalidArgument, "[logits] no prompts to compare");
  LogitChange change;
  for (const std::vector<int64_t>& ids : prompts) {
    require(!ids.empty(), ErrorCode::kInvalidArgument, "[logits] a prompt without ids");
    const Predictions of_ids = predict(ids);
    for (int64_t i = 0; i < of_ids.before.dim(0); ++i) {
      const std::span<const float> p = of_ids.before.rows(i, i + 1).span<float>(),
                                   q = of_ids.after.rows(i, i + 1).span<float>();
      const double kl = divergence(p, q);
      change.mean_kl += kl;
      change.largest_kl = std::max(change.largest_kl, kl);
      const bool same = std::max_element(p.begin(), p.end()) - p.begin() ==
                        std::max_element(q.begin(), q.end()) - q.begin();
      change.top1_agreement += same ? 1 : 0;
      ++change.tokens;
    }
  }
  change.mean_kl /= static_cast<double>(change.tokens);
  change.top1_agreement /= static_cast<double>(change.tokens);
  return change;
}

}  // namespace

LogitChange compare_logits(Context& context, const ForConditionalGeneration& model,
                           const ForConditionalGeneration& changed,
                           std::span<const std::vector<int64_t>> prompts) {
  require(model.config().text.vocab_size == changed.config().text.vocab_size, ErrorCode::kInvalidArgument,
          "[logits] vocabularies of {} and {} cannot be compared", model.config().text.vocab_size,
          changed.config().text.vocab_size);
  return compare(prompts, [&](const std::vector<int64_t>& ids) {
    return Predictions{logits_of(context, model, ids), logits_of(context, changed, ids)};
  });
}

LogitChange compare_caches(Context& context, const ForConditionalGeneration& model, CacheType changed,
                           std::span<const std::vector<int64_t>> prompts) {
  return compare(prompts, [&](const std::vector<int64_t>& ids) {
    return Predictions{logits_of(context, model, ids, CacheType::kF32),
                       logits_of(context, model, ids, changed)};
  });
}

}  // namespace vl3
