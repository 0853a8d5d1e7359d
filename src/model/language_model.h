#pragma once
// Stage 7: embeddings → hidden states. Reference: Qwen2Model. Weights and sets of adapters are only read: any
// number of threads may run them, each with a context and with caches of its own (which may share blocks).

#include <span>

#include "model/adapter_set.h"
#include "model/kv_cache.h"
#include "model/parameters.h"
#include "vl3/context.h"
#include "vl3/model.h"

namespace vl3 {

// Sequences one behind the other, without padding. Sequence s has the rows [cu_seqlens_q[s], cu_seqlens_q[s +
// 1]). Without caches its keys are the rows [cu_seqlens_k[s], cu_seqlens_k[s + 1]) of the same batch; that
// range may be empty at the end of the batch, for rows that attend to nothing. With caches (one per sequence)
// its keys are what its cache holds and its own rows behind. A sequence's rows are, to the bit, those that it
// has alone (ops/row_runs.h).
struct PackedSequences {
  std::vector<int64_t> positions;     // [T]
  std::vector<int64_t> cu_seqlens_q;  // [sequences + 1]
  std::vector<int64_t> cu_seqlens_k;  // likewise
  std::vector<KvCache*> caches;       // empty, or one per sequence
  // Adapters of single sequences: an index of the set for each, -1 for none. A sequence's rows are, to the
  // bit, those of the model opened with its adapter alone. Not on a tape, and not beside an adapter that the
  // model was opened with on the same layer.
  const AdapterSet* adapters = nullptr;
  std::vector<int64_t> adapter_of;  // empty, or one per sequence

  int64_t num_sequences() const { return static_cast<int64_t>(cu_seqlens_q.size()) - 1; }
};

// Heads of keys that these weights make: all of the model's, or a rank's part of them.
int64_t num_kv_heads(const TextWeights& weights, const TextConfig& config);

// embeds [T, H] f32 → hidden states after the final norm [T, H] f32. Caches grow by their sequence's rows,
// all of them or none: where a pool has no blocks for the step, KvPoolFull is thrown before anything is
// computed and caches are as they were. What else is thrown on the way (kCancelled) leaves their lengths as
// they were. Throws kInvalidArgument for shapes and counts that do not fit each other.
Tensor run_language_model(Context& context, const TextWeights& weights, const TextConfig& config,
                          const Tensor& embeds, const PackedSequences& sequences, const Probe* probe);

// hidden [T, H] → logits [T, vocabulary] f32. borders [sequences + 1]: which rows are of one sequence; none:
// all of them.
Tensor run_head(Context& context, const TextWeights& weights, const Tensor& hidden,
                std::span<const int64_t> borders = {});

}  // namespace vl3
