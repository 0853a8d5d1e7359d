#pragma once
// How many of a prompt's tokens are visual.

#include <cstdint>

#include "vl3/processor.h"

namespace vl3 {

struct VisualTokens {
  int64_t pictures = 0;
  int64_t clips = 0;        // those that were kept
  int64_t whole_clips = 0;  // before compression
};

// inputs: of a request, with or without pixels.
VisualTokens visual_tokens(const ProcessorOutput& inputs);

}  // namespace vl3
