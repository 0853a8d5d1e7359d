// Attention with less than f32: keys and values cached in f16 or int8, products in bf16. Every element is
// held to the bound that docs/numerics.md derives from the roundings.

#include <bit>

#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;
using Borders = std::vector<int64_t>;

constexpr double kBF16Rounding = 1.0 / 512, kF16Rounding = 1.0 / 2048, kF16Smallest = 1.0 / (1 << 25);

// [Hkv, D] of keys and of values; undefined: ones.
struct Factors {
  Tensor k, v;
};

// Blocks of 64 tokens of a cache's type, filled up with bytes that are no sensible number.
struct TypedBlocks {
  std::vector<std::vector<std::byte>> blocks;
  std::vector<std::byte*> table;
  ops::KeyValueView view;
  TypedBlocks(const KernelSet& kernels, CacheType type, const Tensor& keys, const Tensor& values_,
              const Factors& factors) {
    const int64_t length = keys.dim(0), heads = keys.dim(1), width = keys.dim(2);
    const int64_t row = ops::cache_row_bytes(type, width);
    view.k_factors = factors.k.defined() ? factors.k.data<float>() : nullptr;
    view.v_factors = factors.v.defined() ? factors.v.data<float>() : nullptr;
    for (int64_t first = 0; first < length; first += 64) {
      std::vector<std::byte> block(static_cast<size_t>(2 * heads * 64 * row), std::byte{0xff});
      for (auto [plane, source] : {std::pair(0, &keys), std::pair(1, &values_)}) {
        const float* of_channels = source == &keys ? view.k_factors : view.v_factors;
        for (int64_t t = first; t < std::min(first + 64, length); ++t) {
          for (int64_t h = 0; h < heads; ++h) {
            ops::store_row(kernels, type, source->data<float>() + (t * heads + h) * width, width,
                           block.data() + ((plane * heads + h) * 64 + t - first) * row,
                           of_channels == nullptr ? nullptr : of_channels + h * width);
          }
        }
      }
      blocks.push_back(std::move(block));
    }
    for (auto& block : blocks) table.push_back(block.data());
    view.blocks = table;
    view.v_offset = heads * 64 * row;
    view.type = type;
    view.block_tokens = 64;
    view.token_stride = row;
    view.head_stride = 64 * row;
    view.length = length;
  }
};

// The matrix [D, D] that int8 rows are rotated by, from its definition: pieces of a power of two, the longest
// first.
Values rotation(int64_t width) {
  Values matrix(static_cast<size_t>(width * width));
  for (int64_t begin = 0; begin < width;) {
    const auto piece = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(width - begin)));
    for (int64_t i = 0; i < piece; ++i) {
      for (int64_t j = 0; j < piece; ++j) {
        const bool odd = std::popcount(static_cast<uint64_t>(i & j)) % 2 != 0;
        matrix[static_cast<size_t>((begin + i) * width + begin + j)] =
            (odd ? -1 : 1) / std::sqrt(static_cast<double>(piece));
      }
    }
    begin += piece;
  }
  return matrix;
}

// A row as it meets the others of a cache of that type: int8 multiplies by factors (queries) or divides
// (keys, values), and rotates.
Values as_stored(const Values& matrix, const float* row, int64_t width, CacheType type, const float* factors,
                 bool query) {
  Values scaled(row, row + width);
  if (type != CacheType::kInt8) return scaled;
  for (int64_t i = 0; factors != nullptr && i < width; ++i) {
    double& x = scaled[static_cast<size_t>(i)];
    x = query ? x * factors[i] : x / factors[i];
  }
  Values rotated(scaled.size());
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t j = 0; j < width; ++j)
      rotated[static_cast<size_t>(i)] +=
          matrix[static_cast<size_t>(i * width + j)] * scaled[static_cast<size_t>(j)];
  }
  return rotated;
}

enum class Role { kQuery, kCached };

