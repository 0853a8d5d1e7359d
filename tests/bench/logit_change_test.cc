// Comparisons of predictions and weights, beside the same figures made in the plainest way.

#include "bench/logit_change.h"

#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "bench/weight_change.h"
#include "bench_inputs.h"
#include "model/model_parts.h"
#include "model/parameters.h"
#include "tensor/quantized.h"
#include "vl3/quantize.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

using namespace test;

ForConditionalGeneration open(const std::filesystem::path& folder) {
  return ForConditionalGeneration::from_pretrained(folder);
}

// The tiny model and itself with int8 or int4 weights.
struct Pair {
  explicit Pair(DType to) {
    ThreadPool threads(2);
    quantize_checkpoint(threads, small_model("tiny"), folder / "out", {to, {}, {}, {}});
  }
  TemporaryFolder folder;
  ForConditionalGeneration model = open(small_model("tiny"));
  ForConditionalGeneration changed() const { return open(folder / "out"); }
};

struct Figures {
  double kl = 0, largest = 0, same = 0, loss = 0, changed_loss = 0;
  int64_t predictions = 0, targets = 0;
};

// log softmax of a row.
std::vector<double> log_shares(const Tensor& logits, int64_t row) {
  const int64_t width = logits.dim(2);
  const float* x = logits.data<float>() + row * width;
  double sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(x[i]));
  std::vector<double> result;
  for (int64_t i = 0; i < width; ++i) result.push_back(x[i] - std::log(sum));
  return result;
}

// Out of whole logits, row by row.
void add(Context& context, const ForConditionalGeneration& model, const ForConditionalGeneration& changed,
         const ForwardInput& input, Figures& figures) {
  const Tensor before = model.forward(context, input).logits, after = changed.forward(context, input).logits;
  const std::vector<int64_t>& ids = input.ids[0];
  for (size_t i = 0; i < ids.size(); ++i) {
    const bool last = i + 1 == ids.size();
    const int64_t next = last ? -1 : ids[i + 1];
    if (next >= 0 && (next == model.config().image_token_id || next == model.config().video_token_id))
      continue;
    const auto p = log_shares(before, static_cast<int64_t>(i)),
               q = log_shares(after, static_cast<int64_t>(i));
    double kl = 0;
    for (size_t k = 0; k < p.size(); ++k) kl += std::exp(p[k]) * (p[k] - q[k]);
    figures.kl += kl;
    figures.largest = std::max(figures.largest, kl);
    figures.same +=
        std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin()
            ? 1
            : 0;
    ++figures.predictions;
    if (last) continue;
    ++figures.targets;
    figures.loss -= p[static_cast<size_t>(next)];
    figures.changed_loss -= q[static_cast<size_t>(next)];
  }
}

// Text longer than what is in the layers at a time, text of one token, a picture and a clip.
std::vector<ForwardInput> all_kinds(Context& context, const Config& config) {
  return {text_input(some_ids(1100, config.text.vocab_size, 1)),
          text_input(some_ids(1, config.text.vocab_size, 2)), media_input(context, "tiny", "image"),
          media_input(context, "tiny", "video")};
}

TEST(LogitChange, EqualsWholeLogits) {
  Context context(ContextOptions{.num_threads = 1, .compute = Compute::kF32});
  for (const DType to : {DType::kInt8, DType::kInt4}) {
    const Pair pair(to);
    const auto changed = pair.changed();
    const auto inputs = all_kinds(context, pair.model.config());
    Figures expected;
    for (const ForwardInput& input : inputs) add(context, pair.model, changed, input, expected);
    std::vector<int64_t> told;
    const LogitChange got =
        compare_logits(context, {pair.model, Compute::kF32, {}}, {changed, Compute::kF32, {}},
                       prompts_of(inputs), [&](int64_t done, int64_t total) {
                         told.push_back(done);
                         EXPECT_EQ(total, 400);
                       });
    const double count = static_cast<double>(expected.predictions);
    EXPECT_EQ(got.predictions, expected.predictions);
    EXPECT_EQ(got.targets, expected.targets);
    EXPECT_NEAR(got.mean_kl, expected.kl / count, 1e-4 * expected.kl / count);
    EXPECT_NEAR(got.largest_kl, expected.largest, 1e-3 * expected.largest);
    EXPECT_NEAR(got.top1_agreement, expected.same / count, 1.5 / count);  // a tie may fall the other way
    const double targets = static_cast<double>(expected.targets);
    EXPECT_NEAR(got.perplexity, std::exp(expected.loss / targets), 1e-4 * got.perplexity);
    EXPECT_NEAR(got.changed_perplexity, std::exp(expected.changed_loss / targets), 1e-4 * got.perplexity);
    EXPECT_EQ(got.cache, CacheType::kF32);
    EXPECT_GT(got.mean_kl, 0);
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    EXPECT_EQ(told.back(), 400);
    ASSERT_EQ(got.stages.size(), static_cast<size_t>(pair.model.config().text.num_hidden_layers) + 2);
    EXPECT_EQ(got.stages[0].name, "projector.out");
    EXPECT_EQ(got.stages[1].name, "text.layer0");
    for (const StageChange& stage : got.stages) EXPECT_GT(stage.error, 0) << stage.name;
  }
}

