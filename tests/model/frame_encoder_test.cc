// Frames one after the other give the rows that all of them give at once.

#include "model/frame_encoder.h"

#include <cstring>
#include <random>

#include "model/frame_plan.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

struct Clip {
  Grid grid;
  std::vector<int> pictures;  // what each frame shows
  std::vector<uint8_t> keep;
};

Tensor pixels_of(const Clip& clip, int64_t width) {
  const int64_t count = clip.grid.h * clip.grid.w * width;
  Tensor pixels = Tensor::empty({clip.grid.patches(), width}, DType::kF32);
  float* out = pixels.mutable_data<float>();
  for (const int picture : clip.pictures) {
    std::minstd_rand random(static_cast<unsigned>(picture) + 1);
    for (int64_t i = 0; i < count; ++i) *out++ = static_cast<float>(random() % 2000) / 1000.0f - 1.0f;
  }
  return pixels;
}

class FrameEncoding : public ::testing::Test {
 protected:
  int64_t patch_width() const { return model_.config().vision.patch_width(); }

  Tensor at_once(const std::vector<Clip>& clips, bool reuse) {
    std::vector<float> pixels;
    std::vector<int64_t> grids, merges;
    std::vector<uint8_t> keep;
    for (const Clip& clip : clips) {
      const Tensor part = pixels_of(clip, patch_width());
      pixels.insert(pixels.end(), part.data<float>(), part.data<float>() + part.numel());
      grids.insert(grids.end(), {clip.grid.t, clip.grid.h, clip.grid.w});
      merges.push_back(clip.grid.merge);
      keep.insert(keep.end(), clip.keep.begin(), clip.keep.end());
    }
    const auto count = static_cast<int64_t>(clips.size());
    return model_.model().get_image_features(
        context_,
        Tensor::from<float>({static_cast<int64_t>(pixels.size()) / patch_width(), patch_width()}, pixels),
        Tensor::from<int64_t>({count, 3}, grids), Tensor::from<int64_t>({count}, merges),
        Tensor::from<uint8_t>({static_cast<int64_t>(keep.size())}, keep), nullptr, reuse);
  }

  // In groups of so many frames.
  Tensor in_groups(const std::vector<Clip>& clips, bool reuse, int64_t frames) {
    FrameEncoder encoder(model_, reuse);
    for (const Clip& clip : clips) add(encoder, clip, frames);
    return encoder.finish(context_);
  }
  void add(FrameEncoder& encoder, const Clip& clip, int64_t frames) {
    const Tensor pixels = pixels_of(clip, patch_width());
    const Grid one{1, clip.grid.h, clip.grid.w, clip.grid.merge};
    for (int64_t t = 0; t < clip.grid.t; t += frames) {
      const int64_t n = std::min(frames, clip.grid.t - t);
      const Grid grid{n, one.h, one.w, one.merge};
      encoder.add(context_, pixels.rows(t * one.patches(), (t + n) * one.patches()).clone(), grid,
                  std::span(clip.keep).subspan(static_cast<size_t>(t * one.tokens()),
                                               static_cast<size_t>(grid.tokens())),
                  t == 0);
    }
  }

  const ForConditionalGeneration model_ =
      ForConditionalGeneration::from_pretrained(test::data_path("../../models/tiny"));
  Context context_{ContextOptions{.num_threads = 2}};
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

std::vector<uint8_t> all_of(const Grid& grid) {
  return std::vector<uint8_t>(static_cast<size_t>(grid.tokens()), 1);
}

TEST_F(FrameEncoding, EveryGroupingGivesTheBitsOfAllAtOnce) {
  std::minstd_rand random(3);
  for (const int64_t side : {4, 18, 34}) {  // 16, 324 and 1156 patches: below, around and above a group
    Clip clip{{9, side, side, 2}, {}, {}};
    Clip other{{3, side, side + 2, 2}, {7, 8, 9}, {}};
    for (int64_t t = 0; t < clip.grid.t; ++t) clip.pictures.push_back(static_cast<int>(random() % 4));
    clip.keep = all_of(clip.grid);
    other.keep = all_of(other.grid);
    const std::vector<Clip> clips = {clip, other, clip};
    const Tensor expected = at_once(clips, false);
    for (const int64_t frames : {1, 2, 5, 9})
      EXPECT_TRUE(same_bits(in_groups(clips, false, frames), expected)) << side << ", " << frames;
  }
}

TEST_F(FrameEncoding, TokensThatALaterFrameWantsAreEncodedThen) {
  // The same picture again and again, of which each frame keeps others: every eighth token at least, so that
  // products have rows enough for their usual order.
  std::minstd_rand random(5);
  Clip clip{{12, 24, 24, 2}, {0, 1, 0, 2, 1, 0, 3, 3, 0, 1, 2, 0}, {}};
  clip.keep = all_of(clip.grid);
  const int64_t tokens = 12 * 12;
  for (int64_t i = tokens; i < clip.grid.tokens(); ++i)
    clip.keep[static_cast<size_t>(i)] = random() % 8 == 0 ? 1 : 0;
  const Tensor expected = at_once({clip}, false);
  for (const int64_t frames : {1, 3, 12})
    EXPECT_TRUE(same_bits(in_groups({clip}, false, frames), expected)) << frames;
}

TEST_F(FrameEncoding, StaticFramesReadTheFrameBefore) {
  Clip clip{{6, 24, 24, 2}, {0, 1, 2, 3, 4, 5}, {}}, next = clip;
  clip.keep = all_of(clip.grid);
  for (const int64_t still : {1, 2, 4}) {  // of which one token is kept
    for (int64_t i = 1; i < 144; ++i) clip.keep[static_cast<size_t>(still * 144 + i)] = 0;
  }
  next.pictures = {9, 8, 7, 6, 5, 4};
  next.keep = clip.keep;
  for (int64_t i = 1; i < 144; ++i) next.keep[static_cast<size_t>(i)] = 0;  // the first one is still, too
  const Tensor expected = at_once({clip, next}, true);
  EXPECT_FALSE(same_bits(expected, at_once({clip, next}, false)));
  for (const int64_t frames : {1, 4, 6})
    EXPECT_TRUE(same_bits(in_groups({clip, next}, true, frames), expected)) << frames;
}

TEST_F(FrameEncoding, AClipMayBeginAnew) {
  Clip first{{4, 8, 8, 2}, {0, 1, 2, 3}, {}}, again{{3, 8, 8, 2}, {0, 2, 4}, {}}, last{{1, 8, 8, 2}, {9}, {}};
  for (Clip* clip : {&first, &again, &last}) clip->keep = all_of(clip->grid);
  FrameEncoder encoder(model_, false);
  add(encoder, last, 1);
  const size_t begin = encoder.rows();
  add(encoder, first, 1);
  encoder.drop_after(begin);
  add(encoder, again, 1);
  EXPECT_EQ(encoder.rows(), begin + again.keep.size());
  EXPECT_TRUE(same_bits(encoder.finish(context_), at_once({last, again}, false)));
}

TEST_F(FrameEncoding, WhatDoesNotFitIsRefused) {
  FrameEncoder encoder(model_, false);
  const Tensor pixels = Tensor::zeros({16, patch_width()}, DType::kF32);
  const std::vector<uint8_t> keep(4, 1), few(3, 1);
  EXPECT_THROW(encoder.add(context_, pixels, {2, 4, 4, 2}, keep, true), Error);
  EXPECT_THROW(encoder.add(context_, pixels, {1, 4, 4, 2}, few, true), Error);
  EXPECT_EQ(encoder.finish(context_).dim(0), 0);
}

}  // namespace
}  // namespace vl3
