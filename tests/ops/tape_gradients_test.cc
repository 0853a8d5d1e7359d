// Gradients of every operation against central differences of the oracles in double.

#include "autograd/tape.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;
using Ids = std::vector<int64_t>;

// y = forward(inputs) by the operations; the same by the oracles.
using Forward = std::function<Tensor(Context&, const std::vector<Tensor>&)>;
using Oracle = std::function<Values(const std::vector<Values>&)>;

// loss = c · y for a fixed random c; gradients of all inputs, and of those chosen alone.
class TapeGradients : public EveryPath {
 protected:
  void check(const std::vector<Tensor>& inputs, const Forward& forward, const Oracle& oracle) {
    Context context(options());
    Random random(77);
    std::vector<Tensor> wanted;
    {
      const Tensor y = forward(context, inputs);
      weights_ = random.tensor({1, y.numel()});
    }
    // Everything at once, then one input at a time with the others held.
    for (size_t only = 0; only <= inputs.size(); ++only) {
      Tape tape;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (only == 0 || only == i + 1) tape.watch(inputs[i]);
      }
      set_tape(context, &tape);
      const Tensor y = forward(context, inputs);
      const Tensor loss = ops::linear(context, y.reshape({1, -1}), weights_);
      tape.backward(context, loss.reshape({1}));
      set_tape(context, nullptr);
      for (size_t i = 0; i < inputs.size(); ++i) {
        const Tensor gradient = tape.gradient(inputs[i]);
        ASSERT_EQ(gradient.defined(), only == 0 || only == i + 1) << i;
        if (!gradient.defined()) continue;
        ASSERT_EQ(gradient.numel(), inputs[i].numel());
        if (only == 0) compare(inputs, i, gradient, oracle);
        if (only == 0)
          wanted.push_back(gradient);
        else
          EXPECT_TRUE(same_bits(gradient, wanted[i])) << "input " << i << " alone";
      }
    }
  }

 private:
  double loss_of(const std::vector<Values>& inputs, const Oracle& oracle) const {
    const Values y = oracle(inputs), c = values(weights_);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += c[i] * y[i];
    return sum;
  }

  void compare(const std::vector<Tensor>& inputs, size_t which, const Tensor& gradient,
               const Oracle& oracle) {
    std::vector<Values> numbers;
    for (const Tensor& input : inputs) numbers.push_back(values(input));
    const Values found = values(gradient);
    double largest = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      constexpr double kStep = 1e-5;  // the error of the difference is about kStep², 1e-10
      double& x = numbers[which][i];
      const double middle = x;
      x = middle + kStep;
      const double above = loss_of(numbers, oracle);
      x = middle - kStep;
      const double below = loss_of(numbers, oracle);
      x = middle;
      const double expected = (above - below) / (2 * kStep);
      const double error = std::abs(found[i] - expected) / std::max(1.0, std::abs(expected));
      if (!(error <= largest)) largest = std::isnan(error) ? INFINITY : error;
    }
    EXPECT_LE(largest, documented("gradients")) << "input " << which;
    worst_ = std::max(worst_, largest);
    checked_ += static_cast<int64_t>(found.size());
  }

  void TearDown() override {
    if (checked_ > 0)
      printf("%lld derivatives, largest error %.3g\n", static_cast<long long>(checked_), worst_);
  }
  Tensor weights_;
  double worst_ = 0;
  int64_t checked_ = 0;
};
VL3_EVERY_PATH(TapeGradients);

TEST_P(TapeGradients, LinearWithEveryEpilogue) {
  for (const ops::Activation kind :
       {ops::Activation::kNone, ops::Activation::kGeluTanh, ops::Activation::kGelu, ops::Activation::kSilu}) {
    for (const int64_t rows : {1, 5, 11}) {
      Random random(static_cast<uint64_t>(rows));
      const int64_t k = 7, n = 5;
      const std::vector<Tensor> inputs = {random.tensor({rows, k}), random.tensor({n, k}), random.tensor({n}),
                                          random.tensor({rows, n})};
      check(
          inputs,
          [=](Context& context, const std::vector<Tensor>& in) {
            return ops::linear(context, in[0], in[1], in[2], {kind, &in[3]});
          },
          [=](const std::vector<Values>& in) {
            return reference::add(reference::activation(reference::linear(in[0], k, in[1], in[2]), kind),
                                  in[3]);
          });
      check(
          {inputs[0], inputs[1]},
          [](Context& context, const std::vector<Tensor>& in) { return ops::linear(context, in[0], in[1]); },
          [=](const std::vector<Values>& in) { return reference::linear(in[0], k, in[1], {}); });
    }
  }
}

