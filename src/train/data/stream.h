#pragma once
// Rows of a stream: the frames of a clip and a conversation, in the order of their times, so that a model
// learns to watch and to speak when there is something to say. Reference: _convert_stream and
// _process_text_with_label of the original release.
//
//   <|stream_start|>stream⏎ (tokens of one frame) ⏎<|stream_end|>⏎     for every frame
//   <|im_start|>role⏎ (text) <|im_end|>⏎                               for every turn
//
// A frame comes before the first turn that is not earlier than it; frames after the last turn are dropped.
// Labels: what assistants say and the token that ends it; behind every frame the line break and
// <|stream_end|>. With `decide`, also what follows a frame: the first token of the next frame (silence) or of
// an answer (to speak); a user's turn decides nothing. Of the more frequent of the two as many are drawn as
// there are of the other. The original release has these labels in its code, but not in use.

#include <cstdint>
#include <string>
#include <vector>

#include "vl3/processor.h"
#include "vl3/training_rows.h"

namespace vl3 {

inline constexpr int64_t kMaxStreamFrames = 400;  // what comes later is dropped, frames and turns

// Names the random choice of labels.
struct StreamDraw {
  uint64_t seed = 0;
  uint32_t epoch = 0, row = 0;
};

// A turn, or a frame (turn < 0) by its number.
struct StreamItem {
  int64_t turn = -1, frame = -1;
};
// Frames and turns in order. Throws kFormat where no frame comes before a turn.
std::vector<StreamItem> interleave(const std::vector<double>& frame_times_s, const TrainRow& row);

// Throws kUnsupported where the tokenizer lacks <|stream_start|> or <|stream_end|>, with what to do:
// vocabulary is the number of rows of the model's embeddings.
void require_stream_tokens(const Tokenizer& tokenizer, int64_t vocabulary, const std::string& origin);

// Headers only: which frames of the row's clip there are, in order with its turns. request is for the row.
std::vector<StreamItem> stream_events(const ProcessorRequest& request, const TrainRow& row);

// One conversation with labels. Throws what decoding throws.
ProcessorOutput process_stream(ThreadPool& threads, const Processor& processor,
                               const ProcessorRequest& request, const TrainRow& row, bool decide,
                               const StreamDraw& draw);

}  // namespace vl3
