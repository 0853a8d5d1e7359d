#include "model/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "ops/rows.h"
#include "ops/upload.h"

namespace vl3 {
namespace {

// base^(2i/dim) for i in [0, dim/2), rounded to f32 as the reference's tensor power is.
std::vector<float> powers(double base, int64_t dim) {
  std::vector<float> result;
  for (int64_t i = 0; i < dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dim);
    result.push_back(static_cast<float>(std::pow(base, static_cast<double>(exponent))));
  }
  return result;
}

std::vector<float> inverses(double base, int64_t dim) {
  std::vector<float> result = powers(base, dim);
  for (float& value : result) value = 1.0f / value;
  return result;
}

double yarn_mscale(double scale, double mscale) {
  return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

// YaRN (arXiv 2309.00071): fast dimensions keep their frequency, slow ones are interpolated, a ramp lies
// between.
RotaryFrequencies yarn(const RopeConfig& rope, int64_t dim, int64_t max_positions) {
  const double original = static_cast<double>(rope.original_max_position_embeddings);
  const double factor = rope.factor > 0 ? rope.factor : static_cast<double>(max_positions) / original;
  RotaryFrequencies result;
  if (rope.attention_factor) {
    result.attention_scaling = static_cast<float>(*rope.attention_factor);
  } else if (rope.mscale != 0 && rope.mscale_all_dim != 0) {
    result.attention_scaling =
        static_cast<float>(yarn_mscale(factor, rope.mscale) / yarn_mscale(factor, rope.mscale_all_dim));
  } else {
    result.attention_scaling = static_cast<float>(yarn_mscale(factor, 1.0));
  }
  const auto correction = [&](double rotations) {
    return static_cast<double>(dim) * std::log(original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  double low = correction(rope.beta_fast), high = correction(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  const std::vector<float> frequencies = powers(rope.theta, dim);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f, 1.0f);
    const float extrapolated = 1.0f / frequencies[i];
    const float interpolated = 1.0f / (static_cast<float>(factor) * frequencies[i]);
    const float keep = 1.0f - ramp;
    result.inverse.push_back(interpolated * (1.0f - keep) + extrapolated * keep);
  }
  return result;
}

// positions [T, axes]
RotaryTable make_table(Context& context, int64_t axes, std::span<const float> positions,
                       std::span<const float> inverse, float scaling) {
  const Shape shape = {static_cast<int64_t>(positions.size()) / axes, axes};
  return ops::rotary_table(context, ops::upload(context, shape, positions),
                           ops::upload(context, {static_cast<int64_t>(inverse.size())}, inverse), scaling);
}

}  // namespace

RotaryFrequencies text_frequencies(const TextConfig& config, int64_t seq_len) {
  const RopeConfig& rope = config.rope;
  const int64_t dim = config.head_dim;
  if (rope.type == "default") return {inverses(rope.theta, dim)};
  if (rope.type == "linear") {
    RotaryFrequencies result{inverses(rope.theta, dim)};
    for (float& value : result.inverse) value /= static_cast<float>(rope.factor);
    return result;
  }
  if (rope.type == "dynamic") {
    const double trained = static_cast<double>(config.max_position_embeddings);
    const double length = std::max(static_cast<double>(seq_len), trained);
    const double exponent = static_cast<double>(dim) / static_cast<double>(dim - 2);
    const double base = rope.theta * std::pow(rope.factor * length / trained - (rope.factor - 1), exponent);
    return {inverses(base, dim)};
  }
  if (rope.type == "yarn") return yarn(rope, dim, config.max_position_embeddings);
  fail(ErrorCode::kUnsupported, "[rope] type \"{}\" is not one of default, linear, dynamic, yarn", rope.type);
}

RotaryTable text_rotary(Context& context, const TextConfig& config, std::span<const int64_t> positions,
                        std::span<const int64_t> cu_seqlens) {
  const auto table = [&](std::span<const int64_t> of_sequences) {
    const int64_t last =
        of_sequences.empty() ? 0 : *std::max_element(of_sequences.begin(), of_sequences.end());
    const RotaryFrequencies frequencies = text_frequencies(config, last + 1);
    const std::vector<float> numbers(of_sequences.begin(), of_sequences.end());
    return make_table(context, 1, numbers, frequencies.inverse, frequencies.attention_scaling);
  };
  if (config.rope.type != "dynamic") return table(positions);
  std::vector<Tensor> cos, sin;  // frequencies depend on a sequence's length
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    const RotaryTable of_one = table(positions.subspan(
        static_cast<size_t>(cu_seqlens[s]), static_cast<size_t>(cu_seqlens[s + 1] - cu_seqlens[s])));
    cos.push_back(of_one.cos);
    sin.push_back(of_one.sin);
  }
  if (cos.empty()) return table({});
  return {ops::concat_rows(context, cos), ops::concat_rows(context, sin)};
}

RotaryTable vision_rotary(Context& context, const VisionConfig& config, std::span<const Grid> grids) {
  const std::vector<float> inverse = inverses(config.rope_theta, config.head_dim() / 2);
  std::vector<float> positions;  // row and column of every patch
  for (const Grid& grid : grids) {
    const int64_t m = grid.merge;
    for (int64_t patch = 0; patch < grid.patches(); ++patch) {
      const int64_t block = patch % (grid.h * grid.w) / (m * m), inner = patch % (m * m);
      positions.push_back(static_cast<float>(block / (grid.w / m) * m + inner / m));
      positions.push_back(static_cast<float>(block % (grid.w / m) * m + inner % m));
    }
  }
  return make_table(context, 2, positions, inverse, 1.0f);
}

}  // namespace vl3
