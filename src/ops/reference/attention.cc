#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/reference/reference.h"

namespace vl3::ops::reference {
namespace {

struct Sequence {
  int64_t q0, q1, k0, k1;
};

// Probabilities of one row of one head over all keys of its sequence; empty where it sees none.
Values row_weights(const Values& q, const Values& k, const Sequence& s, int64_t token, int64_t head,
                   const AttentionShape& shape) {
  const int64_t keys = s.k1 - s.k0, kv_head = head / (shape.heads / shape.kv_heads);
  const int64_t seen = shape.causal ? keys - (s.q1 - token) + 1 : keys;
  if (seen <= 0) return {};
  Values p(static_cast<size_t>(keys), -std::numeric_limits<double>::infinity());
  for (int64_t j = 0; j < seen; ++j) {
    double sum = 0;
    for (int64_t d = 0; d < shape.width; ++d) {
      sum += q[static_cast<size_t>((token * shape.heads + head) * shape.width + d)] *
             k[static_cast<size_t>(((s.k0 + j) * shape.kv_heads + kv_head) * shape.width + d)];
    }
    p[static_cast<size_t>(j)] = sum * shape.scale;
  }
  const double largest = *std::max_element(p.begin(), p.end());
  double total = 0;
  for (double& x : p) total += x = std::exp(x - largest);
  for (double& x : p) x /= total;
  return p;
}

}  // namespace

Values attention(const Values& q, const Values& k, const Values& v, std::span<const int64_t> cu_seqlens_q,
                 std::span<const int64_t> cu_seqlens_k, const AttentionShape& shape) {
  Values y(q.size(), 0.0);
  for (size_t i = 0; i + 1 < cu_seqlens_q.size(); ++i) {
    const Sequence s{cu_seqlens_q[i], cu_seqlens_q[i + 1], cu_seqlens_k[i], cu_seqlens_k[i + 1]};
    for (int64_t token = s.q0; token < s.q1; ++token) {
      for (int64_t head = 0; head < shape.heads; ++head) {
        const Values p = row_weights(q, k, s, token, head, shape);
        const int64_t kv_head = head / (shape.heads / shape.kv_heads);
        for (size_t j = 0; j < p.size(); ++j) {
          const int64_t key = (s.k0 + static_cast<int64_t>(j)) * shape.kv_heads + kv_head;
          for (int64_t d = 0; d < shape.width; ++d) {
            y[static_cast<size_t>((token * shape.heads + head) * shape.width + d)] +=
                p[j] * v[static_cast<size_t>(key * shape.width + d)];
          }
        }
      }
    }
  }
  return y;
}

Values attention_weights(const Values& q, const Values& k, const AttentionShape& shape) {
  const int64_t rows = static_cast<int64_t>(q.size()) / (shape.heads * shape.width);
  const int64_t keys = static_cast<int64_t>(k.size()) / (shape.kv_heads * shape.width);
  Values weights;
  for (int64_t head = 0; head < shape.heads; ++head) {
    for (int64_t row = 0; row < rows; ++row) {
      Values p = row_weights(q, k, {0, rows, 0, keys}, row, head, shape);
      p.resize(static_cast<size_t>(keys), 0.0);
      weights.insert(weights.end(), p.begin(), p.end());
    }
  }
  return weights;
}

}  // namespace vl3::ops::reference
