#include <limits>
#include <utility>

#include "ops/cpu/attention_parts.h"
#include "vl3/thread_pool.h"

namespace vl3::ops {
namespace {

// Rows of one task: whole tiles of 6 and of 14, nearly so of 32.
constexpr int64_t kRows = 126;
// Keys handled at once: scores and probabilities of a tile of rows stay in the first-level cache, the keys
// and values in the second-level cache while the tiles pass by.
constexpr int64_t kKeysF32 = 256, kKeysBF16 = 512;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// One key head of one sequence, packed: keys in panels [width][tile_columns], values in rows of padded
// columns. In bf16 two of the inner products' elements make one word.
struct Packed {
  const AttentionSequence* sequence;
  int64_t kv_head;
  int64_t keys_at, values_at;  // words into the packed tensor
};

struct Layout {
  bool pairs;
  int64_t width, padded;  // columns of the values, in whole vectors
  int64_t depth;          // words of a key
  int64_t rows, columns;  // of a tile: queries, and keys of a panel
  int64_t keys_at_once;

  Layout(const AttentionProblem& p)
      : pairs(p.precision == Precision::kBF16 && p.context.compute() == Compute::kAuto &&
              p.kernels().tile_pairs != nullptr),
        width(p.width),
        padded(round_up(p.width, p.kernels().width)),
        depth(pairs ? (p.width + 1) / 2 : p.width),
        rows(pairs ? p.kernels().pair_rows : p.kernels().tile_rows),
        columns(p.kernels().tile_columns),
        keys_at_once(pairs ? kKeysBF16 : kKeysF32) {}
  int64_t value_rows(int64_t keys) const { return pairs ? (keys + 1) / 2 : keys; }
  int64_t words(int64_t keys) const {
    return round_up(keys, columns) * depth + round_up(value_rows(keys) * padded, 16);
  }
};

// Pairs of bf16, as the kernels see them.
uint32_t* as_pairs(float* p) { return reinterpret_cast<uint32_t*>(p); }
const uint32_t* as_pairs(const float* p) { return reinterpret_cast<const uint32_t*>(p); }

// Keys [first, first + count) of a head, as one panel; values likewise. buffer: [columns + kRunRows][width].
void pack_panel(const AttentionProblem& p, const Layout& layout, const Packed& packed, int64_t first,
                int64_t count, float* buffer, float* words) {
  const KernelSet& kernels = p.kernels();
  const KeyValueView& kv = packed.sequence->kv;
  const int64_t width = layout.width;
  float* gathered = buffer + kRunRows * width;  // [columns][width]
  // The rows in one piece of f32, where they lie or copied together.
  const auto rows = [&](Plane plane) {
    std::pair<const float*, int64_t> result{gathered, width};
    for_runs(kernels, kv, plane, packed.kv_head, width, first, count, buffer, [&](const KeyValueRun& source) {
      if (source.count == count && source.type == WeightType::kF32) {
        result = {static_cast<const float*>(source.rows), source.stride};
        return;
      }
      for (int64_t i = 0; i < source.count; ++i)
        kernels.widen(source.row(i), source.type, width, gathered + (source.at + i) * width);
    });
    return result;
  };
  const auto [k, k_stride] = rows(Plane::kKeys);
  float* keys = words + packed.keys_at + first * layout.depth;
  if (layout.pairs) {  // where they were gathered they are rounded in place: pairs are half as long
    uint32_t* rounded = as_pairs(gathered);
    for (int64_t i = 0; i < count; ++i)
      kernels.round_pairs(k + i * k_stride, width, rounded + i * layout.depth);
    kernels.pack_pairs(reinterpret_cast<const uint16_t*>(rounded), 2 * layout.depth, count, layout.depth,
                       false, as_pairs(keys));
  } else {
    kernels.pack(k, WeightType::kF32, k_stride, count, width, keys);
  }
  const auto [v, v_stride] = rows(Plane::kValues);
  for (int64_t i = 0; i < count; i += layout.pairs ? 2 : 1) {
    float* target = words + packed.values_at + (layout.pairs ? (first + i) / 2 : first + i) * layout.padded;
    const float* row = v + i * v_stride;
    if (layout.pairs) {
      kernels.interleave_pairs(row, i + 1 < count ? row + v_stride : nullptr, width, as_pairs(target));
    } else {
      std::copy_n(row, width, target);
    }
    std::fill(target + width, target + layout.padded, 0.0f);
  }
}

// One thread's buffers for a task.
struct Workspace {
  float *q, *scores, *probabilities, *out, *maximum, *sum;

