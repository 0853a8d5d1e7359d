// Attention with less than f32: keys and values cached in f16 or int8, products in bf16. Every element is
// held to the bound that docs/numerics.md derives from the roundings.

#include "ops/ops_support.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;
using Borders = std::vector<int64_t>;

constexpr double kBF16Rounding = 1.0 / 512, kF16Rounding = 1.0 / 2048, kF16Smallest = 1.0 / (1 << 25);

// Blocks of 64 tokens of a cache's type, filled up with bytes that are no sensible number.
struct TypedBlocks {
  std::vector<std::vector<std::byte>> k, v;
  ops::KeyValueView view;
  TypedBlocks(const KernelSet& kernels, CacheType type, const Tensor& keys, const Tensor& values_) {
    const int64_t length = keys.dim(0), heads = keys.dim(1), width = keys.dim(2);
    const int64_t row = ops::cache_row_bytes(type, width);
    for (int64_t first = 0; first < length; first += 64) {
      for (auto [blocks, source] : {std::pair(&k, &keys), std::pair(&v, &values_)}) {
        std::vector<std::byte> block(static_cast<size_t>(heads * 64 * row), std::byte{0xff});
        for (int64_t t = first; t < std::min(first + 64, length); ++t) {
          for (int64_t h = 0; h < heads; ++h) {
            ops::store_row(kernels, type, source->data<float>() + (t * heads + h) * width, width,
                           block.data() + (h * 64 + t - first) * row);
          }
        }
        blocks->push_back(std::move(block));
      }
    }
    for (const auto& block : k) view.k_blocks.push_back(block.data());
    for (const auto& block : v) view.v_blocks.push_back(block.data());
    view.type = type;
    view.block_tokens = 64;
    view.token_stride = row;
    view.head_stride = 64 * row;
    view.length = length;
  }
};

// What storing and rounding may change of each number of a row.
std::vector<double> row_errors(std::span<const float> row, CacheType type, bool bf16) {
  double largest = 0;
  for (const float x : row) largest = std::max<double>(largest, std::abs(x));
  std::vector<double> errors;
  for (const float x : row) {
    double error = 0;
    if (type == CacheType::kF16) error = std::max(kF16Rounding * std::abs(x), kF16Smallest);
    if (type == CacheType::kInt8) error = largest / 254;
    if (bf16) error += kBF16Rounding * (std::abs(x) + error);
    errors.push_back(error);
  }
  return errors;
}

struct Case {
  int64_t rows, keys, heads, kv_heads, width;
  float scale;
  bool causal;
};

struct Measured {
  double share = 0;    // largest error / bound
  double largest = 0;  // error
};

// Largest error of y as a share of the bound of its element.
Measured compare(const Tensor& y, const Tensor& q, const Tensor& k, const Tensor& v, const Case& c,
                 CacheType type, bool bf16) {
  const Values exact =
      reference::attention(values(q), values(k), values(v), Borders{0, c.rows}, Borders{0, c.keys},
                           {c.heads, c.kv_heads, c.width, c.scale, c.causal});
  Measured measured;
  for (int64_t i = 0; i < c.rows; ++i) {
    const int64_t seen = c.causal ? c.keys - c.rows + i + 1 : c.keys;
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t g = h / (c.heads / c.kv_heads);
      const std::span<const float> query(q.data<float>() + (i * c.heads + h) * c.width,
                                         static_cast<size_t>(c.width));
      const std::vector<double> query_error = row_errors(query, CacheType::kF32, bf16);
      std::vector<double> scores;
      double score_error = 0, highest = -INFINITY;
      for (int64_t j = 0; j < seen; ++j) {
        const std::span<const float> key(k.data<float>() + (j * c.kv_heads + g) * c.width, query.size());
        const std::vector<double> key_error = row_errors(key, type, bf16);
        double score = 0, error = 0;
        for (size_t d = 0; d < key.size(); ++d) {
          score += static_cast<double>(query[d]) * key[d];
          error += std::abs(query[d]) * key_error[d] + query_error[d] * (std::abs(key[d]) + key_error[d]);
        }
        scores.push_back(score * c.scale);
        score_error = std::max(score_error, error * c.scale);
        highest = std::max(highest, scores.back());
      }
      // Probabilities are off by the error of their score and by that of the sum they are divided by.
      const double weights = bf16 ? (1 + kBF16Rounding) * (1 + kBF16Rounding) : 1;
      const double factor = std::exp(2 * score_error) * weights - 1;
      double sum = 0;
      for (double& score : scores) sum += score = std::exp(score - highest);
      std::vector<double> bound(static_cast<size_t>(c.width), documented("attention"));
      for (int64_t j = 0; j < seen; ++j) {
        const std::span<const float> value(v.data<float>() + (j * c.kv_heads + g) * c.width, query.size());
        const std::vector<double> value_error = row_errors(value, type, bf16);
        const double p = scores[static_cast<size_t>(j)] / sum;
        for (size_t d = 0; d < value.size(); ++d) {
          bound[d] += p * (factor * (std::abs(value[d]) + value_error[d]) + value_error[d]);
        }
      }
      for (int64_t d = 0; d < c.width; ++d) {
        const size_t at = static_cast<size_t>((i * c.heads + h) * c.width + d);
        const double error = std::abs(y.data<float>()[at] - exact[at]);
        EXPECT_LE(error, bound[static_cast<size_t>(d)]) << "row " << i << " head " << h << " column " << d;
        measured.share = std::max(measured.share, error / bound[static_cast<size_t>(d)]);
        measured.largest = std::max(measured.largest, error);
      }
    }
  }
  return measured;
}

class AttentionPrecision : public EveryPath {};
VL3_EVERY_PATH(AttentionPrecision);

TEST_P(AttentionPrecision, StaysWithinWhatTheRoundingsAllow) {
  const std::vector<Case> cases = {
      {1, 300, 12, 2, 128, 0.0884f, true},  // decode
      {1, 1100, 4, 2, 72, 0.118f, true},    // keys split over threads
      {5, 70, 6, 2, 36, 0.167f, true},      // verifying a few tokens
      {60, 130, 6, 2, 128, 0.0884f, true},  // prefill
      {90, 90, 2, 2, 72, 0.118f, false},    // a frame
  };
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
    for (const auto products : {ops::Products::kF32, ops::Products::kBF16}) {
      Measured most;
      for (const Case& c : cases) {
        Random random(static_cast<uint64_t>(c.rows * 7 + c.keys));
        const Tensor q = random.tensor({c.rows, c.heads, c.width}, DType::kF32, 2);
        const Tensor k = random.tensor({c.keys, c.kv_heads, c.width}, DType::kF32, 2);
        const Tensor v = random.tensor({c.keys, c.kv_heads, c.width});
        ContextOptions asked = options(2);
        asked.compute = Compute::kAuto;
        Context context(asked);
        const TypedBlocks blocks(context.kernels(), type, k, v);
        const ops::AttentionSequence sequence{0, c.rows, blocks.view};
        const Tensor y =
            ops::attention(context, q, std::span(&sequence, 1), c.kv_heads, c.scale, c.causal, products);
        const Measured one = compare(y, q, k, v, c, type, products == ops::Products::kBF16);
        most.share = std::max(most.share, one.share);
        most.largest = std::max(most.largest, one.largest);
      }
      std::printf("cache %d, products %d: error up to %.1e, %.2f of the bound\n", static_cast<int>(type),
                  static_cast<int>(products), most.largest, most.share);
    }
  }
}

}  // namespace
}  // namespace vl3
