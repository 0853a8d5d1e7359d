// The one definition of the network with its weights cut between two ranks: heads are counted by the weights
// and a sum over the ranks fits between a product and what is added to it.

#include <barrier>
#include <cstring>
#include <thread>

#include "model/kv_cache.h"
#include "model/model_parts.h"
#include "model/parameters.h"
#include "support/support.h"
#include "vl3/checkpoint.h"
#include "vl3/error.h"
#include "vl3/forward_io.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

constexpr int kRanks = 2;

ForConditionalGeneration tiny() {
  return ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
}

Tensor cut_rows(const Tensor& t, int rank) {
  const int64_t part = t.dim(0) / kRanks;
  return t.rows(rank * part, (rank + 1) * part);
}

Tensor cut_columns(const Tensor& t, int rank) {
  const int64_t part = t.dim(1) / kRanks;
  const size_t bytes = static_cast<size_t>(part) * size_of(t.dtype());
  Tensor result = Tensor::empty({t.dim(0), part}, t.dtype());
  for (int64_t i = 0; i < t.dim(0); ++i) {
    std::memcpy(result.mutable_raw() + static_cast<size_t>(i) * bytes,
                t.raw() + static_cast<size_t>(i * kRanks + rank) * bytes, bytes);
  }
  return result;
}

// A rank's part of the weights: layers before a sum have its heads or units, layers behind it their columns.
ForConditionalGeneration part_of(const ForConditionalGeneration& model, int rank) {
  auto weights = std::make_shared<ModelWeights>(weights_of(model));
  visit_linears(*weights, model.config(), [&](const std::string& name, LinearWeights& layer, Part) {
    const auto ends = [&](std::initializer_list<const char*> endings) {
      return std::any_of(endings.begin(), endings.end(), [&](const char* e) { return name.ends_with(e); });
    };
    if (ends({".q_proj", ".k_proj", ".v_proj", ".gate_proj", ".up_proj", ".fc1"})) {
      layer.weight = cut_rows(layer.weight, rank);
      if (layer.bias.defined()) layer.bias = cut_rows(layer.bias, rank);
    } else if (ends({".o_proj", ".down_proj", ".out_proj", ".fc2"})) {
      layer.weight = cut_columns(layer.weight, rank);
    }
  });
  return model_of(model.config(), weights);
}

// Adds up what the ranks have, in their order.
class Sum {
 public:
  void operator()(Context& context, const Tensor& mine, int rank) {
    parts_[rank] = mine;
    barrier_.arrive_and_wait();
    Tensor total = context.empty(mine.shape());
    const float *a = parts_[0].data<float>(), *b = parts_[1].data<float>();
    for (int64_t i = 0; i < mine.numel(); ++i) total.mutable_data<float>()[i] = a[i] + b[i];
    barrier_.arrive_and_wait();
    std::memcpy(mine.mutable_raw(), total.raw(), mine.bytes());
    barrier_.arrive_and_wait();
    calls_ += rank == 0;
  }
  int calls() const { return calls_; }

 private:
  Tensor parts_[kRanks];
  std::barrier<> barrier_{kRanks};
  int calls_ = 0;
};

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]));
  return largest;
}

TEST(TensorParallel, TwoRanksGiveWhatOneGives) {
  const ForConditionalGeneration model = tiny();
  const ForwardInput input =
      read_forward_input(SafetensorsFile::open(test::data_path("model/forward.safetensors")), "in.");
  Context context(ContextOptions{.num_threads = 1, .compute = Compute::kF32});
  const Tensor whole = model.forward(context, input).logits;

  Sum sum;
  Tensor logits[kRanks];
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.emplace_back([&, rank] {
      const ForConditionalGeneration part = part_of(model, rank);
      Context own(ContextOptions{.num_threads = 1, .compute = Compute::kF32});
      own.set_all_reduce([&](Context& c, const Tensor& t) { sum(c, t, rank); });
      logits[rank] = part.forward(own, input).logits.clone();
    });
  }
  for (std::thread& rank : ranks) rank.join();
  EXPECT_GE(sum.calls(), 2 * (2 + 2));  // two a layer, of the language model and of the vision encoder
  EXPECT_EQ(std::memcmp(logits[0].raw(), logits[1].raw(), logits[0].bytes()), 0);
  // The same f32 sums in another order: as far from the reference as the whole model may be.
  EXPECT_LE(largest_difference(logits[0], whole), 2e-4);
}

TEST(TensorParallel, ACacheHasTheHeadsOfItsRank) {
  const ForConditionalGeneration model = tiny(), part = part_of(model, 1);
  Context context(ContextOptions{.num_threads = 1});
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
    EXPECT_EQ(new_cache(model, context, type).shape().num_kv_heads, 2);
    EXPECT_EQ(new_cache(part, context, type).shape().num_kv_heads, 1);
  }
}

TEST(MappedWeights, CannotBeWritten) {
  const ForConditionalGeneration model = tiny();
  ModelWeights weights = weights_of(model);
  int mapped = 0;
  visit(weights, model.config(), [&](const std::string& name, const Tensor& tensor, Part) {
    if (!tensor.storage()->read_only()) return;
    ++mapped;
    try {
      tensor.mutable_raw();
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("read-only"), std::string::npos);
    }
  });
  EXPECT_GT(mapped, 40);
}

}  // namespace
}  // namespace vl3