  static int64_t words(const Layout& l) {
    return kRows * (l.depth + l.padded + 2) + l.rows * l.keys_at_once * (l.pairs ? 2 : 1) + 6 * 16;
  }
  Workspace(float* p, const Layout& l) {
    q = p;
    scores = q + round_up(kRows * l.depth, 16);
    probabilities = scores + (l.pairs ? round_up(l.rows * l.keys_at_once, 16) : 0);  // f32: in place
    out = probabilities + round_up(l.rows * l.keys_at_once / (l.pairs ? 2 : 1), 16);
    maximum = out + round_up(kRows * l.padded, 16);
    sum = maximum + kRows;
  }
};

// Rows [first, first + count) of a packed head.
struct Task {
  const Packed* packed;
  int64_t first, count;
};

class Tiles {
 public:
  Tiles(const AttentionProblem& p, const Layout& layout, const float* words, const Task& task, Workspace w)
      : p_(p),
        kernels_(p.kernels()),
        layout_(layout),
        task_(task),
        s_(*task.packed->sequence),
        words_(words),
        w_(w) {}

  void run() {
    const int64_t kv_head = task_.packed->kv_head;
    for (int64_t r = 0; r < task_.count; ++r) {
      const float* row = p_.q + p_.offset(s_, kv_head, task_.first + r);
      if (s_.kv.type == CacheType::kInt8) {
        float* stored = w_.out;  // not yet in use
        std::copy_n(row, layout_.width, stored);
        p_.to_stored_query(s_, kv_head, stored);
        row = stored;
      }
      if (layout_.pairs)
        kernels_.round_pairs(row, layout_.width, as_pairs(w_.q) + r * layout_.depth);
      else
        std::copy_n(row, layout_.width, w_.q + r * layout_.depth);
    }
    std::fill_n(w_.out, task_.count * layout_.padded, 0.0f);
    std::fill_n(w_.maximum, task_.count, -std::numeric_limits<float>::infinity());
    std::fill_n(w_.sum, task_.count, 0.0f);
    const int64_t keys = std::min(s_.kv.length, p_.visible(s_, task_.first + task_.count - 1));
    for (int64_t key = 0; key < keys; key += layout_.keys_at_once) {
      const int64_t count = std::min(layout_.keys_at_once, keys - key);
      for (int64_t r = 0; r < task_.count; r += layout_.rows)
        tile(r, std::min(layout_.rows, task_.count - r), key, count);
    }
    for (int64_t r = 0; r < task_.count; ++r) {
      float* target = p_.y + p_.offset(s_, kv_head, task_.first + r);
      float* out = w_.out + r * layout_.padded;
      kernels_.scale(out, layout_.width, w_.sum[r] == 0 ? 0.0f : 1.0f / w_.sum[r]);
      std::copy_n(out, layout_.width, target);
      p_.from_stored_sum(s_, kv_head, target);
    }
  }

 private:
  void tile(int64_t row, int64_t rows, int64_t key, int64_t count) const {
    const int64_t step = layout_.keys_at_once, columns = layout_.columns;
    const float* keys = words_ + task_.packed->keys_at;
    for (int64_t j = 0; j < count; j += columns) {
      const float* panel = keys + (key + j) * layout_.depth;
      const float* q = w_.q + row * layout_.depth;
      if (layout_.pairs)
        kernels_.tile_pairs(as_pairs(q), layout_.depth, as_pairs(panel), columns, rows, columns,
                            layout_.depth, w_.scores + j, step, false);
      else
        kernels_.tile(q, layout_.depth, panel, columns, rows, columns, layout_.depth, w_.scores + j, step,
                      false);
    }
    const int64_t words = layout_.value_rows(count);
    for (int64_t r = 0; r < rows; ++r) probabilities(row + r, r, key, count, words);
    const int64_t ld = layout_.pairs ? step / 2 : step;
    const float* values = words_ + task_.packed->values_at + layout_.value_rows(key) * layout_.padded;
    for (int64_t d = 0; d < layout_.padded; d += columns) {
      const int64_t n = std::min(columns, layout_.padded - d);
      float* out = w_.out + row * layout_.padded + d;
      if (layout_.pairs)
        kernels_.tile_pairs(as_pairs(w_.probabilities), ld, as_pairs(values + d), layout_.padded, rows, n,
                            words, out, layout_.padded, true);
      else
        kernels_.tile(w_.probabilities, ld, values + d, layout_.padded, rows, n, words, out, layout_.padded,
                      true);
    }
  }

