// What calibration sees of a model's inputs, and that it changes nothing.

#include <gtest/gtest.h>

#include "model/parameters.h"
#include "support/support.h"
#include "tensor/quantized.h"
#include "vl3/context.h"
#include "vl3/model.h"
#include "vl3/quantize.h"

namespace vl3 {
namespace {

TEST(Calibrate, EveryLayerThatRanIsSeenWithItsInputs) {
  const auto model = ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  Context context(
      ContextOptions{.num_threads = 2, .compute = Compute::kF32, .cache = {}, .cpu = {}, .log = {}});
  const std::vector<int64_t> ids = {5, 9, 2, 7, 7, 1};
  ForwardInput input;
  input.input_ids = Tensor::from<int64_t>({1, 6}, ids);
  const Tensor plain = model.forward(context, input).logits;
  Tensor last, observed;  // what the head reads
  Probe probe;
  probe.stage = [&](const std::string& name, const Tensor& value) {
    if (name.find("text.norm") != std::string::npos) last = value.clone();
  };
  input.probe = &probe;
  const Calibration seen =
      calibrate(context, model, [&] { observed = model.forward(context, input).logits; });
  EXPECT_EQ(std::memcmp(plain.raw(), observed.raw(), plain.bytes()), 0);
  EXPECT_FALSE(static_cast<bool>(context.observer()));

  const std::string layer = "model.language_model.layers.0.";
  for (const char* name : {"self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"})
    ASSERT_TRUE(seen.contains(layer + name + ".weight")) << name;
  EXPECT_EQ(seen.at(layer + "mlp.gate_proj.weight"), seen.at(layer + "mlp.up_proj.weight"));
  EXPECT_EQ(seen.at(layer + "self_attn.q_proj.weight"), seen.at(layer + "self_attn.v_proj.weight"));
  EXPECT_FALSE(seen.contains("model.projector.readout.0.weight"));  // no picture went through it

  const std::string head =
      model.config().tie_word_embeddings ? "model.language_model.embed_tokens.weight" : "lm_head.weight";
  const InputMoments& moments = *seen.at(head);
  const int64_t k = last.dim(1);
  ASSERT_EQ(moments.k, k);
  EXPECT_EQ(moments.rows, 6);
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = i / kQuantGroup * kQuantGroup; j < std::min(k, (i / kQuantGroup + 1) * kQuantGroup);
         ++j) {
      double sum = 0;
      for (int64_t t = 0; t < 6; ++t)
        sum += static_cast<double>(last.data<float>()[t * k + i]) * last.data<float>()[t * k + j];
      EXPECT_NEAR(moments.products[static_cast<size_t>(i * kQuantGroup + j % kQuantGroup)], sum,
                  1e-4 * (1 + std::abs(sum)));
    }
  }
}

}  // namespace
}  // namespace vl3
