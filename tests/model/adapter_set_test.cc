// Sequences with adapters of their own in one step, against models that were opened with each alone.

#include "model/adapter_set.h"

#include <gtest/gtest.h>

#include <cstring>

#include "model/adapters.h"
#include "model/language_model.h"
#include "model/model_parts.h"
#include "ops/embedding.h"
#include "ops/rows.h"
#include "support/expect_failure.h"
#include "support/support.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

using namespace test;

std::filesystem::path tiny_path() { return data_path("../../models/tiny"); }
Adapter plain() { return Adapter::open(data_path("lora/plain"), Config::from_pretrained(tiny_path())); }

// Of another rank, on some layers only.
Adapter made(const Config& config, const std::vector<std::string>& targets, int64_t rank, uint32_t seed) {
  Adapter adapter;
  adapter.rank = rank;
  const auto tensor = [&](int64_t rows, int64_t columns) {
    std::vector<float> values;
    for (int64_t i = 0; i < rows * columns; ++i) {
      seed = seed * 1664525u + 1013904223u;
      values.push_back(static_cast<float>(seed >> 8) / 8388608.0f - 1.0f);
    }
    return Tensor::from<float>({rows, columns}, values);
  };
  for (const AdaptableLayer& layer : targeted_layers(config, targets))
    adapter.layers[layer.name] = {tensor(rank, layer.k), tensor(layer.n, rank)};
  return adapter;
}

struct Fixture {
  ForConditionalGeneration base = ForConditionalGeneration::from_pretrained(tiny_path());
  std::vector<Adapter> adapters = {plain(), made(base.config(), {"q_proj", "down_proj"}, 5, 1),
                                   made(base.config(), {"llm"}, 2, 2)};
  AdapterSet set{base.config(), {{"a", adapters[0]}, {"b", adapters[1]}, {"c", adapters[2]}}};

  // The model opened with one of them; -1: with none.
  ForConditionalGeneration alone(int64_t adapter) const {
    auto weights = std::make_shared<ModelWeights>(weights_of(base));
    if (adapter >= 0) attach(adapters[static_cast<size_t>(adapter)], base.config(), *weights);
    return model_of(base.config(), weights);
  }
};

struct Steps {
  std::vector<std::vector<int64_t>> counts;  // of every step, for every sequence
  std::vector<int64_t> adapter_of;
};

// Logits of every step, rows of all sequences one behind the other.
std::vector<Tensor> run(Context& context, const ForConditionalGeneration& model, const Steps& steps,
                        const AdapterSet* set, std::optional<size_t> only = {}) {
  const TextWeights& text = weights_of(model).text;
  const size_t sequences = steps.adapter_of.size();
  std::vector<KvCache> caches;
  for (size_t i = 0; i < sequences; ++i) caches.push_back(new_cache(model, context));
  std::vector<Tensor> results;
  for (const auto& counts : steps.counts) {
    PackedSequences packed;
    packed.cu_seqlens_q = {0};
    packed.adapters = set;
    std::vector<int64_t> ids;
    for (size_t i = 0; i < sequences; ++i) {
      if (only && *only != i) continue;
      for (int64_t t = 0; t < counts[i]; ++t) {
        packed.positions.push_back(caches[i].length() + t);
        ids.push_back(20 + (caches[i].length() + t) * 7 % 80 + static_cast<int64_t>(i));
      }
      packed.cu_seqlens_q.push_back(static_cast<int64_t>(ids.size()));
      packed.caches.push_back(&caches[i]);
      if (set != nullptr) packed.adapter_of.push_back(steps.adapter_of[i]);
    }
    packed.cu_seqlens_k = packed.cu_seqlens_q;
    const Tensor embeds = ops::embedding(context, text.embed_tokens, ids);
    results.push_back(run_head(
        context, text, run_language_model(context, text, model.config().text, embeds, packed, nullptr)));
  }
  return results;
}

bool same_rows(const Tensor& a, int64_t a_row, const Tensor& b, int64_t b_row, int64_t count) {
  const Tensor x = a.rows(a_row, a_row + count), y = b.rows(b_row, b_row + count);
  return std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
}

