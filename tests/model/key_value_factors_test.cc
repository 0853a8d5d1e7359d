// What an int8 cache costs a trained model, and that channels which are large in keys and small in queries
// (or in values and what reads them) do not change it.

#include "model/key_value_factors.h"

#include <cmath>
#include <cstring>

#include "model/kv_cache.h"
#include "model/model_parts.h"
#include "ops/convert.h"
#include "ops/cpu/matmul.h"
#include "runtime/context_parts.h"
#include "support/support.h"
#include "vl3/model.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

using namespace test;

Context& context() {
  static Context one(ContextOptions{.num_threads = 1, .compute = Compute::kF32});
  return one;
}

const ForConditionalGeneration& demo() {
  static const auto model = ForConditionalGeneration::from_pretrained(data_path("../../models/demo"));
  return model;
}

void scale_row(const Tensor& weight, int64_t row, float factor) {
  const int64_t width = weight.numel() / weight.dim(0);
  for (int64_t i = row * width; i < (row + 1) * width; ++i) weight.mutable_data<float>()[i] *= factor;
}

// A linear layer of its own, in f32.
LinearWeights copied(const LinearWeights& layer) {
  LinearWeights copy = layer;
  copy.weight = ops::widened(context(), layer.weight).clone();
  if (layer.bias.defined()) copy.bias = ops::widened(context(), layer.bias).clone();
  return copy;
}

// The demo model with projections of attention in f32: keys of every seventh rotary pair times c, its queries
// divided by c; values of every fifth channel likewise, and what o_proj reads of them. The function is the
// same.
ForConditionalGeneration with_outliers(float c) {
  const TextConfig& config = demo().config().text;
  const int64_t width = config.head_dim, half = width / 2;
  const int64_t group = config.num_attention_heads / config.num_key_value_heads;
  auto weights = std::make_shared<ModelWeights>(weights_of(demo()));
  int64_t drawn = 0;
  for (TextLayerWeights& l : weights->text.layers) {
    for (LinearWeights* w : {&l.q_proj, &l.k_proj, &l.v_proj, &l.o_proj}) *w = copied(*w);
    const auto scale = [](const LinearWeights& layer, int64_t row, float factor) {
      scale_row(layer.weight, row, factor);
      if (layer.bias.defined()) scale_row(layer.bias, row, factor);
    };
    for (int64_t i = 0; i < config.num_key_value_heads * width; ++i, ++drawn) {
      const int64_t head = i / width, d = i % width;
      for (const int64_t channel : {d, d + half}) {
        if (d >= half || drawn % 7 != 3) continue;
        scale(l.k_proj, head * width + channel, c);
        for (int64_t h = head * group; h < (head + 1) * group; ++h)
          scale(l.q_proj, h * width + channel, 1 / c);
      }
      if (drawn % 5 != 1) continue;
      scale(l.v_proj, i, c);
      for (int64_t h = head * group; h < (head + 1) * group; ++h) {
        for (int64_t n = 0; n < l.o_proj.weight.dim(0); ++n)
          l.o_proj.weight.mutable_data<float>()[n * l.o_proj.weight.dim(1) + h * width + d] /= c;
      }
    }
  }
  return model_of(demo().config(), std::move(weights));
}

// Logits of ids [T, vocabulary]: the first forty at once, the rest token by token.
Tensor logits(const ForConditionalGeneration& model, CacheType type, const std::vector<int64_t>& ids) {
  PastKeyValues past;
  caches_of(past).add(new_cache(model, context(), type));
  const int64_t length = static_cast<int64_t>(ids.size());
  Tensor all = Tensor::empty({length, model.config().text.vocab_size}, DType::kF32);
  for (int64_t begin = 0, end = 40; begin < length; begin = end++) {
    ForwardInput input;
    input.input_ids = Tensor::from<int64_t>(
        {1, end - begin},
        std::span(ids).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    input.past = &past;
    const Tensor some = model.forward(context(), input).logits;
    std::memcpy(all.rows(begin, end).mutable_raw(), some.raw(), some.bytes());
  }
  return all;
}

// Ids of plain tokens, none of them special.
std::vector<int64_t> some_ids() {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 60; ++i) ids.push_back(20 + i * 37 % 90);
  return ids;
}

double mean_divergence(const Tensor& a, const Tensor& b) {
  const int64_t width = a.dim(1);
  const auto log_sum = [&](const float* row) {
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(row[i]));
    return std::log(sum);
  };
  double total = 0;
  for (int64_t r = 0; r < a.dim(0); ++r) {
    const float *p = a.data<float>() + r * width, *q = b.data<float>() + r * width;
    const double p_sum = log_sum(p), q_sum = log_sum(q);
    for (int64_t i = 0; i < width; ++i) total += std::exp(p[i] - p_sum) * (p[i] - p_sum - (q[i] - q_sum));
  }
  return total / static_cast<double>(a.dim(0));
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

