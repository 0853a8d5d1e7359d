#pragma once
// One row as the network takes it, and several of them as one pass.

#include <vector>

#include "train/data/stream.h"
#include "vl3/model.h"
#include "vl3/processor.h"
#include "vl3/train.h"
#include "vl3/training_rows.h"

namespace vl3 {

struct Sample {
  ProcessorOutput out;  // of one conversation, with labels
  int64_t targets = 0;  // labels that count
  int64_t patches = 0;
  int64_t tokens() const { return static_cast<int64_t>(out.ids[0].size()); }
};

// How rows are processed: what the model's files say, and config.media over it. Media that have more visual
// tokens than max_visual_tokens together are shrunk until they fit.
class SampleMaker {
 public:
  SampleMaker(Processor processor, const TrainConfig& config);

  // Reads and processes the row's media; draw is for rows of a stream. Throws what that throws, and
  // kLimitExceeded for more than max_length tokens.
  Sample make(ThreadPool& threads, const TrainRow& row, const StreamDraw& draw = {}) const;
  // The same checks as far as headers and text go, without decoding.
  void check(const TrainRow& row) const;
  // Throws kUnsupported where the row is of a stream and the model knows no streams.
  void check_model(const TrainRow& row) const;

 private:
  ProcessorRequest request_for(const TrainRow& row) const;

  Processor processor_;
  TrainMedia media_;
  int64_t max_length_, vocabulary_;
  bool sees_media_alone_;  // what trains: a row without pictures and clips is good for nothing then
  bool decide_;            // of streams
};

// Samples side by side: sequences are padded on the right in the tensors, and nothing of that is computed.
ForwardInput collate(const std::vector<const Sample*>& samples);

}  // namespace vl3
