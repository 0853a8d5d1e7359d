#pragma once
// Factors that an int8 cache divides keys and values by, and attention multiplies queries and sums of values
// with. A row has one scale, so a channel that is large in keys and small in queries would cost the others
// their digits; what the weights say about magnitudes evens them out.

#include <cstdint>
#include <mutex>
#include <vector>

#include "model/parameters.h"
#include "vl3/config.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

struct LayerFactors {
  Tensor keys, values;  // [Hkv, D] f32, powers of two; both numbers of a rotary pair of keys have one factor
};

// The factors of one layer: √(|k| / |q|) of a channel rounded to a power of two. |k| is the root mean square
// that a channel's row of k_proj, the norm's weight and the bias give keys for inputs of independent
// channels, |q| that of the queries that read it; likewise |v|, and the columns of o_proj that read values. A
// rotated row's noise goes with √(Σ (k/f)²) and meets queries of √(Σ (q f)²): their product is least there.
// Whoever multiplies rows of k_proj by a power of two and divides those of q_proj changes f alike, and so no
// stored row. What an adapter adds is not looked at.
LayerFactors layer_factors(const KernelSet& kernels, const TextLayerWeights& layer, const TextConfig& config);

// Found when they are first asked for, then kept: who never has an int8 cache does not pay. Weights that
// change later (training) keep the factors of that moment: still exact, only less well chosen.
class KeyValueFactors {
 public:
  // One per layer, alive as long as this. Any thread may ask.
  std::shared_ptr<const std::vector<LayerFactors>> get(const Context& context, const TextWeights& weights,
                                                       const TextConfig& config);

 private:
  std::mutex mutex_;
  std::shared_ptr<const std::vector<LayerFactors>> layers_;
};

}  // namespace vl3
