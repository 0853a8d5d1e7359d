// What need not be computed: repeated frames, tokens that nobody reads.

#include "model/frame_plan.h"

#include <cmath>
#include <cstring>
#include <random>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/model.h"

namespace vl3 {
namespace {

constexpr int64_t kHeight = 4, kWidth = 6, kMerge = 2, kPatches = kHeight * kWidth, kTokens = kPatches / 4;

// Clips of which frame i shows what picture[i] says, each of kPatches patches.
Tensor pixels_of(const std::vector<int>& pictures, int64_t patch_width) {
  Tensor pixels = Tensor::empty({static_cast<int64_t>(pictures.size()) * kPatches, patch_width}, DType::kF32);
  float* out = pixels.mutable_data<float>();
  for (const int picture : pictures) {
    std::minstd_rand random(static_cast<unsigned>(picture) + 1);
    for (int64_t i = 0; i < kPatches * patch_width; ++i)
      *out++ = static_cast<float>(random() % 2000) / 1000.0f - 1.0f;
  }
  return pixels;
}

Tensor mask_of(const std::vector<uint8_t>& keep) {
  return Tensor::from<uint8_t>({static_cast<int64_t>(keep.size())}, keep);
}

TEST(FramePlan, EqualFramesOnce) {
  const Tensor pixels = pixels_of({3, 3, 5, 3, 5}, 8);
  const std::vector<Grid> grids = {{3, kHeight, kWidth, kMerge}, {2, kHeight, kWidth, kMerge}};
  const FramePlan plan = plan_frames(pixels, grids, {});
  ASSERT_EQ(plan.frames.size(), 2U);
  EXPECT_EQ(plan.frames[1].first_patch, 2 * kPatches);
  ASSERT_EQ(plan.rows.size(), static_cast<size_t>(5 * kTokens));
  EXPECT_EQ(plan.rows[0], 0);
  EXPECT_EQ(plan.rows[kTokens], 0);
  EXPECT_EQ(plan.rows[2 * kTokens], kTokens);
  EXPECT_EQ(plan.rows[4 * kTokens + 1], kTokens + 1);
  EXPECT_FALSE(plan.in_order());
}

TEST(FramePlan, SamePixelsInAnotherGridAreAnotherFrame) {
  const Tensor pixels = pixels_of({1, 1, 1}, 8);
  const std::vector<Grid> grids = {{1, kHeight, kWidth, 2}, {1, kHeight, kWidth, 1}, {1, kWidth, kHeight, 2}};
  EXPECT_EQ(plan_frames(pixels, grids, {}).frames.size(), 3U);
}

TEST(FramePlan, TokensThatAreRead) {
  const Tensor pixels = pixels_of({1, 2, 1}, 8);
  const std::vector<Grid> grids = {{3, kHeight, kWidth, kMerge}};
  std::vector<uint8_t> keep(3 * kTokens, 0);
  keep[1] = keep[4] = 1;                          // of the first frame
  keep[2 * kTokens] = keep[2 * kTokens + 4] = 1;  // of the same picture again; none of the second
  const FramePlan plan = plan_frames(pixels, grids, {mask_of(keep)});
  ASSERT_EQ(plan.frames.size(), 1U);
  EXPECT_EQ(plan.frames[0].tokens, (std::vector<int64_t>{0, 1, 4}));
  EXPECT_EQ(plan.rows, (std::vector<int64_t>{1, 2, 0, 2}));
  EXPECT_THROW(plan_frames(pixels, grids, {mask_of({1, 1})}), Error);
}

TEST(FramePlan, StaticFramesReadTheFrameBefore) {
  const Tensor pixels = pixels_of({1, 2, 3, 4}, 8);
  const std::vector<Grid> grids = {{3, kHeight, kWidth, kMerge}, {1, kHeight, kWidth, kMerge}};
  std::vector<uint8_t> keep(4 * kTokens, 0);
  std::fill_n(keep.begin(), kTokens, uint8_t{1});
  keep[kTokens] = keep[2 * kTokens] = keep[3 * kTokens] = 1;
  EXPECT_EQ(plan_frames(pixels, grids, {mask_of(keep), false}).frames.size(), 4U);
  const FramePlan plan = plan_frames(pixels, grids, {mask_of(keep), true});
  ASSERT_EQ(plan.frames.size(), 2U);  // the second clip's only frame has none before it
  EXPECT_EQ(plan.rows[kTokens], 0);
  EXPECT_EQ(plan.rows[kTokens + 1], 0);
  EXPECT_EQ(plan.rows[kTokens + 2], kTokens);
}

TEST(FramePlan, StaticFramesNeverReadAnotherClip) {
  const Tensor pixels = pixels_of({1, 2, 3}, 8);
  const std::vector<Grid> grids = {{1, kHeight, kWidth, kMerge}, {2, kHeight, kWidth, kMerge}};
  std::vector<uint8_t> keep(3 * kTokens, 0);
  keep[0] = keep[2 * kTokens] = 1;  // nothing of the second clip's first frame
  const FramePlan plan = plan_frames(pixels, grids, {mask_of(keep), true});
  ASSERT_EQ(plan.frames.size(), 2U);
  EXPECT_EQ(plan.frames[1].first_patch, 2 * kPatches);
  EXPECT_EQ(plan.rows, (std::vector<int64_t>{0, 1}));
}

struct Encoded {
  ForConditionalGeneration model =
      ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  Context context{ContextOptions{.compute = Compute::kF32}};
  Tensor grid = Tensor::from<int64_t>({1, 3}, std::vector<int64_t>{6, kHeight, kWidth});
  Tensor merge = Tensor::from<int64_t>({1}, std::vector<int64_t>{kMerge});
  Tensor features(const std::vector<int>& pictures, const Tensor& keep = {}) {
    return model.model().get_image_features(context, pixels_of(pictures, model.config().vision.patch_width()),
                                            grid, merge, keep);
  }
};

TEST(FramePlan, RepeatedFramesGiveTheSameBits) {
  Encoded encoded;
  const Tensor repeated = encoded.features({1, 2, 1, 3, 3, 2}), single = encoded.features({1, 2, 3, 4, 5, 6});
  const int64_t width = repeated.dim(1);
  const std::vector<int64_t> same_as = {0, 1, 0, 2, 2, 1};
  for (size_t i = 0; i < same_as.size(); ++i) {
    const int64_t at = static_cast<int64_t>(i) * kTokens, from = same_as[i] * kTokens;
    EXPECT_EQ(std::memcmp(repeated.rows(at, at + kTokens).raw(), single.rows(from, from + kTokens).raw(),
                          static_cast<size_t>(kTokens * width) * sizeof(float)),
              0)
        << "frame " << i;
  }
}

TEST(FramePlan, RowsThatAreReadDoNotMissTheOthers) {
  Encoded encoded;
  const std::vector<int> pictures = {1, 2, 1, 3, 4, 2};
  const Tensor all = encoded.features(pictures);
  std::minstd_rand random(7);
  for (const unsigned one_in : {2U, 5U, 20U}) {
    std::vector<uint8_t> keep(static_cast<size_t>(all.dim(0)));
    for (uint8_t& k : keep) k = random() % one_in == 0 ? 1 : 0;
    keep[0] = 1;
    const Tensor some = encoded.features(pictures, mask_of(keep));
    int64_t row = 0;
    double largest = 0;
    for (int64_t i = 0; i < all.dim(0); ++i) {
      if (keep[static_cast<size_t>(i)] == 0) continue;
      for (int64_t c = 0; c < all.dim(1); ++c) {
        largest = std::max<double>(largest, std::abs(all.data<float>()[i * all.dim(1) + c] -
                                                     some.data<float>()[row * all.dim(1) + c]));
      }
      ++row;
    }
    EXPECT_EQ(row, some.dim(0));
    EXPECT_LT(largest, 1e-5);  // fewer rows may be summed in another order
    std::printf("%lld of %lld tokens: differs by %.1e\n", static_cast<long long>(row),
                static_cast<long long>(all.dim(0)), largest);
  }
}

}  // namespace
}  // namespace vl3
