#include "ops/sum_of_squares.h"

#include <algorithm>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "vl3/thread_pool.h"

namespace vl3::ops::cpu {

double sum_of_squares(Context& context, const Tensor& x) {
  constexpr int64_t kPiece = 1 << 14;  // summed by one thread, in an order that does not depend on threads
  const int64_t pieces = (x.numel() + kPiece - 1) / kPiece;
  const float* values = x.data<float>();
  std::vector<double> sums(static_cast<size_t>(pieces));
  context.threads().parallel_for(pieces, 1, [&](int64_t piece, int64_t, int) {
    double lanes[8] = {};
    const float* p = values + piece * kPiece;
    const int64_t n = std::min(kPiece, x.numel() - piece * kPiece);
    for (int64_t i = 0; i < n; ++i) lanes[i % 8] += static_cast<double>(p[i]) * p[i];
    for (const double lane : lanes) sums[static_cast<size_t>(piece)] += lane;
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

}  // namespace vl3::ops::cpu
