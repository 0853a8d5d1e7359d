#pragma once
// How far a changed checkpoint (quantised, say) is from the one it was made of, or a type of cache from
// another, by what both predict.

#include <cstdint>
#include <span>
#include <vector>

#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

struct LogitChange {
  int64_t tokens = 0;  // predictions compared: one at every token of every prompt
  double mean_kl = 0;  // Kullback-Leibler divergence of the changed predictions from the others, nats
  double largest_kl = 0;
  double top1_agreement = 0;  // share of predictions whose likeliest token is the same
};

// Both models see the same ids. Throws kInvalidArgument for no prompts, a prompt without ids, and models of
// different vocabularies.
LogitChange compare_logits(Context& context, const ForConditionalGeneration& model,
                           const ForConditionalGeneration& changed,
                           std::span<const std::vector<int64_t>> prompts);

// One model that keeps keys and values in f32, and as changed. Every token reads all keys and values, its own
// too, out of the cache. Throws like compare_logits.
LogitChange compare_caches(Context& context, const ForConditionalGeneration& model, CacheType changed,
                           std::span<const std::vector<int64_t>> prompts);

}  // namespace vl3
