#include <cmath>

#include "base/random.h"
#include "ops/reference/reference.h"

namespace vl3::ops::reference {

Values low_rank(const Values& x, int64_t k, const Values& a, const Values& b, int64_t rank, double scale) {
  Values y = linear(linear(x, k, a, {}), rank, b, {});
  for (double& v : y) v *= scale;
  return y;
}

Values dropped(const Values& x, const Dropout& dropout, uint32_t stream) {
  const double threshold = std::round(dropout.rate * 65536);
  Values y = x;
  for (size_t i = 0; i < x.size(); ++i) {
    // Eight elements share a block of 128 random bits, 16 each.
    const PhiloxBlock block =
        philox4x32({static_cast<uint32_t>(i / 8), dropout.step, stream, dropout.pass + 1},
                   {static_cast<uint32_t>(dropout.seed), static_cast<uint32_t>(dropout.seed >> 32)});
    const uint32_t draw = block[i % 8 / 2] >> (i % 2 * 16) & 0xffff;
    y[i] = draw < threshold ? 0 : x[i] * 65536 / (65536 - threshold);
  }
  return y;
}

}  // namespace vl3::ops::reference