  // Scores of row r of a tile become probabilities, and what its row has summed so far is measured anew.
  void probabilities(int64_t row, int64_t r, int64_t key, int64_t count, int64_t words) const {
    float* scores = w_.scores + r * layout_.keys_at_once;
    const int64_t seen = std::clamp<int64_t>(p_.visible(s_, task_.first + row) - key, 0, count);
    float correction = 1;
    if (layout_.pairs) {
      uint32_t* target = as_pairs(w_.probabilities) + r * (layout_.keys_at_once / 2);
      int64_t written = 0;
      if (seen > 0) {
        correction = kernels_.softmax_pairs(scores, seen, p_.scale, w_.maximum + row, w_.sum + row, target);
        written = round_up(seen, 2 * kernels_.width) / 2;
      }
      for (int64_t i = written; i < words; ++i) target[i] = 0;
    } else {
      if (seen > 0)
        correction = kernels_.softmax_step(scores, seen, p_.scale, w_.maximum + row, w_.sum + row);
      std::fill(scores + seen, scores + count, 0.0f);
    }
    if (correction != 1.0f) kernels_.scale(w_.out + row * layout_.padded, layout_.padded, correction);
  }

  const AttentionProblem& p_;
  const KernelSet& kernels_;
  const Layout& layout_;
  const Task& task_;
  const AttentionSequence& s_;
  const float* words_;
  Workspace w_;
};

}  // namespace

void tiled_attention(const AttentionProblem& p, std::span<const AttentionSequence* const> sequences) {
  ThreadPool& threads = p.context.threads();
  const Layout layout(p);
  struct Panel {
    size_t packed;
    int64_t first, count;
  };
  std::vector<Packed> heads;
  std::vector<Panel> panels;
  int64_t total = 0;
  for (const AttentionSequence* s : sequences) {
    for (int64_t head = 0; head < p.kv_heads; ++head) {
      const int64_t keys = s->kv.length;
      heads.push_back({s, head, total, total + round_up(keys, layout.columns) * layout.depth});
      for (int64_t first = 0; first < keys; first += layout.columns)
        panels.push_back({heads.size() - 1, first, std::min(layout.columns, keys - first)});
      total += round_up(layout.words(keys), 16);
    }
  }
  const Tensor packed = p.context.empty({total});
  float* words = packed.mutable_data<float>();
  const int64_t buffer_words = (layout.columns + kRunRows) * layout.width;
  const int64_t scratch_words = round_up(std::max(buffer_words, Workspace::words(layout)), 16);
  const Tensor scratch = p.context.empty({threads.size(), scratch_words});
  const auto of_thread = [&](int thread) { return scratch.mutable_data<float>() + thread * scratch_words; };
  threads.parallel_for(static_cast<int64_t>(panels.size()), 1, [&](int64_t i, int64_t, int thread) {
    p.context.check_cancelled();
    const Panel& panel = panels[static_cast<size_t>(i)];
    pack_panel(p, layout, heads[panel.packed], panel.first, panel.count, of_thread(thread), words);
  });

  std::vector<Task> tasks;
  const int64_t step = std::max(kRows / p.group(), int64_t{1}) * p.group();  // whole queries
  for (const Packed& head : heads) {
    const int64_t rows = p.rows(*head.sequence);
    for (int64_t first = 0; first < rows; first += std::min(step, kRows))
      tasks.push_back({&head, first, std::min({step, kRows, rows - first})});
  }
  if (p.causal)
    std::reverse(tasks.begin(), tasks.end());  // the longest first, so that the threads end together
  threads.parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t i, int64_t, int thread) {
    p.context.check_cancelled();
    Tiles(p, layout, words, tasks[static_cast<size_t>(i)], Workspace(of_thread(thread), layout)).run();
  });
}

}  // namespace vl3::ops
