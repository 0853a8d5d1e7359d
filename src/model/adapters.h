#pragma once
// Adapters on the weights of the network.

#include "model/parameters.h"
#include "vl3/adapter.h"

namespace vl3 {

const char* part_name(Part part) noexcept;  // "vision_encoder", "projector", "llm"

// Which of the dropout's streams is a layer's: of its name alone.
uint32_t dropout_stream(std::string_view layer) noexcept;

// The adapter's layers beside those of weights, and its whole tensors in place of theirs. The adapter was
// opened for, or made for, this config.
void attach(const Adapter& adapter, const Config& config, ModelWeights& weights,
            const std::shared_ptr<const ops::Dropout>& dropout = nullptr);

// weight + scale · B A, in f32, rounded once to weight's type. Throws kUnsupported where that is quantised.
Tensor merged(Context& context, const std::string& name, const Tensor& weight, const AdapterLayer& layer,
              float scale);

}  // namespace vl3
