#pragma once
// From what the processor makes to what the network takes.

#include "vl3/export.h"
#include "vl3/model.h"
#include "vl3/processor.h"

namespace vl3 {

// Ids, and the tensors of pictures and clips, whose pixels are moved out of inputs.
VL3_API ForwardInput forward_input(ProcessorOutput& inputs);

}  // namespace vl3