TEST_P(TapeGradients, Elementwise) {
  Random random(3);
  const Tensor a = random.tensor({5, 9}, DType::kF32, 3), b = random.tensor({5, 9}, DType::kF32, 3);
  for (const ops::Activation kind :
       {ops::Activation::kGeluTanh, ops::Activation::kGelu, ops::Activation::kSilu}) {
    check(
        {a}, [=](Context& c, const auto& in) { return ops::activation(c, in[0], kind); },
        [=](const auto& in) { return reference::activation(in[0], kind); });
  }
  check(
      {a, b}, [](Context& c, const auto& in) { return ops::swiglu(c, in[0], in[1]); },
      [](const auto& in) { return reference::swiglu(in[0], in[1]); });
  check(
      {a, b}, [](Context& c, const auto& in) { return ops::add(c, in[0], in[1]); },
      [](const auto& in) { return reference::add(in[0], in[1]); });
  check(
      {a}, [](Context& c, const auto& in) { return ops::add(c, in[0], in[0]); },
      [](const auto& in) { return reference::add(in[0], in[0]); });
}

TEST_P(TapeGradients, Norms) {
  Random random(4);
  for (const int64_t width : {2, 7, 33}) {
    const std::vector<Tensor> in3 = {random.tensor({4, width}, DType::kF32, 2), random.tensor({width}),
                                     random.tensor({width})};
    check(
        in3, [](Context& c, const auto& in) { return ops::layer_norm(c, in[0], in[1], in[2], 0.25f); },
        [](const auto& in) { return reference::layer_norm(in[0], in[1], in[2], 0.25); });
    check(
        {in3[0], in3[1]}, [](Context& c, const auto& in) { return ops::rms_norm(c, in[0], in[1], 0.25f); },
        [](const auto& in) { return reference::rms_norm(in[0], in[1], 0.25); });
  }
}

TEST_P(TapeGradients, Rope) {
  Random random(5);
  const Tensor x = random.tensor({5, 3, 12}), cos = random.tensor({5, 6}), sin = random.tensor({5, 6});
  check(
      {x}, [=](Context& c, const auto& in) { return ops::rope(c, in[0], cos, sin); },
      [=](const auto& in) { return reference::rope(in[0], 3, 12, values(cos), values(sin)); });
}

TEST_P(TapeGradients, Attention) {
  for (const bool causal : {false, true}) {
    for (const int64_t group : {1, 2, 6}) {
      Random random(6);
      const int64_t kv_heads = 2, width = 4, heads = kv_heads * group;
      const Ids bq = {0, 3, 3, 4, 13}, bk = {0, 5, 5, 6, 17};  // the second sequence is empty
      check(
          {random.tensor({13, heads, width}, DType::kF32, 2),
           random.tensor({17, kv_heads, width}, DType::kF32, 2), random.tensor({17, kv_heads, width})},
          [=](Context& c, const auto& in) {
            return ops::attention(c, in[0], in[1], in[2], bq, bk, 0.5f, causal);
          },
          [=](const auto& in) {
            return reference::attention(in[0], in[1], in[2], bq, bk, {heads, kv_heads, width, 0.5, causal});
          });
    }
  }
}

// More rows and keys than go back together, and than a tile has columns.
TEST_P(TapeGradients, AttentionInBlocks) {
  Random random(16);
  const Ids bq = {0, 51, 53}, bk = {0, 70, 75};
  for (const bool causal : {false, true}) {
    check(
        {random.tensor({53, 2, 4}, DType::kF32, 2), random.tensor({75, 1, 4}, DType::kF32, 2),
         random.tensor({75, 1, 4})},
        [=](Context& c, const auto& in) {
          return ops::attention(c, in[0], in[1], in[2], bq, bk, 0.5f, causal);
        },
        [=](const auto& in) {
          return reference::attention(in[0], in[1], in[2], bq, bk, {2, 1, 4, 0.5, causal});
        });
  }
}