TEST(AdapterSet, RowsEqualThoseOfModelsWithOneAdapter) {
  const Fixture f;
  // Prefill of all, a step of few rows, one of many beside few, and single rows.
  const Steps steps{{{9, 3, 20, 1, 5, 7}, {1, 1, 1, 1, 1, 1}, {1, 1, 30, 1, 1, 1}, {2, 1, 1, 1, 4, 1}},
                    {0, 1, -1, 2, 0, 1}};
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    Context context(ContextOptions{.num_threads = 2, .compute = compute});
    const auto together = run(context, f.base, steps, &f.set);
    std::vector<std::vector<Tensor>> alone;
    for (int64_t adapter = -1; adapter < 3; ++adapter)
      alone.push_back(run(context, f.alone(adapter), steps, nullptr));
    for (size_t step = 0; step < steps.counts.size(); ++step) {
      int64_t row = 0;
      for (size_t i = 0; i < steps.adapter_of.size(); row += steps.counts[step][i++]) {
        for (int64_t adapter = -1; adapter < 3; ++adapter) {
          const Tensor& expected = alone[static_cast<size_t>(adapter + 1)][step];
          EXPECT_EQ(same_rows(together[step], row, expected, row, steps.counts[step][i]),
                    adapter == steps.adapter_of[i])
              << "step " << step << " sequence " << i << " adapter " << adapter;
        }
      }
    }
    // Each sequence on its own, in steps of its rows alone: the same where both are few rows, or both many.
    const Steps few{{{4, 3, 2, 1, 5, 1}, {1, 1, 1, 1, 1, 1}, {2, 1, 3, 1, 4, 1}}, steps.adapter_of};
    const auto batch = run(context, f.base, few, &f.set);
    for (size_t i = 0; i < few.adapter_of.size(); ++i) {
      const auto one = run(context, f.alone(few.adapter_of[i]), few, nullptr, i);
      for (size_t step = 0; step < few.counts.size(); ++step) {
        int64_t row = 0;
        for (size_t j = 0; j < i; ++j) row += few.counts[step][j];
        EXPECT_TRUE(same_rows(batch[step], row, one[step], 0, few.counts[step][i])) << step << " " << i;
      }
    }
  }
}

TEST(AdapterSet, HasNamesAndSizes) {
  const Fixture f;
  EXPECT_EQ(f.set.size(), 3);
  EXPECT_EQ(f.set.find("b"), 1);
  EXPECT_FALSE(f.set.find("d").has_value());
  EXPECT_EQ(f.set.name(2), "c");
  int64_t bytes = 0;
  for (const Adapter& adapter : f.adapters) {
    for (const auto& [name, layer] : adapter.layers)
      bytes += static_cast<int64_t>(layer.a.bytes() + layer.b.bytes());
  }
  EXPECT_EQ(f.set.bytes(), bytes);
  EXPECT_NE(f.set.layers(1)[0].q_proj.low_rank, nullptr);
  EXPECT_EQ(f.set.layers(1)[0].k_proj.low_rank, nullptr);
}

