#include <cmath>
#include <limits>

#include "ops/cpu/attention_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops {
namespace {

constexpr int64_t kPiece = 512;  // keys

// Rows of one key head of a sequence against one piece of its keys.
struct Piece {
  const AttentionSequence* sequence;
  int64_t kv_head, first, count;
  int64_t place;  // of its partial result
};

// What is known of a row after some of its keys: y = out / sum, scores measured from maximum.
struct Partial {
  float maximum = -std::numeric_limits<float>::infinity(), sum = 0;
};

struct Workspace {
  float *q, *scores, *rows;  // [rows][width], [rows][kPiece], [kRunRows][width]

  static int64_t words(int64_t width) { return kFewAttentionRows * (width + kPiece) + kRunRows * width; }
  Workspace(float* p, int64_t width)
      : q(p), scores(p + kFewAttentionRows * width), rows(scores + kFewAttentionRows * kPiece) {}
};

void run(const AttentionProblem& p, const Piece& piece, Workspace w, Partial* partials, float* out) {
  const AttentionSequence& s = *piece.sequence;
  const KernelSet& kernels = p.kernels();
  const int64_t rows = p.rows(s), width = p.width;
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(p.q + p.offset(s, piece.kv_head, r), width, w.q + r * width);
    p.to_stored_query(s, piece.kv_head, w.q + r * width);
  }
  for_runs(kernels, s.kv, Plane::kKeys, piece.kv_head, width, piece.first, piece.count, w.rows,
           [&](const KeyValueRun& k) {
             kernels.gemv(k.rows, k.type, k.stride, k.count, w.q, width, rows, width, w.scores + k.at, kPiece,
                          k.next);
           });
  for (int64_t r = 0; r < rows; ++r) {
    float* scores = w.scores + r * kPiece;
    const int64_t seen = std::clamp<int64_t>(p.visible(s, r) - piece.first, 0, piece.count);
    partials[r] = {};
    if (seen > 0) kernels.softmax_step(scores, seen, p.scale, &partials[r].maximum, &partials[r].sum);
    std::fill(scores + seen, scores + piece.count, 0.0f);
  }
  std::fill_n(out, rows * width, 0.0f);
  for_runs(kernels, s.kv, Plane::kValues, piece.kv_head, width, piece.first, piece.count, w.rows,
           [&](const KeyValueRun& v) {
             kernels.weighted_sum(w.scores + v.at, kPiece, v.rows, v.type, v.stride, rows, v.count, width,
                                  out, width, v.next);
           });
}

// The pieces of one row, in order, into target [width].
void join(std::span<const Partial> partials, const float* out, int64_t step, int64_t width, float* target) {
  float maximum = partials[0].maximum;
  for (const Partial& partial : partials) maximum = std::max(maximum, partial.maximum);
  std::fill_n(target, width, 0.0f);
  float sum = 0;
  for (size_t i = 0; i < partials.size(); ++i) {
    if (partials[i].sum == 0) continue;  // saw no keys
    const float factor = std::exp(partials[i].maximum - maximum);
    sum += partials[i].sum * factor;
    const float* values = out + static_cast<int64_t>(i) * step;
    for (int64_t d = 0; d < width; ++d) target[d] += factor * values[d];
  }
  const float inverse = sum == 0 ? 0.0f : 1.0f / sum;
  for (int64_t d = 0; d < width; ++d) target[d] *= inverse;
}

}  // namespace

void split_kv_attention(const AttentionProblem& p, std::span<const AttentionSequence> sequences) {
  ThreadPool& threads = p.context.threads();
  std::vector<Piece> pieces;
  for (const AttentionSequence& s : sequences) {
    for (int64_t head = 0; head < p.kv_heads; ++head) {
      for (int64_t first = 0; first < s.kv.length; first += kPiece) {
        pieces.push_back(
            {&s, head, first, std::min(kPiece, s.kv.length - first), static_cast<int64_t>(pieces.size())});
      }
    }
  }
  const int64_t count = static_cast<int64_t>(pieces.size()), width = p.width;
  const Tensor outs = p.context.empty({count, kFewAttentionRows, width});
  std::vector<Partial> partials(static_cast<size_t>(count * kFewAttentionRows));
  const int64_t words = (Workspace::words(width) + 15) / 16 * 16;
  const Tensor scratch = p.context.empty({threads.size(), words});
  threads.parallel_for(count, 1, [&](int64_t i, int64_t, int thread) {
    run(p, pieces[static_cast<size_t>(i)], Workspace(scratch.mutable_data<float>() + thread * words, width),
        partials.data() + i * kFewAttentionRows, outs.mutable_data<float>() + i * kFewAttentionRows * width);
  });
  std::vector<Partial> of_row;
  for (size_t begin = 0; begin < pieces.size();) {
    const Piece& first = pieces[begin];
    size_t end = begin;
    while (end < pieces.size() && pieces[end].sequence == first.sequence &&
           pieces[end].kv_head == first.kv_head)
      ++end;
    for (int64_t r = 0; r < p.rows(*first.sequence); ++r) {
      of_row.clear();
      for (size_t i = begin; i < end; ++i)
        of_row.push_back(partials[i * static_cast<size_t>(kFewAttentionRows) + static_cast<size_t>(r)]);
      float* target = p.y + p.offset(*first.sequence, first.kv_head, r);
      join(of_row, outs.data<float>() + (first.place * kFewAttentionRows + r) * width,
           kFewAttentionRows * width, width, target);
      p.from_stored_sum(*first.sequence, first.kv_head, target);
    }
    begin = end;
  }
}

}  // namespace vl3::ops
