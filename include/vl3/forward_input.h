#pragma once
// From what the processor makes to what the network takes.

#include "vl3/config.h"
#include "vl3/export.h"
#include "vl3/model.h"
#include "vl3/processor.h"

namespace vl3 {

// Ids, mask, and the tensors of pictures and clips, whose pixels are moved out of inputs. Placeholders are
// translated to the model's ids: an original checkpoint has one of its own for pictures and frames.
VL3_API ForwardInput forward_input(const Processor& processor, const Config& config, ProcessorOutput& inputs);

}  // namespace vl3
