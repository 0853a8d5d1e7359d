#pragma once
// What a step trains on.

#include <cstdint>
#include <memory>
#include <vector>

#include "vl3/model.h"
#include "vl3/train.h"

namespace vl3 {

// The inputs, with labels, that one optimizer step goes over, a pass of the network each.
struct StepBatch {
  std::vector<ForwardInput> passes;
  int64_t samples = 0, tokens = 0, targets = 0;
};

class Batches {
 public:
  virtual ~Batches() = default;
  // Steps that one epoch takes; 0 where there are no epochs.
  virtual int64_t steps_per_epoch() const = 0;
  // A function of the step alone, so that a resumed run goes on with the data it would have had.
  virtual StepBatch at(int64_t step) = 0;
};

// Batches that are ready: file after file, around and around. Throws kFormat where one has no labels.
std::unique_ptr<Batches> tensor_batches(const TrainConfig& config);

// Rows of text files with their media. All are read and checked first: bad ones are told of and written to
// output/quarantine.jsonl, and the others train. Throws where none is left.
std::unique_ptr<Batches> row_batches(const TrainConfig& config, const TrainHooks& hooks);

}  // namespace vl3
