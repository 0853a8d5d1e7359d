#pragma once
// Learning rates over time.

#include <cstdint>

#include "vl3/train.h"

namespace vl3 {

// The factor on every rate at a step, counted from 0. Linear from 0 during warm-up, then 1, or half a cosine
// down to 0 at `steps`. Reference: get_cosine_schedule_with_warmup, get_constant_schedule_with_warmup.
double schedule_factor(const TrainConfig& config, int64_t step, int64_t steps);
int64_t warmup_steps(const TrainConfig& config, int64_t steps);

}  // namespace vl3
