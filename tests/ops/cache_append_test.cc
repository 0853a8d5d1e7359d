// Keys and values of every type of cache: where they go, and what is read back, on every path.

#include "ops/cache_append.h"

#include "ops/cache_row.h"
#include "ops/ops_support.h"
#include "runtime/context_parts.h"

namespace vl3 {
namespace {

namespace reference = ops::reference;
using namespace test;

constexpr std::byte kUntouched{0x5a};

// Blocks of some sequences, [keys, values][heads][block tokens] rows each, and a margin in front.
struct Paged {
  int64_t heads, width, block_tokens, row, margin = 24;
  CacheType type;
  std::vector<std::vector<std::byte>> blocks;
  std::vector<std::byte*> table;

  Paged(CacheType of, int64_t num_heads, int64_t head_dim, int64_t tokens, int64_t of_block)
      : heads(num_heads),
        width(head_dim),
        block_tokens(of_block),
        row(ops::cache_row_bytes(of, head_dim)),
        type(of) {
    for (int64_t i = 0; i < (tokens + block_tokens - 1) / block_tokens; ++i)
      blocks.emplace_back(static_cast<size_t>(margin + 2 * heads * block_tokens * row), kUntouched);
    for (auto& block : blocks) table.push_back(block.data());
  }
  ops::KeyValueView view(int64_t length, const Tensor& k_factors, const Tensor& v_factors) const {
    ops::KeyValueView view;
    view.blocks = table;
    view.k_offset = margin;
    view.v_offset = margin + heads * block_tokens * row;
    view.type = type;
    view.block_tokens = block_tokens;
    view.token_stride = row;
    view.head_stride = block_tokens * row;
    view.length = length;
    view.k_factors = k_factors.defined() ? k_factors.data<float>() : nullptr;
    view.v_factors = v_factors.defined() ? v_factors.data<float>() : nullptr;
    return view;
  }
  // [tokens, heads, width] as read back.
  Values read(const KernelSet& kernels, int64_t tokens, bool values) const {
    Values result;
    std::vector<float> wide(static_cast<size_t>(width));
    const ops::KeyValueView all = view(tokens, {}, {});
    for (int64_t t = 0; t < tokens; ++t) {
      const std::byte* block = values ? all.values(t / block_tokens) : all.keys(t / block_tokens);
      for (int64_t h = 0; h < heads; ++h) {
        ops::widen_row(kernels, type, block + (h * block_tokens + t % block_tokens) * row, width,
                       wide.data());
        result.insert(result.end(), wide.begin(), wide.end());
      }
    }
    return result;
  }
};

// rows [begin, end) of x [T, heads, width]
Values part(const Tensor& x, int64_t begin, int64_t end) { return values(x.rows(begin, end)); }

// Equal, but for int8 where a number near the middle of two steps may go to the other one.
void expect_equal(const Values& found, const Values& expected, CacheType type, int64_t width) {
  ASSERT_EQ(found.size(), expected.size());
  size_t elsewhere = 0;
  for (size_t i = 0; i < found.size(); i += static_cast<size_t>(width)) {
    double largest = 0;
    for (size_t d = i; d < i + static_cast<size_t>(width); ++d)
      largest = std::max(largest, std::abs(expected[d]));
    for (size_t d = i; d < i + static_cast<size_t>(width); ++d) {
      const double error = std::abs(found[d] - expected[d]);
      if (type != CacheType::kInt8) {
        ASSERT_EQ(found[d], expected[d]) << d;
      } else {
        ASSERT_LE(error, 1.001 * largest / 127) << d;
        elsewhere += error > 1e-5 * largest ? 1 : 0;
      }
    }
  }
  EXPECT_LE(elsewhere, found.size() / 500);
}

class CacheAppend : public EveryPath {};
VL3_EVERY_PATH(CacheAppend);

TEST_P(CacheAppend, RowsOfManySequencesEqualTheReference) {
  Context context(options());
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
    for (const auto& [heads, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 4}, {2, 72}, {3, 128}}) {
      Random random(static_cast<uint64_t>(width));
      Tensor k_factors, v_factors;
      if (type == CacheType::kInt8 && width > 4) {
        std::vector<float> powers;
        for (int64_t i = 0; i < heads * width; ++i)
          powers.push_back(std::ldexp(1.0f, static_cast<int>(random.next() % 5) - 2));
        k_factors = v_factors = Tensor::from<float>({heads, width}, powers);
      }
      const Values factors = k_factors.defined() ? values(k_factors) : Values();
      // Two steps of three sequences, so that the second one meets what the first has left.
      const std::vector<std::vector<int64_t>> steps = {{7, 1, 130}, {1, 70, 1}};
      std::vector<Paged> caches;
      std::vector<Values> keys(3), held_values(3);
      for (int i = 0; i < 3; ++i) caches.emplace_back(type, heads, width, 140, i == 1 ? 64 : 16);
      std::vector<int64_t> lengths(3);
      for (const auto& counts : steps) {
        const Tensor k = random.tensor({2 + counts[0] + counts[1] + counts[2], heads, width}, DType::kF32, 3);
        const Tensor v = random.tensor(k.shape());
        std::vector<ops::AttentionSequence> rows;
        int64_t begin = 1;  // the first row and the last belong to nobody
        for (size_t i = 0; i < 3; ++i) {
          lengths[i] += counts[i];
          rows.push_back({begin, begin + counts[i], caches[i].view(lengths[i], k_factors, v_factors)});
          keys[i] = reference::cache_append(keys[i], part(k, begin, begin + counts[i]), heads, width, type,
                                            factors);
          held_values[i] = reference::cache_append(held_values[i], part(v, begin, begin + counts[i]), heads,
                                                   width, type, factors);
          begin += counts[i];
        }
        ops::cache_append(context, k, v, rows);
      }
      for (size_t i = 0; i < 3; ++i) {
        expect_equal(caches[i].read(kernels_of(context), lengths[i], false), keys[i], type, width);
        expect_equal(caches[i].read(kernels_of(context), lengths[i], true), held_values[i], type, width);
        // Nothing beside: the margin, and the tokens behind.
        const Paged& cache = caches[i];
        for (size_t b = 0; b < cache.blocks.size(); ++b) {
          for (int64_t byte = 0; byte < static_cast<int64_t>(cache.blocks[b].size()); ++byte) {
            const int64_t at = byte - cache.margin;
            const int64_t token =
                at < 0 ? INT64_MAX
                       : static_cast<int64_t>(b) * cache.block_tokens + at / cache.row % cache.block_tokens;
            if (token < lengths[i]) continue;
            ASSERT_EQ(cache.blocks[b][static_cast<size_t>(byte)], kUntouched) << i << " " << b << " " << byte;
          }
        }
      }
    }
  }
}

