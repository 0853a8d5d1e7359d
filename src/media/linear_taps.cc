#include "media/linear_taps.h"

#include <algorithm>
#include <cstdlib>

namespace vl3 {
namespace {

constexpr int64_t kUnit = int64_t{1} << 54;  // what the weights of one output add up to before rounding
constexpr double kNegligible = 0.002;        // a sum of weights, over kUnit, that may be left out

struct Wide {  // taps before they are narrowed and rounded
  int taps;
  std::vector<int64_t> first, weights;
};

// The triangle around each output's place. Places are in 1/2^17 of a sample.
Wide triangles(int64_t sources, int64_t targets, int64_t step, int source_position, int target_position) {
  constexpr int64_t kSample = int64_t{1} << 17, kPeak = int64_t{1} << 30;
  const bool fewer = step > (1 << 16);
  const int64_t wanted = fewer ? 1 + (2 * sources + targets - 1) / targets : 3;
  Wide wide{static_cast<int>(std::max<int64_t>(std::min(wanted, sources - 2), 1)), {}, {}};
  int64_t place = (target_position * step >> 7) - (int64_t{source_position} * 65536 >> 7);
  for (int64_t i = 0; i < targets; ++i, place += 2 * step) {
    const int64_t first = (place - (wide.taps - 2) * 65536) / kSample;  // towards zero
    wide.first.push_back(first);
    for (int k = 0; k < wide.taps; ++k) {
      int64_t distance = std::abs((first + k) * kSample - place) << 13;
      if (fewer) distance = distance * targets / sources;
      wide.weights.push_back(std::max<int64_t>(kPeak - distance, 0) * (kUnit / kPeak));
    }
  }
  return wide;
}

// Leaves out what hardly counts, on the left by beginning later; how many taps are needed then. Begins stay
// in order, for which the outputs are seen from the last to the first.
int trim(Wide& wide) {
  const auto negligible = [](int64_t sum) { return static_cast<double>(sum) <= kNegligible * kUnit; };
  int needed = 0;
  for (size_t i = wide.first.size(); i-- > 0;) {
    int64_t* weights = &wide.weights[i * static_cast<size_t>(wide.taps)];
    int64_t left = 0;
    for (int k = 0; k < wide.taps; ++k) {
      left += weights[0];
      if (!negligible(left)) break;
      if (i + 1 < wide.first.size() && wide.first[i] >= wide.first[i + 1]) break;
      std::copy(weights + 1, weights + wide.taps, weights);
      weights[wide.taps - 1] = 0;
      ++wide.first[i];
    }
    int used = wide.taps;
    int64_t right = 0;
    for (int k = wide.taps - 1; k > 0; --k, --used) {
      right += weights[k];
      if (!negligible(right)) break;
    }
    needed = std::max(needed, used);
  }
  return needed;
}

// Weights of samples that are not there go to the nearest that is.
void keep_inside(int64_t& first, std::span<int64_t> weights, int64_t sources) {
  const int64_t taps = static_cast<int64_t>(weights.size());
  const int64_t begin = std::clamp<int64_t>(first, 0, std::max<int64_t>(sources - taps, 0));
  std::vector<int64_t> inside(weights.size(), 0);
  for (int64_t k = 0; k < taps; ++k) {
    const int64_t sample = std::clamp<int64_t>(first + k, 0, sources - 1);
    inside[static_cast<size_t>(sample - begin)] += weights[static_cast<size_t>(k)];
  }
  std::copy(inside.begin(), inside.end(), weights.begin());
  first = begin;
}

int64_t rounded_quotient(int64_t a, int64_t b) { return (a >= 0 ? a + b / 2 : a - b / 2) / b; }

}  // namespace

LinearTaps linear_taps(int64_t sources, int64_t targets, int source_position, int target_position,
                       int32_t one) {
  LinearTaps result;
  const int64_t step = ((sources << 16) + (targets >> 1)) / targets;  // samples per output, in 1/2^16
  if (std::abs(step - 65536) < 10 && source_position == target_position) {
    for (int64_t i = 0; i < targets; ++i) result.first.push_back(std::min(i, sources - 1));
    result.weights.assign(static_cast<size_t>(targets), one);
    return result;
  }
  Wide wide = triangles(sources, targets, step, source_position, target_position);
  result.taps = trim(wide);
  std::vector<int64_t> weights(static_cast<size_t>(result.taps));
  for (size_t i = 0; i < wide.first.size(); ++i) {
    std::copy_n(&wide.weights[i * static_cast<size_t>(wide.taps)], result.taps, weights.begin());
    keep_inside(wide.first[i], weights, sources);
    int64_t sum = 0, carried = 0;
    for (const int64_t weight : weights) sum += weight;
    sum = std::max<int64_t>((sum + one / 2) / one, 1);
    for (const int64_t weight : weights) {  // what rounding one takes away, the next one gets
      const int64_t rounded = rounded_quotient(weight + carried, sum);
      carried += weight - rounded * sum;
      result.weights.push_back(static_cast<int32_t>(rounded));
    }
  }
  result.first = std::move(wide.first);
  return result;
}

}  // namespace vl3
