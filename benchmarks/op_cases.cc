#include "benchmarks/op_cases.h"

#include <fmt/format.h>

#include <numeric>

#include "ops/ops.h"
#include "tensor/quantized.h"
#include "tests/ops/model_shapes.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kRows = 4096;  // beyond the caches

Tensor filled(Shape shape, DType dtype = DType::kF32) {
  Tensor tensor = Tensor::zeros(std::move(shape), dtype);
  uint32_t state = 1;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    if (dtype == DType::kF32)
      tensor.mutable_data<float>()[i] = value;
    else
      tensor.mutable_data<bf16>()[i].bits = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16);
  }
  return tensor;
}

class Cases {
 public:
  explicit Cases(Context& context) : context_(context) {}

  void products(const std::string& op, const std::string& name, double operations, DType type,
                std::function<void()> work) {
    all.push_back({op, name, operations, true, type, std::move(work)});
  }
  // tensors of so many bytes are read or written.
  void traffic(const std::string& op, const std::string& name, double bytes, std::function<void()> work) {
    all.push_back({op, name, bytes, false, DType::kF32, std::move(work)});
  }

  void linear_layers() {
    std::vector<DType> types = {DType::kBF16};
    if (context_.compute() == Compute::kAuto) types.insert(types.end(), {DType::kInt8, DType::kInt4});
    for (const test::LinearShape& shape : test::kLinearShapes) {
      const Tensor bf16 = filled({shape.n, shape.k}, DType::kBF16);
      for (const DType type : types) {
        const Tensor w = is_quantized(type) ? quantized(context_.threads(), bf16, type) : bf16;
        for (const int64_t m : {1, 4, 16, 256, 1024}) {
          const Tensor x = filled({m, shape.k});
          const std::string name =
              fmt::format("{} {} x {}, {}, {} rows", shape.where, shape.n, shape.k, to_string(type), m);
          const auto work = [&c = context_, x, w] { ops::linear(c, x, w); };
          if (m == 1)
            traffic("linear", name, static_cast<double>(w.bytes()), work);
          else
            products("linear", name, 2.0 * static_cast<double>(m * shape.n * shape.k), type, work);
        }
      }
    }
  }

  // What is made of linear layers: one case each.
  void layers() {
    Context& c = context_;
    const int64_t m = 256, k = test::kTextWidth, n = test::kTextMlp;
    const double one = 2.0 * static_cast<double>(m * n * k);
    const Tensor x = filled({m, k}), wide = filled({m, n}), gate = filled({n, k}, DType::kBF16),
                 down = filled({k, n}, DType::kBF16), none;
    const ops::LowRank low{filled({16, k}), filled({n, 16}), 0.5f, 0, nullptr};
    products("linears", "text gate and up of 256 rows", 2 * one, DType::kBF16, [=, &c] {
      const ops::LinearOperand both[] = {{gate, none}, {gate, none}};
      ops::linears(c, x, both);
    });
    products("gated_linear", "text MLP, gated, 256 rows", 2 * one, DType::kBF16,
             [=, &c] { ops::gated_linear(c, x, gate, gate); });
    products("row_parallel_linear", "text down, 256 rows", one, DType::kBF16, [=, &c] {
      ops::row_parallel_linear(c, wide, ops::LinearOperand{down, none}, x);
    });
    products("low_rank", "an adapter of rank 16, 256 rows", 2.0 * static_cast<double>(m * 16 * (n + k)),
             DType::kF32, [=, &c] { ops::low_rank(c, x, low); });
    products("linear_cross_entropy", "a loss over 8,960 classes, 256 rows", one, DType::kBF16,
             [=, &c, targets = std::vector<int64_t>(static_cast<size_t>(m), 7)] {
               ops::linear_cross_entropy(c, x, gate, targets);
             });
  }

  void attention() {
    for (const test::AttentionShape& s : test::kAttentionShapes) {
      const Tensor q = filled({s.rows, s.heads, s.width}), k = filled({s.keys, s.kv_heads, s.width}),
                   v = filled({s.keys, s.kv_heads, s.width});
      const std::vector<int64_t> queries = {0, s.rows}, keys = {0, s.keys};
      const auto work = [=, &c = context_] {
        ops::attention(c, q, k, v, queries, keys, 0.1f, s.causal, ops::Precision::kBF16);
      };
      const std::string name = fmt::format("attention, {}", s.where);
      const double pairs = static_cast<double>(s.rows * s.keys) * (s.causal && s.rows == s.keys ? 0.5 : 1);
      if (s.rows == 1)
        traffic("attention", name, static_cast<double>(k.bytes() + v.bytes()), work);
      else
        products("attention", name, 4 * pairs * static_cast<double>(s.heads * s.width),
                 s.rows > ops::kFewRows ? DType::kBF16 : DType::kF32, work);
    }
    const Tensor q = filled({64, 12, 128}), k = filled({1024, 2, 128});
    products("attention_weights", "attention's probabilities, 64 x 1,024", 2.0 * 64 * 1024 * 12 * 128,
             DType::kF32, [=, &c = context_] {
               ops::attention_weights(c, q, {0, 64, ops::dense_view(k, k)}, 2, 0.1f, true);
             });
  }