TEST_P(CacheAppend, ARowDependsOnItselfAlone) {
  Context context(options());
  for (const CacheType type : {CacheType::kF32, CacheType::kF16, CacheType::kInt8}) {
    Random random(3);
    const Tensor k = random.tensor({150, 2, 72}), v = random.tensor({150, 2, 72});
    Paged together(type, 2, 72, 150, 64), single(type, 2, 72, 150, 64);
    const ops::AttentionSequence all{0, 150, together.view(150, {}, {})};
    ops::cache_append(context, k, v, std::span(&all, 1));
    for (int64_t i = 0; i < 150; ++i) {
      const ops::AttentionSequence one{i, i + 1, single.view(i + 1, {}, {})};
      ops::cache_append(context, k, v, std::span(&one, 1));
    }
    EXPECT_EQ(together.blocks, single.blocks);
  }
}

TEST(CacheAppendOp, RefusesWhatDoesNotFit) {
  Context context(ContextOptions{.num_threads = 1});
  Paged cache(CacheType::kF16, 2, 8, 32, 16);
  const auto before = cache.blocks;
  const Tensor rows = Tensor::zeros({4, 2, 8}, DType::kF32);
  const auto refused = [&](const Tensor& k, const Tensor& v, ops::AttentionSequence s) {
    try {
      ops::cache_append(context, k, v, std::span(&s, 1));
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("[cache_append]"), std::string::npos) << error.what();
    }
  };
  const ops::KeyValueView good = cache.view(8, {}, {});
  refused(rows, Tensor::zeros({4, 2, 4}, DType::kF32), {0, 4, good});
  refused(Tensor::zeros({4, 2, 8}, DType::kF16), Tensor::zeros({4, 2, 8}, DType::kF16), {0, 4, good});
  refused(rows.reshape({4, 16}), rows.reshape({4, 16}), {0, 4, good});
  refused(rows, rows, {0, 5, good});
  refused(rows, rows, {-1, 2, good});
  refused(rows, rows, {3, 2, good});
  refused(rows, rows, {0, 4, cache.view(3, {}, {})});   // more rows than tokens
  refused(rows, rows, {0, 4, cache.view(33, {}, {})});  // beyond the blocks
  refused(rows, rows, {0, 4, ops::dense_view(rows, rows)});
  ops::KeyValueView narrow = good;
  narrow.token_stride = 8;
  refused(rows, rows, {0, 4, narrow});
  EXPECT_EQ(cache.blocks, before);
}

}  // namespace
}  // namespace vl3
