#include "model/frame_encoder.h"

#include <algorithm>

#include "base/check.h"
#include "base/sha256.h"
#include "model/model_parts.h"
#include "model/projector.h"
#include "model/vision_encoder.h"
#include "ops/ops.h"

namespace vl3 {
namespace {

// Projected at a time. Where there are more rows than that the last piece has at least as many: products of
// few rows add in another order.
constexpr int64_t kRowsAtOnce = 1024;

}  // namespace

size_t FrameEncoder::find_or_add(const Tensor& pixels, const Grid& grid) {
  Sha256 hash;
  for (const int64_t value : {grid.h, grid.w, grid.merge}) hash.add_number(value);
  hash.add({pixels.raw(), pixels.bytes()});
  const auto [found, added] = by_hash_.emplace(hash.hex(), frames_.size());
  if (added) frames_.push_back({grid, std::vector<int64_t>(static_cast<size_t>(grid.tokens()), -1)});
  return found->second;
}

void FrameEncoder::add(Context& context, const Tensor& pixels, const Grid& grid,
                       std::span<const uint8_t> keep, bool begins) {
  require(pixels.rank() == 2 && pixels.dim(0) == grid.patches() &&
              static_cast<int64_t>(keep.size()) == grid.tokens(),
          ErrorCode::kInvalidArgument, "[encode] {} patches and a mask of {}, for a grid of {} x {} x {}",
          pixels.dim(0), keep.size(), grid.t, grid.h, grid.w);
  if (begins) has_before_ = false;
  const Grid single{1, grid.h, grid.w, grid.merge};
  for (int64_t t = 0; t < grid.t; ++t) {
    const Tensor frame_pixels = pixels.rows(t * single.patches(), (t + 1) * single.patches());
    std::vector<int64_t> tokens;
    for (int64_t i = 0; i < single.tokens(); ++i) {
      if (keep[static_cast<size_t>(t * single.tokens() + i)] != 0) tokens.push_back(i);
    }
    if (tokens.empty()) continue;
    const bool reuse = reuse_static_ && has_before_ && tokens.size() == 1 && single.tokens() > 1;
    const size_t frame = reuse ? before_ : find_or_add(frame_pixels, single);
    want(context, frame, reuse ? before_pixels_ : frame_pixels, tokens);
    for (const int64_t token : tokens) read_.push_back({frame, token});
    if (reuse_static_ && !reuse) before_pixels_ = frame_pixels;
    before_ = frame;
    has_before_ = true;
  }
}

// Sees to it that these tokens of the frame get encoded where they are not.
void FrameEncoder::want(Context& context, size_t frame, const Tensor& pixels,
                        std::span<const int64_t> tokens) {
  const Frame& known = frames_[frame];
  std::vector<int64_t> missing;
  for (const int64_t token : tokens) {
    if (known.encoded[static_cast<size_t>(token)] < 0) missing.push_back(token);
  }
  if (missing.empty()) return;
  const auto there = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& waiting) { return waiting.frame == frame; });
  if (there != waiting_.end()) {
    std::vector<int64_t> both;
    std::set_union(there->tokens.begin(), there->tokens.end(), missing.begin(), missing.end(),
                   std::back_inserter(both));
    there->tokens = std::move(both);
    return;
  }
  if (!waiting_.empty() && waiting_patches_ + known.grid.patches() > patches_at_once_)
    encode_waiting(context);
  waiting_.push_back({frame, pixels, std::move(missing)});
  waiting_patches_ += known.grid.patches();
}

void FrameEncoder::encode_waiting(Context& context) {
  if (waiting_.empty()) return;
  std::vector<Tensor> pixels;
  std::vector<Grid> grids;
  std::vector<uint8_t> keep;
  for (const Waiting& waiting : waiting_) {
    const Grid& grid = frames_[waiting.frame].grid;
    pixels.push_back(waiting.pixels);
    grids.push_back(grid);
    const size_t begin = keep.size();
    keep.resize(begin + static_cast<size_t>(grid.tokens()), 0);
    for (const int64_t token : waiting.tokens) keep[begin + static_cast<size_t>(token)] = 1;
  }
  const Tensor mask = Tensor::from<uint8_t>({static_cast<int64_t>(keep.size())}, keep);
  const Tensor all = pixels.size() == 1 ? pixels[0] : ops::concat_rows(context, pixels);
  const Config& config = model_.config();
  parts_.push_back(
      encode_vision(context, weights_of(model_).vision, config.vision, all, grids, {mask, false}, nullptr));
  for (const Waiting& waiting : waiting_) {
    for (const int64_t token : waiting.tokens)
      frames_[waiting.frame].encoded[static_cast<size_t>(token)] = encoded_rows_++;
  }
  waiting_.clear();
  waiting_patches_ = 0;
}

Tensor FrameEncoder::finish(Context& context) {
  encode_waiting(context);
  before_pixels_ = {};
  if (read_.empty()) return context.empty({0, model_.config().text.hidden_size});
  std::vector<int64_t> rows;
  bool in_order = static_cast<int64_t>(read_.size()) == encoded_rows_;
  for (const Row& row : read_) {
    rows.push_back(frames_[row.frame].encoded[static_cast<size_t>(row.token)]);
    in_order = in_order && rows.back() == static_cast<int64_t>(rows.size()) - 1;
  }
  Tensor tokens = parts_.size() == 1 ? parts_[0] : ops::concat_rows(context, parts_);
  parts_.clear();
  if (!in_order) tokens = ops::gather_rows(context, tokens, rows);
  std::vector<Tensor> projected;
  for (int64_t begin = 0; begin < tokens.dim(0);) {
    context.check_cancelled();
    const bool last = tokens.dim(0) - begin < 2 * kRowsAtOnce;
    const int64_t end = last ? tokens.dim(0) : begin + kRowsAtOnce;
    projected.push_back(project(context, weights_of(model_).projector, tokens.rows(begin, end)));
    begin = end;
  }
  return projected.size() == 1 ? projected[0] : ops::concat_rows(context, projected);
}

}  // namespace vl3