// What rotating, storing and rounding may change of each number of a row.
Values row_errors(const Values& row, CacheType type, Role role, bool bf16) {
  double largest = 0, squares = 0;
  for (const double x : row) {
    largest = std::max(largest, std::abs(x));
    squares += x * x;
  }
  Values errors;
  for (const double x : row) {
    double error = 0;
    if (type == CacheType::kF16 && role == Role::kCached)
      error = std::max(kF16Rounding * std::abs(x), kF16Smallest);
    if (type == CacheType::kInt8) {  // the rotation is a sum in log2 D steps; their roundings stay orthogonal
      error = (std::log2(static_cast<double>(row.size())) + 3) * std::ldexp(std::sqrt(squares), -24);
      if (role == Role::kCached) error += (largest + error) / 254;
    }
    if (bf16) error += kBF16Rounding * (std::abs(x) + error);
    errors.push_back(error);
  }
  return errors;
}

// What errors of a rotated sum of values may come to when it is rotated back and multiplied by factors.
Values rotated_back(const Values& matrix, const Values& bound, const float* factors) {
  const auto width = static_cast<int64_t>(bound.size());
  Values result(bound.size());
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t j = 0; j < width; ++j)
      result[static_cast<size_t>(i)] +=
          std::abs(matrix[static_cast<size_t>(i * width + j)]) * bound[static_cast<size_t>(j)];
    if (factors != nullptr) result[static_cast<size_t>(i)] *= factors[i];
  }
  return result;
}

struct Case {
  int64_t rows, keys, heads, kv_heads, width;
  float scale;
  bool causal;
  float outliers = 1;  // keys of every seventh channel times this, queries divided; values of every fifth
};

// Changes q, k and v; returns what undoes it.
Factors add_outliers(const Case& c, const Tensor& q, const Tensor& k, const Tensor& v) {
  Factors factors{Tensor::empty({c.kv_heads, c.width}, DType::kF32),
                  Tensor::empty({c.kv_heads, c.width}, DType::kF32)};
  for (int64_t i = 0; i < c.kv_heads * c.width; ++i) {
    factors.k.mutable_data<float>()[i] = i % 7 == 3 ? c.outliers : 1;
    factors.v.mutable_data<float>()[i] = i % 5 == 1 ? c.outliers : 1;
  }
  for (int64_t i = 0; i < k.numel(); ++i) {
    k.mutable_data<float>()[i] *= factors.k.data<float>()[i % factors.k.numel()];
    v.mutable_data<float>()[i] *= factors.v.data<float>()[i % factors.v.numel()];
  }
  for (int64_t i = 0; i < q.numel(); ++i) {
    const int64_t head = i / c.width % c.heads / (c.heads / c.kv_heads);
    q.mutable_data<float>()[i] /= factors.k.data<float>()[head * c.width + i % c.width];
  }
  return factors;
}

struct Measured {
  double share = 0;    // largest error / bound
  double largest = 0;  // error
};

