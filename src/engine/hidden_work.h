#pragma once
// Work with the model beside answers: hidden states and the likelihood of prompts. Chunk by chunk on the
// engine's thread, in turns with the scheduler's steps; whoever asks waits, and is not that thread.

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/engine_thread.h"
#include "vl3/generation.h"
#include "vl3/processor.h"

namespace vl3 {

using Cancelled = std::function<bool()>;

// Runs units of work until one says false. Throws what a unit throws, and kCancelled where the thread is
// ending or cancelled() says so between two of them.
void run_on_engine(EngineThread& thread, const Cancelled& cancelled, std::function<bool(Context&)> unit);

// The last hidden state of the last token, after the final norm: [H]. Throws ContextExceeded.
std::vector<float> last_hidden_state(EngineThread& thread, const std::vector<int64_t>& ids,
                                     const Cancelled& cancelled);
// The same of a conversation with its pictures and clips.
std::vector<float> last_hidden_state(EngineThread& thread, ProcessorRequest request,
                                     const Cancelled& cancelled, int64_t* prompt_tokens);

// A row of visual tokens, averaged.
struct VisualVector {
  int64_t frame = 0;        // of a clip
  double timestamp = 0;     // its seconds
  int64_t tokens = 0;       // that were averaged
  std::vector<float> mean;  // [H]
};
struct VisualVectors {
  std::vector<std::vector<VisualVector>> pictures,
      clips;  // in the order of the messages, each kind by itself
};
// Of the pictures and clips of a conversation the projected visual tokens that a prompt would hold: their
// mean, or that of each frame of a clip.
VisualVectors visual_vectors(EngineThread& thread, ProcessorRequest request, bool per_frame,
                             const Cancelled& cancelled);

// Log-probabilities of every token behind those before it, but for the first one; and of the `top` most
// likely in its place.
std::vector<TokenLogprob> prompt_logprobs(EngineThread& thread, const std::vector<int64_t>& ids, int64_t top,
                                          const Cancelled& cancelled);

}  // namespace vl3