// Of every matrix that text and a picture go through, and of one by hand: embeddings as the head's inputs.
TEST(LogitChange, ProductsAreOfEveryMatrixForTheSameInputs) {
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const auto products = [&](DType to, Compute compute) {
    const Pair pair(to);
    const auto changed = pair.changed();
    const auto inputs = all_kinds(context, pair.model.config());
    std::map<std::string, double> errors;
    double before = std::numeric_limits<double>::infinity();
    const LogitChange got =
        compare_logits(context, {pair.model, Compute::kF32, {}}, {changed, compute, {}}, prompts_of(inputs));
    for (const ProductChange& product : got.products) {
      EXPECT_LE(product.error, before);
      before = product.error;
      errors[product.name] = product.error;
    }
    return errors;
  };
  const auto int8 = products(DType::kInt8, Compute::kF32), int4 = products(DType::kInt4, Compute::kF32),
             rounded = products(DType::kInt8, Compute::kAuto);
  ASSERT_EQ(int8.size(), int4.size());
  int64_t text = 0, vision = 0;
  for (const auto& [name, error] : int8) {
    (name.find("vision") != std::string::npos ? vision : text) += 1;
    EXPECT_GT(error, 1e-4) << name;
    EXPECT_LT(error, 0.05) << name;
    EXPECT_GT(rounded.at(name), error) << name;  // of the activations, too
    EXPECT_GE(int4.at(name), 0.9 * error) << name;
  }
  const int64_t layers = open(small_model("tiny")).config().text.num_hidden_layers;
  EXPECT_GE(text, layers * 7 + 1);
  EXPECT_GT(vision, 0);
}

TEST(LogitChange, AModelIsItselfUnlessItIsComputedOtherwise) {
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const auto model = open(small_model("tiny"));
  const auto inputs = all_kinds(context, model.config());
  const auto against = [&](std::optional<CacheType> cache) {
    return compare_logits(context, {model, Compute::kF32, {}}, {model, Compute::kF32, cache},
                          prompts_of(inputs));
  };
  const LogitChange same = against({});
  EXPECT_EQ(same.mean_kl, 0);
  EXPECT_EQ(same.top1_agreement, 1);
  EXPECT_EQ(same.perplexity, same.changed_perplexity);
  for (const StageChange& stage : same.stages) EXPECT_EQ(stage.error, 0) << stage.name;
  for (const ProductChange& product : same.products) EXPECT_EQ(product.error, 0) << product.name;
  const LogitChange half = against(CacheType::kF16), bytes = against(CacheType::kInt8);
  EXPECT_EQ(bytes.changed_cache, CacheType::kInt8);
  EXPECT_EQ(bytes.cache, CacheType::kF32);
  EXPECT_GT(half.mean_kl, 0);
  EXPECT_GT(bytes.mean_kl, half.mean_kl);
  EXPECT_EQ(context.compute(), Compute::kF32);  // as it was
  Context alone(ContextOptions{.num_threads = 1, .compute = Compute::kF32});
  const LogitChange again = compare_logits(alone, {model, Compute::kF32, {}},
                                           {model, Compute::kF32, CacheType::kInt8}, prompts_of(inputs));
  EXPECT_EQ(again.mean_kl, bytes.mean_kl);
  EXPECT_EQ(again.changed_perplexity, bytes.changed_perplexity);
}