TEST_P(TapeGradients, RowsThatMove) {
  Random random(7);
  const Tensor x = random.tensor({6, 5}), y = random.tensor({3, 5});
  const Ids repeated = {5, 0, 0, 0, 2}, distinct = {4, 0, 2};
  check(
      {x}, [=](Context& c, const auto& in) { return ops::embedding(c, in[0], repeated); },
      [=](const auto& in) { return reference::gather_rows(in[0], 5, repeated); });
  check(
      {x}, [=](Context& c, const auto& in) { return ops::gather_rows(c, in[0], repeated); },
      [=](const auto& in) { return reference::gather_rows(in[0], 5, repeated); });
  check(
      {x, y}, [=](Context& c, const auto& in) { return ops::scatter_rows(c, in[0], distinct, in[1]); },
      [=](const auto& in) { return reference::scatter_rows(in[0], 5, distinct, in[1]); });
  check(
      {y}, [=](Context& c, const auto& in) { return ops::place_rows(c, in[0], distinct, 8); },
      [=](const auto& in) { return reference::place_rows(in[0], 5, distinct, 8); });
  check(
      {x, y},
      [](Context& c, const auto& in) {
        return ops::concat_rows(c, std::vector<Tensor>{in[1], in[0], in[1]});
      },
      [](const auto& in) {
        Values all = in[1];
        all.insert(all.end(), in[0].begin(), in[0].end());
        all.insert(all.end(), in[1].begin(), in[1].end());
        return all;
      });
  for (const int64_t merge : {1, 2, 3, 4}) {
    check(
        {random.tensor({6 * merge * merge, 3})},
        [=](Context& c, const auto& in) { return ops::bilinear_merge(c, in[0], merge); },
        [=](const auto& in) { return reference::bilinear_merge(in[0], 2 * merge, 3 * merge, merge, 3); });
  }
}

TEST_P(TapeGradients, CrossEntropyWithIgnoredLabels) {
  Random random(8);
  const Ids targets = {3, -100, 0, 8, -100};
  check(
      {random.tensor({5, 4}, DType::kF32, 3), random.tensor({9, 4})},
      [=](Context& c, const auto& in) { return ops::linear_cross_entropy(c, in[0], in[1], targets); },
      [=](const auto& in) {
        return Values{reference::cross_entropy(reference::linear(in[0], 4, in[1], {}), 9, targets)};
      });
}

// A whole small network: a tied embedding used at both ends, reshapes, two residuals.
TEST_P(TapeGradients, ATiedNetwork) {
  Random random(9);
  const Ids ids = {3, 1, 3, 0, 2}, targets = {1, 3, -100, 2, 2}, borders = {0, 5};
  check(
      {random.tensor({6, 8}), random.tensor({8}), random.tensor({8, 8})},
      [=](Context& c, const auto& in) {
        const Tensor x = ops::embedding(c, in[0], ids), h = ops::rms_norm(c, x, in[1], 0.25f);
        const Tensor q = ops::linear(c, h, in[2]).reshape({5, 2, 4}), k = h.reshape({5, 2, 4});
        const Tensor a = ops::attention(c, q, k, k, borders, borders, 0.5f, true).reshape({5, 8});
        const Tensor y = ops::linear(c, a, in[2], {}, {ops::Activation::kSilu, &x});
        return ops::linear_cross_entropy(c, ops::add(c, y, x), in[0], targets);
      },
      [=](const auto& in) {
        const Values x = reference::gather_rows(in[0], 8, ids), h = reference::rms_norm(x, in[1], 0.25);
        const Values q = reference::linear(h, 8, in[2], {});
        const Values a = reference::attention(q, h, h, borders, borders, {2, 2, 4, 0.5, true});
        const Values y = reference::add(
            reference::activation(reference::linear(a, 8, in[2], {}), ops::Activation::kSilu), x);
        return Values{
            reference::cross_entropy(reference::linear(reference::add(y, x), 8, in[0], {}), 6, targets)};
      });
}

}  // namespace
}  // namespace vl3