  // Keys and values of a long prompt, into the blocks of a cache.
  void cache() {
    const int64_t heads = 2, width = 128, block_tokens = 64;
    const Tensor rows = filled({kRows, heads, width});
    for (const auto& [type, name] :
         {std::pair(CacheType::kF32, "f32"), {CacheType::kF16, "f16"}, {CacheType::kInt8, "int8"}}) {
      const int64_t row = ops::cache_row_bytes(type, width), plane = heads * block_tokens * row;
      const Tensor memory = Tensor::zeros({2 * heads * kRows * row / 4}, DType::kF32);
      std::vector<std::byte*> blocks;
      for (int64_t i = 0; i < kRows / block_tokens; ++i)
        blocks.push_back(memory.mutable_raw() + i * 2 * plane);
      traffic("cache_append", fmt::format("cache_append, {}", name),
              static_cast<double>(2 * rows.bytes() + memory.bytes()), [=, type = type, &c = context_] {
                ops::KeyValueView view;
                view.blocks = blocks;
                view.v_offset = plane;
                view.type = type;
                view.block_tokens = block_tokens;
                view.token_stride = row;
                view.head_stride = block_tokens * row;
                view.length = kRows;
                const ops::AttentionSequence all{0, kRows, view};
                ops::cache_append(c, rows, rows, std::span(&all, 1));
              });
    }
  }

  void rows() {
    Context& c = context_;
    const auto bytes = [](double tensors, const Tensor& x) {
      return tensors * static_cast<double>(x.bytes());
    };
    const Tensor vision = filled({kRows, test::kVisionWidth}), text = filled({kRows, test::kTextWidth}),
                 ones = filled({test::kTextWidth}), vision_ones = filled({test::kVisionWidth}),
                 mlp = filled({kRows, test::kVisionMlp}), gate = filled({kRows / 2, test::kTextMlp}),
                 heads = text.reshape({kRows, 12, 128}), angles = filled({kRows, 64}),
                 positions = filled({kRows, 1}), frequencies = filled({64}),
                 half = filled({kRows, test::kTextWidth}, DType::kBF16);
    std::vector<int64_t> order(static_cast<size_t>(kRows));
    std::iota(order.rbegin(), order.rend(), 0);
    traffic("layer_norm", "layer_norm, vision", bytes(2, vision),
            [=, &c] { ops::layer_norm(c, vision, vision_ones, vision_ones, 1e-6f); });
    traffic("rms_norm", "rms_norm, text", bytes(2, text), [=, &c] { ops::rms_norm(c, text, ones, 1e-6f); });
    traffic("rope", "rope, text", bytes(2, heads), [=, &c] { ops::rope(c, heads, angles, angles); });
    traffic("rotary_table", "rotary_table, text", bytes(2, angles),
            [=, &c] { ops::rotary_table(c, positions, frequencies, 1); });
    traffic("activation", "gelu_tanh, vision", bytes(2, mlp),
            [=, &c] { ops::activation(c, mlp, ops::Activation::kGeluTanh); });
    traffic("swiglu", "swiglu, text", bytes(3, gate), [=, &c] { ops::swiglu(c, gate, gate); });
    traffic("add", "add, text", bytes(3, text), [=, &c] { ops::add(c, text, text); });
    traffic("add_bias_residual", "add_bias_residual, text", bytes(3, text),
            [=, &c] { ops::add_bias_residual(c, text, ones, text); });
    traffic("bilinear_merge", "bilinear_merge, vision", bytes(1.25, vision),
            [=, &c] { ops::bilinear_merge(c, vision, 2); });
    traffic("embedding", "embedding, text", bytes(1.5, text), [=, &c] { ops::embedding(c, half, order); });
    traffic("gather_rows", "gather_rows, text", bytes(2, text),
            [=, &c] { ops::gather_rows(c, text, order); });
    traffic("scatter_rows", "scatter_rows, text", bytes(4, text),
            [=, &c] { ops::scatter_rows(c, text, order, text); });
    traffic("place_rows", "place_rows, text", bytes(3, text),
            [=, &c] { ops::place_rows(c, text, order, kRows); });
    traffic("concat_rows", "concat_rows, text", bytes(4, text), [=, &c] {
      ops::concat_rows(c, std::vector{text, text});
    });
    traffic("widened", "bf16 to f32", bytes(1.5, text), [=, &c] { ops::widened(c, half); });
    traffic("narrowed", "f32 to bf16", bytes(1.5, text), [=, &c] { ops::narrowed(c, text, DType::kBF16); });
  }

  void training() {
    Context& c = context_;
    const Tensor w = filled({kRows, 1024}), gradient = filled({kRows, 1024}),
                 m = Tensor::zeros({kRows, 1024}, DType::kF32), v = Tensor::zeros({kRows, 1024}, DType::kF32);
    const double bytes = static_cast<double>(w.bytes());
    traffic("adamw", "adamw, f32", 7 * bytes, [=, &c] { ops::adamw(c, w, gradient, m, v, {.rate = 1e-6}); });
    traffic("sum_of_squares", "sum_of_squares", bytes, [=, &c] { ops::sum_of_squares(c, gradient); });
    traffic("dropped", "dropout", 2 * bytes, [=, &c] { ops::dropped(c, w, {.rate = 0.1}, 0); });
  }

  std::vector<OpCase> all;

 private:
  Context& context_;
};

}  // namespace

std::vector<OpCase> op_cases(Context& context) {
  Cases cases(context);
  cases.linear_layers();
  cases.layers();
  cases.attention();
  if (context.compute() == Compute::kF32) {
    cases.rows();
    cases.cache();
    cases.training();
  }
  return std::move(cases.all);
}

}  // namespace vl3
