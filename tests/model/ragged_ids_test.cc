// Lists of ids of their own lengths, against the same in a padded rectangle.

#include <cstring>

#include "model/model_parts.h"
#include "model/packed_batch.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

const std::vector<std::vector<int64_t>> kIds = {{65, 66, 67, 68, 69}, {70}, {71, 72, 73}};

ForwardInput padded() {
  ForwardInput input;
  std::vector<int64_t> cells, mask;
  for (const auto& ids : kIds) {
    for (size_t t = 0; t < 5; ++t) {
      cells.push_back(t < ids.size() ? ids[t] : 0);
      mask.push_back(t < ids.size() ? 1 : 0);
    }
  }
  input.input_ids = Tensor::from<int64_t>({3, 5}, cells);
  input.attention_mask = Tensor::from<int64_t>({3, 5}, mask);
  return input;
}

ForwardInput ragged() {
  ForwardInput input;
  input.ids = kIds;
  return input;
}

TEST(RaggedIds, ArePackedAsARectanglePaddedOnTheRight) {
  const PackedBatch a = pack(ragged()), b = pack(padded());
  EXPECT_EQ(a.batch, b.batch);
  EXPECT_EQ(a.columns, b.columns);
  EXPECT_EQ(a.cells, b.cells);
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.sequences.positions, b.sequences.positions);
  EXPECT_EQ(a.sequences.cu_seqlens_q, b.sequences.cu_seqlens_q);
  EXPECT_EQ(a.sequences.cu_seqlens_k, b.sequences.cu_seqlens_k);
}

TEST(RaggedIds, GiveTheSameBits) {
  const auto model = ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  Context context(ContextOptions{.num_threads = 1});
  const Tensor a = model.forward(context, ragged()).logits, b = model.forward(context, padded()).logits;
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0);
}

TEST(RaggedIds, StandAlone) {
  for (const auto member :
       {&ForwardInput::input_ids, &ForwardInput::inputs_embeds, &ForwardInput::attention_mask,
        &ForwardInput::position_ids, &ForwardInput::labels}) {
    ForwardInput input = ragged();
    input.*member = Tensor::zeros({3, 5}, DType::kI64);
    EXPECT_THROW(pack(input), Error);
  }
  PastKeyValues past;
  for (int i = 0; i < 2; ++i) caches_of(past).add({});
  ForwardInput input = ragged();
  input.past = &past;
  EXPECT_THROW(pack(input), Error);
}

}  // namespace
}  // namespace vl3
