// What is counted, against what runs and what is allocated.

#include "model/cost.h"

#include "model/kv_cache.h"
#include "support/support.h"

namespace vl3 {
namespace {

// Products that a context's linear layers do, two operations a multiply-add.
class Counter {
 public:
  explicit Counter(Context& context) : context_(context) {
    context.set_observer([this](std::span<const Tensor* const> weights, const Tensor& inputs) {
      for (const Tensor* weight : weights)
        flops_ += 2.0 * static_cast<double>(inputs.dim(0)) * static_cast<double>(weight->numel());
    });
  }
  ~Counter() { context_.set_observer(nullptr); }
  double flops() const { return flops_; }

 private:
  Context& context_;
  double flops_ = 0;
};

class Cost : public ::testing::Test {
 protected:
  const ForConditionalGeneration model_ =
      ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  const Config& config_ = model_.config();
  Context context_{ContextOptions{.num_threads = 1, .compute = Compute::kF32}};
};

TEST_F(Cost, ProductsOfTheEncoderAreThoseThatRun) {
  const std::vector<VisualShape> visuals = {{3, 8 * 8, 3 * 16}, {1, 4 * 12, 12}};
  const int64_t patches = 3 * 64 + 48;
  Tensor pixels = Tensor::zeros({patches, config_.vision.patch_width()}, DType::kF32);
  // Frames that differ, or they would be encoded once.
  for (int64_t i = 0; i < pixels.numel(); ++i)
    pixels.mutable_data<float>()[i] = static_cast<float>(i % 1009) / 1009.0f;
  double counted = 0;
  {
    const Counter counter(context_);
    model_.model().get_image_features(context_, pixels,
                                      Tensor::from<int64_t>({2, 3}, std::vector<int64_t>{3, 8, 8, 1, 4, 12}),
                                      Tensor::from<int64_t>({2}, std::vector<int64_t>{2, 2}));
    counted = counter.flops();
  }
  const VisionConfig& v = config_.vision;
  const double scores_and_sums =
      4.0 * static_cast<double>(v.num_hidden_layers * v.hidden_size * (3 * 64 * 64 + 48 * 48));
  EXPECT_DOUBLE_EQ(encode_flops(model_, visuals), counted + scores_and_sums);
}

TEST_F(Cost, ProductsOfPromptsAreThoseThatRunAndAttentionIsEachPromptsOwn) {
  const std::vector<int64_t> prompts = {7, 40, 23};
  double counted = 0, attention = 0;
  for (const int64_t tokens : prompts) {
    ForwardInput input;
    input.ids = {std::vector<int64_t>(static_cast<size_t>(tokens), 65)};
    input.logits_to_keep = 1;
    const Counter counter(context_);
    model_.forward(context_, input);
    counted += counter.flops();
    const TextConfig& t = config_.text;
    attention += 2.0 * static_cast<double>(t.num_hidden_layers * t.num_attention_heads * t.head_dim) *
                 static_cast<double>(tokens * tokens);
  }
  EXPECT_DOUBLE_EQ(prefill_flops(model_, prompts), counted + attention);
  EXPECT_DOUBLE_EQ(prefill_flops(model_, {7}) + prefill_flops(model_, {40}) + prefill_flops(model_, {23}),
                   prefill_flops(model_, prompts));
}

TEST_F(Cost, CachesHaveTheBytesThatAreCounted) {
  const TextConfig& t = config_.text;
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
    for (const int64_t tokens : {0, 1, 63, 64, 65, 200}) {
      KvCache cache({t.num_hidden_layers, t.num_key_value_heads, t.head_dim}, type);
      cache.reserve(tokens);
      EXPECT_EQ(cache_bytes(t, type, tokens), static_cast<int64_t>(cache.bytes())) << tokens;
    }
  }
  // Of each token and head a key and a value; int8 has a scale of 4 bytes beside it.
  const int64_t rows = 64 * 2 * t.num_hidden_layers * t.num_key_value_heads;
  EXPECT_EQ(cache_bytes(t, CacheType::kF32, 64), rows * 4 * t.head_dim);
  EXPECT_EQ(cache_bytes(t, CacheType::kF16, 64), rows * 2 * t.head_dim);
  EXPECT_EQ(cache_bytes(t, CacheType::kInt8, 64), rows * (t.head_dim + 4));
}

TEST_F(Cost, AnswersToOnePromptShareItsFullBlocks) {
  const TextConfig& t = config_.text;
  const int64_t block = cache_bytes(t, CacheType::kF16, 1);
  EXPECT_EQ(cache_bytes(t, CacheType::kF16, 130, 0, 1), 3 * block);
  EXPECT_EQ(cache_bytes(t, CacheType::kF16, 130, 20, 1), cache_bytes(t, CacheType::kF16, 150));
  EXPECT_EQ(cache_bytes(t, CacheType::kF16, 130, 20, 4), (2 + 4 * 1) * block);
  EXPECT_EQ(cache_bytes(t, CacheType::kF16, 128, 100, 3), (2 + 3 * 2) * block);
}

TEST_F(Cost, TheContextSaysHowCachesKeepTheirRows) {
  EXPECT_EQ(model_.cache_type(nullptr), CacheType::kF16);  // of bf16 weights
  EXPECT_EQ(model_.cache_type(&context_), CacheType::kF32);
  const Context eight{ContextOptions{.num_threads = 1, .cache = CacheType::kInt8}};
  EXPECT_EQ(model_.cache_type(&eight), CacheType::kInt8);
}

// docs/training.md has these formulas as a table.
TEST_F(Cost, MemoryOfTrainingIsWhatTheGuideSays) {
  const VisionConfig& v = config_.vision;
  const TextConfig& t = config_.text;
  const int64_t d = v.hidden_size, f = v.intermediate_size, h = t.hidden_size, g = t.intermediate_size,
                a = t.num_attention_heads * t.head_dim, k = t.num_key_value_heads * t.head_dim;
  const auto bytes = [&](const TrainingShape& training, int64_t patches, int64_t tokens) {
    return training_activation_bytes(config_, training, {patches, 0, tokens, 0});
  };
  // By the difference that a row more makes, but for what lies around the layers.
  const TrainingShape all{{true, true, true}, false, true}, llm{{false, false, true}, false, true};
  EXPECT_EQ(bytes(all, 101, 0) - bytes(all, 100, 0),
            4 * (v.num_hidden_layers * ((5 * d + f) + (3 * d + f)) + 3 * d));
  EXPECT_EQ(bytes(all, 0, 101) - bytes(all, 0, 100),
            4 * (t.num_hidden_layers * ((2 * h + a + 2 * k + 2 * g) + (2 * h + a + g)) + 5 * h));
  TrainingShape again = llm;
  again.recompute = true;
  EXPECT_EQ(bytes(again, 0, 101) - bytes(again, 0, 100),
            4 * (t.num_hidden_layers * h + (2 * h + a + 2 * k + 2 * g) + (2 * h + a + g) + 5 * h));
}

}  // namespace
}  // namespace vl3
