#pragma once
// Checkpoints of a training: model folders under output/checkpoints with what it takes to go on.

#include <filesystem>
#include <optional>
#include <string>

#include "train/trainable.h"
#include "vl3/train.h"

namespace vl3 {

// The settings that decide what a run computes; a run goes on from a checkpoint only where they are equal.
Json fingerprint(const TrainConfig& config, int64_t steps);

// Writes output/checkpoints/step-00000NNN: the model folder, training.safetensors (moments, counts, master
// weights where they are not the model's own) and training.json (step, fingerprint), whole or not at all,
// and removes all but the newest `keep`. Throws kIo.
void save_checkpoint(const Trainable& trainable, const TrainConfig& config, const Json& fingerprint,
                     int64_t step);

// The newest checkpoint that is whole, brought back into trainable; its step, or nothing where there is
// none. A damaged one is passed over, with a note; what interrupted writes left is removed. Throws
// kInvalidArgument where it belongs to another training, naming what differs.
std::optional<int64_t> resume(Trainable& trainable, const TrainConfig& config, const Json& fingerprint,
                              const TrainHooks& hooks);

// The trained model as output itself, file by file, the weights last.
void publish(const Trainable& trainable, const TrainConfig& config);

}  // namespace vl3
