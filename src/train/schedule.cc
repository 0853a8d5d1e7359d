#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vl3 {

int64_t warmup_steps(const TrainConfig& config, int64_t steps) {
  if (config.warmup >= 0) return config.warmup;
  return static_cast<int64_t>(std::ceil(config.warmup_ratio * static_cast<double>(steps)));
}

double schedule_factor(const TrainConfig& config, int64_t step, int64_t steps) {
  const int64_t warmup = warmup_steps(config, steps);
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
  if (config.schedule == "constant") return 1;
  const double done =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, steps - warmup));
  return std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * done)));
}

}  // namespace vl3
