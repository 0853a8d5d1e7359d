#include "train/optimizer.h"

#include <cmath>

#include "model/adapters.h"
#include "ops/adamw.h"
#include "ops/sum_of_squares.h"

namespace vl3 {

double gradient_norm(Context& context, const Tape& tape, const std::vector<TrainedTensor>& tensors) {
  double sum = 0;
  for (const TrainedTensor& t : tensors) {
    const Tensor gradient = tape.gradient(t.value);
    if (gradient.defined()) sum += ops::sum_of_squares(context, gradient);
  }
  return std::sqrt(sum);
}

void adamw_step(Context& context, const Tape& tape, std::vector<TrainedTensor>& tensors,
                const std::array<double, 3>& rates, double gradient_scale, const AdamwSettings& settings) {
  for (TrainedTensor& t : tensors) {
    const Tensor gradient = tape.gradient(t.value);
    if (!gradient.defined()) continue;
    ops::adamw(context, t.master, gradient, t.m, t.v,
               {.beta1 = settings.betas[0],
                .beta2 = settings.betas[1],
                .eps = settings.eps,
                .rate = rates[static_cast<size_t>(t.part)],
                .weight_decay = t.decays() ? settings.weight_decay : 0,
                .gradient_scale = gradient_scale,
                .count = ++t.steps,
                .seed = settings.seed,
                .stream = dropout_stream(t.name)});
  }
}

}  // namespace vl3
