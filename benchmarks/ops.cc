// How fast the operations run at the sizes of the 2B model, beside what the machine can do:
//   benchmark_ops [threads]
// A line for each: the best of five, GFLOP/s or GB/s, and the share of the peak measured before it.

#include "ops/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "bench/bench.h"
#include "ops/cpu/kernels.h"
#include "tensor/quantized.h"
#include "tests/ops/model_shapes.h"

namespace {

using namespace vl3;

Tensor filled(Shape shape, DType dtype = DType::kF32) {
  Tensor tensor = Tensor::zeros(std::move(shape), dtype);
  uint32_t state = 1;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    if (dtype == DType::kF32)
      tensor.data<float>()[i] = value;
    else
      tensor.data<bf16>()[i].bits = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16);
  }
  return tensor;
}

class Report {
 public:
  explicit Report(Context& context) : context_(context) {
    fmt::print("path {}, {} threads, compute {}\n", context.kernels().name, context.threads().size(),
               context.compute() == Compute::kF32 ? "f32" : "auto");
  }

  // Products: operations, two a multiply-add, beside the peak of weights of this type.
  void products(const std::string& name, double operations, DType type, const std::function<void()>& work) {
    const MachinePeaks peaks = measure_peaks(context_);
    double peak = peaks.f32_gflops;
    if (context_.compute() == Compute::kAuto) {
      if (is_quantized(type)) peak = peaks.int8_gflops.value_or(peak);
      if (type == DType::kBF16) peak = peaks.bf16_gflops.value_or(peak);
    }
    line(name, operations, "GFLOP/s", peak, work);
  }
  // Everything else: bytes that have to be read and written.
  void traffic(const std::string& name, double bytes, const std::function<void()>& work) {
    line(name, bytes, "GB/s", measure_peaks(context_).read_gbs, work);
  }

 private:
  void line(const std::string& name, double amount, const char* unit, double peak,
            const std::function<void()>& work) {
    double best = 1e30;
    for (int i = 0; i < 5; ++i) {
      const double start = now_s();
      work();
      best = std::min(best, now_s() - start);
    }
    const double rate = amount / best * 1e-9;
    fmt::print("  {:52} {:9.3f} ms  {:8.1f} {:7}  {:4.0f} %\n", name, best * 1e3, rate, unit,
               100 * rate / peak);
    std::fflush(stdout);
  }

  Context& context_;
};

void linear_layers(Context& context, Report& report) {
  std::vector<DType> types = {DType::kBF16};
  if (context.compute() == Compute::kAuto) types.insert(types.end(), {DType::kInt8, DType::kInt4});
  for (const test::LinearShape& shape : test::kLinearShapes) {
    const Tensor bf16 = filled({shape.n, shape.k}, DType::kBF16);
    for (const DType type : types) {
      const Tensor w = is_quantized(type) ? quantized(context.threads(), bf16, type) : bf16;
      for (const int64_t m : {1, 4, 16, 256, 1024}) {
        const Tensor x = filled({m, shape.k});
        const std::string name =
            fmt::format("{} {} x {}, {}, {} rows", shape.where, shape.n, shape.k, to_string(type), m);
        const auto work = [&] { ops::linear(context, x, w); };
        if (m == 1)
          report.traffic(name, static_cast<double>(w.bytes()), work);
        else
          report.products(name, 2.0 * static_cast<double>(m * shape.n * shape.k), type, work);
      }
    }
  }
}

void attention(Context& context, Report& report) {
  for (const test::AttentionShape& s : test::kAttentionShapes) {
    const Tensor q = filled({s.rows, s.heads, s.width}), k = filled({s.keys, s.kv_heads, s.width}),
                 v = filled({s.keys, s.kv_heads, s.width});
    const std::vector<int64_t> queries = {0, s.rows}, keys = {0, s.keys};
    const auto work = [&] {
      ops::attention(context, q, k, v, queries, keys, 0.1f, s.causal, ops::Products::kBF16);
    };
    const std::string name = fmt::format("attention, {}", s.where);
    const double pairs = static_cast<double>(s.rows * s.keys) * (s.causal && s.rows == s.keys ? 0.5 : 1);
    if (s.rows == 1)
      report.traffic(name, static_cast<double>(k.bytes() + v.bytes()), work);
    else
      report.products(name, 4 * pairs * static_cast<double>(s.heads * s.width),
                      s.rows > ops::kFewAttentionRows ? DType::kBF16 : DType::kF32, work);
  }
}

void rows(Context& context, Report& report) {
  constexpr int64_t kRows = 4096;  // beyond the caches
  const auto bytes = [](int64_t tensors, const Tensor& x) {
    return static_cast<double>(tensors) * static_cast<double>(x.bytes());
  };
  const Tensor vision = filled({kRows, test::kVisionWidth}), text = filled({kRows, test::kTextWidth}),
               ones = filled({test::kTextWidth}), vision_ones = filled({test::kVisionWidth}),
               mlp = filled({kRows, test::kVisionMlp}), gate = filled({kRows / 2, test::kTextMlp}),
               heads = text.reshape({kRows, 12, 128}), angles = filled({kRows, 64});
  report.traffic("layer_norm, vision", bytes(2, vision),
                 [&] { ops::layer_norm(context, vision, vision_ones, vision_ones, 1e-6f); });
  report.traffic("rms_norm, text", bytes(2, text), [&] { ops::rms_norm(context, text, ones, 1e-6f); });
  report.traffic("rope, text", bytes(2, heads), [&] { ops::rope(context, heads, angles, angles); });
  report.traffic("gelu_tanh, vision", bytes(2, mlp),
                 [&] { ops::activation(context, mlp, ops::Activation::kGeluTanh); });
  report.traffic("swiglu, text", bytes(3, gate), [&] { ops::swiglu(context, gate, gate); });
  report.traffic("add, text", bytes(3, text), [&] { ops::add(context, text, text); });
  report.traffic("bilinear_merge, vision", 1.25 * bytes(1, vision),
                 [&] { ops::bilinear_merge(context, vision, 2); });
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(ContextOptions{.num_threads = threads, .compute = compute});
    Report report(context);
    linear_layers(context, report);
    attention(context, report);
    if (compute == Compute::kF32) rows(context, report);
  }
}