TEST(LogitChange, RefusesWhatCannotBeCompared) {
  Context context(ContextOptions{.num_threads = 2, .compute = Compute::kF32});
  const auto model = open(small_model("tiny")), demo = open(small_model("demo"));
  const auto compare = [&](const ForConditionalGeneration& other, std::vector<ForwardInput> inputs) {
    return [&context, &model, &other, inputs] {
      compare_logits(context, {model, Compute::kF32, {}}, {other, Compute::kF32, {}}, prompts_of(inputs));
    };
  };
  const ForwardInput text = text_input(some_ids(5, model.config().text.vocab_size, 1));
  expect_error(compare(model, {}), ErrorCode::kInvalidArgument, "no prompts");
  expect_error(compare(model, {text, text_input({})}), ErrorCode::kInvalidArgument, "prompt 1");
  Config config = model.config();
  config.text.vocab_size += 1;
  const ForConditionalGeneration wider = model_of(config, std::make_shared<ModelWeights>(weights_of(model)));
  expect_error(compare(wider, {text}), ErrorCode::kInvalidArgument, "vocabularies");
  config = model.config();
  config.video_token_id += 1;
  const ForConditionalGeneration otherwise =
      model_of(config, std::make_shared<ModelWeights>(weights_of(model)));
  expect_error(compare(otherwise, {text}), ErrorCode::kInvalidArgument, "pictures and clips");
  auto weights = std::make_shared<ModelWeights>(weights_of(model));
  weights->text.norm = Tensor::from<float>(weights->text.norm.shape(),
                                           std::vector<float>(static_cast<size_t>(weights->text.norm.numel()),
                                                              std::numeric_limits<float>::quiet_NaN()));
  const ForConditionalGeneration broken = model_of(model.config(), weights);
  expect_error(compare(broken, {text}), ErrorCode::kInvalidArgument, "token 0 are not finite");
  context.cancel();
  expect_error(compare(model, {text}), ErrorCode::kCancelled, "");
}

TEST(WeightChange, EveryTensorTheWorstFirst) {
  Context context(ContextOptions{.num_threads = 2});
  const Pair pair(DType::kInt4);
  const auto changed = pair.changed();
  const auto changes = compare_weights(context, pair.model, changed);
  ModelWeights before = weights_of(pair.model), after = weights_of(changed);
  std::map<std::string, Tensor> left, right;
  visit(before, pair.model.config(), [&](const std::string& n, const Tensor& t, Part) { left[n] = t; });
  visit(after, pair.model.config(), [&](const std::string& n, const Tensor& t, Part) { right[n] = t; });
  ASSERT_EQ(changes.size(), left.size());
  double last = std::numeric_limits<double>::infinity();
  int64_t quantised = 0;
  for (const TensorChange& change : changes) {
    EXPECT_LE(change.error, last);
    last = change.error;
    const Tensor &x = left.at(change.name), &y = right.at(change.name);
    EXPECT_EQ(change.after, y.dtype());
    if (!is_quantized(y.dtype())) {
      EXPECT_EQ(change.error, 0) << change.name;
      continue;
    }
    ++quantised;
    const int64_t k = x.dim(1);
    std::vector<float> row(static_cast<size_t>(k));
    double size = 0, error = 0;
    for (int64_t n = 0; n < x.dim(0); ++n) {
      dequantize_row(y, n, row.data());
      for (int64_t i = 0; i < k; ++i) {
        const uint32_t bits = static_cast<uint32_t>(x.data<bf16>()[n * k + i].bits) << 16;
        const double w = std::bit_cast<float>(bits);
        size += w * w;
        error += (w - row[static_cast<size_t>(i)]) * (w - row[static_cast<size_t>(i)]);
      }
    }
    EXPECT_NEAR(change.error, std::sqrt(error / size), 1e-9) << change.name;
    EXPECT_GT(change.error, 0) << change.name;
  }
  EXPECT_GT(quantised, 10);
}

}  // namespace
}  // namespace vl3