TEST(KeyValueFactors, OutliersChangeNoBitOfAnInt8Cache) {
  const Tensor plain = logits(with_outliers(1), CacheType::kInt8, some_ids());
  for (const float c : {64.0f, 4.0f, 1.0f / 16}) {
    EXPECT_TRUE(same_bits(logits(with_outliers(c), CacheType::kInt8, some_ids()), plain)) << c;
  }
}

TEST(KeyValueFactors, AnInt8CacheKeepsTheAnswersWithOutliersOfAnySize) {
  const double plain = mean_divergence(logits(demo(), CacheType::kF32, some_ids()),
                                       logits(demo(), CacheType::kInt8, some_ids()));
  std::printf("int8 cache: KL %.6f nats\n", plain);
  EXPECT_LT(plain, 0.001);
  for (const float c : {3.0f, 16.0f, 50.0f, 64.0f}) {
    const auto model = with_outliers(c);
    const double kl = mean_divergence(logits(model, CacheType::kF32, some_ids()),
                                      logits(model, CacheType::kInt8, some_ids()));
    std::printf("outliers of %g: %.6f\n", c, kl);
    EXPECT_LT(kl, 2 * plain) << c;
  }
}

TEST(KeyValueFactors, AreTheSameForEveryTypeOfWeightAndAnyThreads) {
  const TextConfig& config = demo().config().text;
  const auto wide = with_outliers(1);
  Context one(ContextOptions{.num_threads = 3, .compute = Compute::kF32, .cpu = "baseline"});
  KeyValueFactors stored, copied;
  const auto a = stored.get(context(), weights_of(demo()).text, config);
  const auto b = copied.get(one, weights_of(wide).text, config);
  ASSERT_EQ(a->size(), weights_of(demo()).text.layers.size());
  EXPECT_EQ(stored.get(one, weights_of(demo()).text, config), a) << "found once";
  for (size_t i = 0; i < a->size(); ++i) {
    EXPECT_TRUE(same_bits((*a)[i].keys, (*b)[i].keys));
    EXPECT_TRUE(same_bits((*a)[i].values, (*b)[i].values));
  }
}

Tensor floats(const std::vector<float>& values) {
  return Tensor::from<float>({static_cast<int64_t>(values.size())}, values);
}

// One head of four channels, weights [rows, 4].
TextLayerWeights tiny(std::vector<float> k, std::vector<float> q) {
  const auto diagonal = [](const std::vector<float>& values) {
    Tensor w = Tensor::zeros({4, 4}, DType::kF32);
    for (size_t i = 0; i < 4; ++i) w.mutable_data<float>()[i * 5] = values[i];
    return LinearWeights{w, {}, {}};
  };
  TextLayerWeights l;
  l.input_layernorm = floats({1, 1, 1, 1});
  l.k_proj = l.v_proj = diagonal(k);
  l.q_proj = l.o_proj = diagonal(q);
  return l;
}

TEST(KeyValueFactors, ComeFromWeightsNormsAndBiasesAndAreAlwaysUsable) {
  TextConfig config = demo().config().text;
  config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 4;
  const auto keys = [&](const TextLayerWeights& l) {
    const LayerFactors f = layer_factors(kernels_of(context()), l, config);
    return std::vector<float>(f.keys.data<float>(), f.keys.data<float>() + 4);
  };
  const auto values = [&](const TextLayerWeights& l) {
    const LayerFactors f = layer_factors(kernels_of(context()), l, config);
    return std::vector<float>(f.values.data<float>(), f.values.data<float>() + 4);
  };
  using Four = std::vector<float>;
  EXPECT_EQ(keys(tiny({16, 1, 16, 1}, {1, 1, 1, 1})), (Four{4, 1, 4, 1}));
  EXPECT_EQ(values(tiny({16, 1, 4, 64}, {1, 1, 1, 4})), (Four{4, 1, 2, 4}));
  TextLayerWeights l = tiny({1, 1, 1, 1}, {1, 1, 1, 1});
  l.k_proj.bias = floats({0, 256, 0, 256});  // as Qwen2.5's keys have
  EXPECT_EQ(keys(l), (Four{1, 16, 1, 16}));
  l = tiny({1, 1, 1, 1}, {1, 1, 1, 1});
  l.input_layernorm = floats({1024, 1, 1, 1});  // a channel that values are large in
  EXPECT_EQ(values(l), (Four{32, 1, 1, 1}));
  // Nobody reads the first pair; nothing is in it; neither; numbers that are not finite.
  EXPECT_EQ(keys(tiny({1, 1, 1, 1}, {0, 1, 0, 1})), (Four{4096, 1, 4096, 1}));
  EXPECT_EQ(keys(tiny({0, 1, 0, 1}, {1, 1, 1, 1})), (Four{1, 1, 1, 1}));
  EXPECT_EQ(keys(tiny({0, 0, 0, 0}, {0, 0, 0, 0})), (Four{1, 1, 1, 1}));
  for (const float bad : {NAN, INFINITY}) {
    for (const float f : keys(tiny({bad, 1, 1, 1}, {1, bad, 1, 1}))) EXPECT_TRUE(std::isfinite(f) && f > 0);
  }
}

}  // namespace
}  // namespace vl3
