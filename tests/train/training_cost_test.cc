// Operations of a step, counted by hand on a model whose sizes are known.

#include "model/cost.h"
#include "train/data/batches.h"
#include "train/train_support.h"

namespace vl3 {
namespace {

// Two sequences of text, of 5 and 3 tokens, with 4 and 1 labels that count.
ForwardInput text_input() {
  ForwardInput input;
  input.input_ids = Tensor::from<int64_t>({2, 5}, std::vector<int64_t>{1, 2, 3, 4, 5, 1, 2, 3, 0, 0});
  input.attention_mask = Tensor::from<int64_t>({2, 5}, std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 0, 0});
  input.labels =
      Tensor::from<int64_t>({2, 5}, std::vector<int64_t>{-100, 2, 3, 4, 5, -100, -100, 3, -100, -100});
  return input;
}

TEST(TrainingCost, TextIsCountedByHand) {
  const auto model = ForConditionalGeneration::from_pretrained(test::small_model());
  const TextConfig& t = model.config().text;
  const int64_t h = t.hidden_size, q = t.num_attention_heads * t.head_dim,
                k = t.num_key_value_heads * t.head_dim;
  const int64_t layer = 2 * h * q + 2 * h * k + 3 * h * t.intermediate_size;
  const double products = static_cast<double>(8 * t.num_hidden_layers * layer);
  const double attention = static_cast<double>(t.num_hidden_layers * q * (5 * 5 + 3 * 3));  // half of 2 · T²
  const double head = static_cast<double>(5 * t.vocab_size * h);
  EXPECT_DOUBLE_EQ(training_flops(model, text_input(), {false, false, true}),
                   6 * (products + attention + head));
  // Nothing before the language model trains on text: it only runs.
  EXPECT_DOUBLE_EQ(training_flops(model, text_input(), {true, true, false}),
                   2 * (products + attention + head));
}

TEST(TrainingCost, MoreThatTrainsIsMoreWork) {
  const auto model = ForConditionalGeneration::from_pretrained(test::small_model());
  TrainConfig config = test::config_of(test::small_settings("out"));
  const ForwardInput input = tensor_batches(config)->at(1).passes[0];
  const double nothing = training_flops(model, input, {}),
               llm = training_flops(model, input, {false, false, true}),
               stage1 = training_flops(model, input, {true, true, false}),
               all = training_flops(model, input, {true, true, true});
  EXPECT_LT(nothing, llm);
  EXPECT_LT(llm, all);
  EXPECT_LT(nothing, stage1);
  EXPECT_LT(stage1, all);
  EXPECT_LT(all, 3 * nothing);  // the patches' own gradient is not needed
  EXPECT_GT(all, 2.5 * nothing);
}

TEST(TrainingCost, EqualFramesAreWorkOnce) {
  const auto model = ForConditionalGeneration::from_pretrained(test::small_model());
  ForwardInput input = text_input();
  const int64_t patches = 4 * 4, width = model.config().vision.patch_width();
  input.pixel_values_videos = Tensor::zeros({2 * patches, width}, DType::kF32);
  input.video_grid_thw = Tensor::from<int64_t>({1, 3}, std::vector<int64_t>{2, 4, 4});
  input.video_merge_sizes = Tensor::from<int64_t>({1}, std::vector<int64_t>{2});
  const double equal = training_flops(model, input, {});
  input.pixel_values_videos.mutable_data<float>()[patches * width] = 1;
  const VisionConfig& v = model.config().vision;
  const double layer =
      static_cast<double>(4 * v.hidden_size * v.hidden_size + 2 * v.hidden_size * v.intermediate_size);
  const auto frame = static_cast<double>(patches), layers = static_cast<double>(v.num_hidden_layers);
  EXPECT_DOUBLE_EQ(training_flops(model, input, {}) - equal,
                   2 * frame * (static_cast<double>(width * v.hidden_size) + layers * layer) +
                       2 * layers * static_cast<double>(2 * v.hidden_size) * frame * frame);
}

}  // namespace
}  // namespace vl3