// Largest error of y as a share of the bound of its element.
Measured compare(const Tensor& y, const Tensor& q, const Tensor& k, const Tensor& v, const Factors& factors,
                 const Case& c, CacheType type, bool bf16) {
  const Values exact =
      reference::attention(values(q), values(k), values(v), Borders{0, c.rows}, Borders{0, c.keys},
                           {c.heads, c.kv_heads, c.width, c.scale, c.causal});
  const Values matrix = rotation(c.width);
  const double f32_error = documented("attention");
  const auto of_head = [&](const Tensor& t, int64_t g) {
    return t.defined() ? t.data<float>() + g * c.width : nullptr;
  };
  // Keys or values of all tokens and heads, as stored, and their errors.
  struct Row {
    Values x, error;
  };
  const auto stored = [&](const Tensor& t, const Tensor& f) {
    std::vector<Row> rows;
    for (int64_t i = 0; i < c.keys * c.kv_heads; ++i) {
      rows.push_back(
          {as_stored(matrix, t.data<float>() + i * c.width, c.width, type, of_head(f, i % c.kv_heads), false),
           {}});
      rows.back().error = row_errors(rows.back().x, type, Role::kCached, bf16);
    }
    return rows;
  };
  const std::vector<Row> keys = stored(k, factors.k), cached = stored(v, factors.v);
  Measured measured;
  for (int64_t i = 0; i < c.rows; ++i) {
    const int64_t seen = c.causal ? c.keys - c.rows + i + 1 : c.keys;
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t g = h / (c.heads / c.kv_heads);
      const Values query = as_stored(matrix, q.data<float>() + (i * c.heads + h) * c.width, c.width, type,
                                     of_head(factors.k, g), true);
      const Values query_error = row_errors(query, type, Role::kQuery, bf16);
      Values scores;
      double score_error = 0, highest = -INFINITY;
      for (int64_t j = 0; j < seen; ++j) {
        const auto& [key, key_error] = keys[static_cast<size_t>(j * c.kv_heads + g)];
        double score = 0, error = 0;
        for (size_t d = 0; d < key.size(); ++d) {
          score += query[d] * key[d];
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
      Values bound(static_cast<size_t>(c.width));  // of the sum of stored values
      for (int64_t j = 0; j < seen; ++j) {
        const auto& [value, value_error] = cached[static_cast<size_t>(j * c.kv_heads + g)];
        const double p = scores[static_cast<size_t>(j)] / sum;
        for (size_t d = 0; d < value.size(); ++d) {
          bound[d] += p * (factor * (std::abs(value[d]) + value_error[d]) + value_error[d]);
        }
      }
      if (type == CacheType::kInt8) bound = rotated_back(matrix, bound, of_head(factors.v, g));
      for (int64_t d = 0; d < c.width; ++d) {
        const size_t at = static_cast<size_t>((i * c.heads + h) * c.width + d);
        // What f32 may be off by is stated for values in ±1.
        const double values_up_to = factors.v.defined() ? of_head(factors.v, g)[d] : 1;
        const double allowed = bound[static_cast<size_t>(d)] + f32_error * values_up_to;
        const double error = std::abs(y.data<float>()[at] - exact[at]);
        EXPECT_LE(error, allowed) << "row " << i << " head " << h << " column " << d;
        measured.share = std::max(measured.share, error / allowed);
        measured.largest = std::max(measured.largest, error / values_up_to);
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
      {1, 200, 6, 2, 128, 0.0884f, true, 64}, {40, 100, 6, 2, 64, 0.125f, true, 64},
  };
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
    for (const auto products : {ops::Precision::kF32, ops::Precision::kBF16}) {
      Measured most;
      for (const Case& c : cases) {
        Random random(static_cast<uint64_t>(c.rows * 7 + c.keys));
        const Tensor q = random.tensor({c.rows, c.heads, c.width}, DType::kF32, 2);
        const Tensor k = random.tensor({c.keys, c.kv_heads, c.width}, DType::kF32, 2);
        const Tensor v = random.tensor({c.keys, c.kv_heads, c.width});
        const Factors factors = c.outliers > 1 ? add_outliers(c, q, k, v) : Factors{};
        ContextOptions asked = options(2);
        asked.compute = Compute::kAuto;
        Context context(asked);
        const TypedBlocks blocks(kernels_of(context), type, k, v, factors);
        const ops::AttentionSequence sequence{0, c.rows, blocks.view};
        const Tensor y =
            ops::attention(context, q, std::span(&sequence, 1), c.kv_heads, c.scale, c.causal, products);
        const Measured one = compare(y, q, k, v, factors, c, type, products == ops::Precision::kBF16);
        most.share = std::max(most.share, one.share);
        most.largest = std::max(most.largest, one.largest);
      }
      std::printf("cache %d, products %d: error up to %.1e, %.2f of the bound\n", static_cast<int>(type),
                  static_cast<int>(products), most.largest, most.share);
    }
  }
}

// Factors that are powers of two leave no trace: what is stored and what reads it are the same numbers.
TEST_P(AttentionPrecision, OutliersThatFactorsKnowChangeNoBit) {
  for (const Case& c :
       {Case{1, 200, 6, 2, 128, 0.0884f, true, 64}, Case{40, 100, 6, 2, 72, 0.118f, true, 64}}) {
    Random random(5);
    const Tensor q = random.tensor({c.rows, c.heads, c.width}, DType::kF32, 2);
    const Tensor k = random.tensor({c.keys, c.kv_heads, c.width}, DType::kF32, 2);
    const Tensor v = random.tensor({c.keys, c.kv_heads, c.width});
    Context context(options(2));
    const auto attend = [&](const Factors& factors, const Tensor& queries, const Tensor& keys,
                            const Tensor& cached) {
      const TypedBlocks blocks(kernels_of(context), CacheType::kInt8, keys, cached, factors);
      const ops::AttentionSequence sequence{0, c.rows, blocks.view};
      const Tensor weights =
          ops::attention_weights(context, queries, sequence, c.kv_heads, c.scale, c.causal);
      return std::pair(
          ops::attention(context, queries, std::span(&sequence, 1), c.kv_heads, c.scale, c.causal), weights);
    };
    const auto [plain, plain_weights] = attend({}, q, k, v);
    const Tensor q2 = q.clone(), k2 = k.clone(), v2 = v.clone();
    const Factors factors = add_outliers(c, q2, k2, v2);
    auto [y, weights] = attend(factors, q2, k2, v2);
    EXPECT_TRUE(same_bits(weights, plain_weights));
    for (int64_t i = 0; i < y.numel(); ++i) {
      const int64_t head = i / c.width % c.heads / (c.heads / c.kv_heads);
      y.mutable_data<float>()[i] /= factors.v.data<float>()[head * c.width + i % c.width];
    }
    EXPECT_TRUE(same_bits(y, plain));
  }
}

// One number that is large for a token, as no factor can know, costs the others little.
TEST_P(AttentionPrecision, ALargeNumberLeavesTheOthersTheirDigits) {
  Context context(options(1));
  for (const int64_t width : {32, 64, 72, 80, 96, 128, 256}) {
    Random random(static_cast<uint64_t>(width));
    const Tensor row = random.tensor({width});
    row.mutable_data<float>()[7] = 10;
    const int64_t bytes = ops::cache_row_bytes(CacheType::kInt8, width);
    EXPECT_EQ(bytes, width + 4);
    std::vector<std::byte> stored(static_cast<size_t>(bytes));
    ops::store_row(kernels_of(context), CacheType::kInt8, row.data<float>(), width, stored.data());
    Tensor back = Tensor::empty({width}, DType::kF32);
    ops::widen_row(kernels_of(context), CacheType::kInt8, stored.data(), width, back.mutable_data<float>());
    ops::from_stored(CacheType::kInt8, back.mutable_data<float>(), width, nullptr);
    double error = 0;
    for (int64_t i = 0; i < width; ++i) {
      const double difference = back.data<float>()[i] - row.data<float>()[i];
      error += difference * difference;
    }
    const double step = 10.0 / 127,
                 plain = static_cast<double>(width) * step * step / 12;  // expected squares
    EXPECT_LT(error, plain / 3) << width;
  }
}

// A number that is not finite is seen: the whole row is NaN, as its scale is.
TEST_P(AttentionPrecision, NumbersThatAreNotFiniteStaySo) {
  Context context(options(1));
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const int64_t at : {0, 5, 71}) {
      Tensor row = Tensor::zeros({72}, DType::kF32);
      row.mutable_data<float>()[at] = bad;
      std::vector<std::byte> stored(76);
      ops::store_row(kernels_of(context), CacheType::kInt8, row.data<float>(), 72, stored.data());
      Tensor back = row.clone();
      ops::widen_row(kernels_of(context), CacheType::kInt8, stored.data(), 72, back.mutable_data<float>());
      for (int64_t i = 0; i < 72; ++i) EXPECT_TRUE(std::isnan(back.data<float>()[i])) << bad << " at " << at;
    }
  }
}

}  // namespace
}  // namespace vl3