TEST(AdapterSet, WhatItCannotDoIsRefusedByName) {
  const Fixture f;
  const Config& config = f.base.config();
  const Adapter mixed = Adapter::open(data_path("lora/mixed"), config);
  expect_failure(ErrorCode::kUnsupported, {"[adapters]", "\"m\"", "model.projector.", "3 more", "merge"},
                 [&] {
                   AdapterSet(config, {{"m", mixed}});
                 });
  Adapter low_rank = mixed;
  low_rank.whole.clear();
  expect_failure(ErrorCode::kUnsupported, {"[adapters]", "\"m\"", "model.vision_model.", "vision_encoder"},
                 [&] {
                   AdapterSet(config, {{"m", low_rank}});
                 });
  expect_failure(ErrorCode::kInvalidArgument, {"\"a\"", "twice"}, [&] {
    AdapterSet(config, {{"a", f.adapters[0]}, {"a", f.adapters[1]}});
  });
  expect_failure(ErrorCode::kInvalidArgument, {"empty"}, [&] { AdapterSet(config, {{"", plain()}}); });
  Adapter foreign = plain();
  foreign.layers["model.language_model.layers.9.mlp.up_proj"] = foreign.layers.begin()->second;
  expect_failure(ErrorCode::kInvalidArgument, {"layers.9.mlp.up_proj"}, [&] {
    AdapterSet(config, {{"f", foreign}});
  });

  Context context(ContextOptions{.num_threads = 1});
  const auto step = [&](const ForConditionalGeneration& model, const AdapterSet* set,
                        std::vector<int64_t> adapter_of) {
    PackedSequences packed;
    packed.positions = {0, 1};
    packed.cu_seqlens_q = packed.cu_seqlens_k = {0, 1, 2};
    packed.adapters = set;
    packed.adapter_of = std::move(adapter_of);
    const Tensor embeds = Tensor::zeros({2, config.text.hidden_size}, DType::kF32);
    run_language_model(context, weights_of(model).text, config.text, embeds, packed, nullptr);
  };
  step(f.base, &f.set, {0, -1});
  expect_failure(ErrorCode::kInvalidArgument, {"adapter 3", "3"}, [&] { step(f.base, &f.set, {0, 3}); });
  expect_failure(ErrorCode::kInvalidArgument, {"adapter -2"}, [&] { step(f.base, &f.set, {-2, 0}); });
  expect_failure(ErrorCode::kInvalidArgument, {"1 indices", "2 sequences"},
                 [&] { step(f.base, &f.set, {0}); });
  expect_failure(ErrorCode::kInvalidArgument, {"without a set"}, [&] { step(f.base, nullptr, {0, 0}); });
  expect_failure(ErrorCode::kInvalidArgument, {"adapter"}, [&] { step(f.alone(2), &f.set, {0, 0}); });
}

// A step that finds no blocks computes nothing and changes nothing; so does one of which part fits.
TEST(LanguageModelOnAPool, AStepThatDoesNotFitChangesNothing) {
  const auto model = ForConditionalGeneration::from_pretrained(tiny_path());
  Context context(ContextOptions{.num_threads = 1, .compute = Compute::kF32});
  const auto block = new_pool(model, context)->block_bytes();
  const auto pool = new_pool(model, context, 3 * block);
  std::vector<KvCache> caches;
  for (int i = 0; i < 2; ++i) caches.push_back(new_cache(model, context, pool));
  const TextWeights& text = weights_of(model).text;
  const auto step = [&](std::vector<int64_t> counts) {
    PackedSequences packed;
    packed.cu_seqlens_q = {0};
    std::vector<int64_t> ids;
    for (size_t i = 0; i < counts.size(); ++i) {
      for (int64_t t = 0; t < counts[i]; ++t) {
        packed.positions.push_back(caches[i].length() + t);
        ids.push_back(20 + t % 50);
      }
      packed.cu_seqlens_q.push_back(static_cast<int64_t>(ids.size()));
      packed.caches.push_back(&caches[i]);
    }
    packed.cu_seqlens_k = packed.cu_seqlens_q;
    return run_language_model(context, text, model.config().text,
                              ops::embedding(context, text.embed_tokens, ids), packed, nullptr);
  };
  step({60, 60});
  EXPECT_EQ(pool->used_blocks(), 2);
  EXPECT_THROW(step({5, 5}), KvPoolFull);
  EXPECT_EQ(pool->used_blocks(), 2);
  EXPECT_EQ(caches[0].length(), 60);
  EXPECT_EQ(caches[1].length(), 60);
  const Tensor first = step({5, 1});
  caches.clear();
  EXPECT_EQ(pool->used_blocks(), 0);
  // The same without a budget.
  for (int i = 0; i < 2; ++i) caches.push_back(new_cache(model, context));
  step({60, 60});
  EXPECT_TRUE(same_rows(first, 0, step({5, 1}), 0, 6));
  EXPECT_THROW(new_cache(model, context, KvPool::create({1, 1, 4}, CacheType::kF32)), Error);
  EXPECT_THROW(new_cache(model, context, std::shared_ptr<KvPool>()), Error);
}

}  // namespace
}  // namespace vl3
