#pragma once
// How far what a model predicts is from what another one predicts: a quantised checkpoint beside the one it
// was made of, or one model computed in two ways.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

struct ComparedModel {
  const ForConditionalGeneration& model;
  Compute compute = Compute::kF32;
  std::optional<CacheType> cache;  // none: what the context asks for, as ForConditionalGeneration::new_cache
};

// Prompts are made one after the other, so that the pixels of one are in memory at a time.
struct ComparedPrompts {
  int64_t count = 0;
  std::function<ForwardInput(int64_t index)> input;  // one sequence of ids, with its pictures and clips
};

// What a stage of the network gives: "projector.out", "text.layer0", …, "text.norm".
struct StageChange {
  std::string name;
  double error = 0;  // ‖x − x'‖ / ‖x‖ of a token's row, the mean over all tokens
};

// What a matrix gives for the inputs that it has in the first model. Rows are sampled: a thousand at most.
struct ProductChange {
  std::string name;  // of its weight, canonical (vl3/checkpoint.h)
  double error = 0;  // ‖y − y'‖ / ‖y‖ of a row's products, without bias; the mean over rows
};

struct LogitChange {
  int64_t predictions = 0;  // compared
  int64_t targets = 0;      // of them, those whose token the prompt says; perplexities are of these
  double perplexity = 0, changed_perplexity = 0;  // 0 without targets
  double mean_kl = 0;  // Kullback-Leibler divergence of the changed predictions from the others, nats
  double largest_kl = 0;
  double top1_agreement = 0;            // share of predictions whose likeliest token is the same
  std::vector<StageChange> stages;      // in the order of the network; those of equal width in both models
  std::vector<ProductChange> products;  // of equal shape in both models, the worst first
  CacheType cache = CacheType::kF32, changed_cache = CacheType::kF32;  // that were used
};

// done of total, in hundredths of a prompt.
using CompareProgress = std::function<void(int64_t done, int64_t total)>;

// Runs both models over every prompt as generation would, through a cache of keys and values, and compares
// their predictions of every token of text, and of what would follow the last one. Placeholders of pictures
// and clips are not predicted. Each model encodes pictures and clips itself. At most 512 tokens of a prompt
// are in the layers at a time, and logits of a few of them in memory, whatever the length and the vocabulary.
//
// Sums are made in double, in the order of the tokens: they do not depend on threads. Throws kInvalidArgument
// for no prompts, a prompt without ids, models of different vocabularies or placeholders, and logits that are
// not finite, naming prompt and token; kCancelled.
LogitChange compare_logits(Context& context, const ComparedModel& model, const ComparedModel& changed,
                           const ComparedPrompts& prompts, const CompareProgress& progress = {});

}  // namespace vl3
