#include "model/frame_plan.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/check.h"

namespace vl3 {
namespace {

// Frames seen so far, found by their pixels.
class Known {
 public:
  Known(const Tensor& pixels, std::vector<FramePlan::Frame>& frames) : pixels_(pixels), frames_(frames) {}

  // The index of the frame among the distinct ones, new or not.
  size_t find_or_add(const Grid& grid, int64_t first_patch) {
    const std::string_view bytes = bytes_of(first_patch, grid.patches());
    auto& same_hash = by_hash_[std::hash<std::string_view>{}(bytes)];
    for (const size_t i : same_hash) {
      const FramePlan::Frame& frame = frames_[i];
      if (frame.grid.h == grid.h && frame.grid.w == grid.w && frame.grid.merge == grid.merge &&
          bytes_of(frame.first_patch, grid.patches()) == bytes)
        return i;
    }
    same_hash.push_back(frames_.size());
    frames_.push_back({grid, first_patch, {}});
    return same_hash.back();
  }

 private:
  std::string_view bytes_of(int64_t first_patch, int64_t patches) const {
    const Tensor rows = pixels_.rows(first_patch, first_patch + patches);
    return {reinterpret_cast<const char*>(rows.raw()), rows.bytes()};
  }

  const Tensor& pixels_;
  std::vector<FramePlan::Frame>& frames_;
  std::unordered_map<size_t, std::vector<size_t>> by_hash_;
};

void check_mask(const Tensor& keep, int64_t tokens) {
  require(keep.numel() == tokens && size_of(keep.dtype()) == 1, ErrorCode::kInvalidArgument,
          "[forward] video_compression_mask is {} of {}, for {} visual tokens", to_string(keep.shape()),
          to_string(keep.dtype()), tokens);
}

std::vector<int64_t> kept_tokens(const Tensor& keep, int64_t first, int64_t count) {
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    if (!keep.defined() || keep.raw()[first + i] != std::byte{0}) tokens.push_back(i);
  }
  return tokens;
}

}  // namespace

std::vector<int64_t> kept_rows(const Tensor& keep, int64_t tokens) {
  check_mask(keep, tokens);
  return kept_tokens(keep, 0, tokens);
}

bool FramePlan::in_order() const {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

FramePlan plan_frames(const Tensor& pixel_values, std::span<const Grid> grids, const FrameOptions& options) {
  int64_t total = 0;
  for (const Grid& grid : grids) total += grid.tokens();
  if (options.keep.defined()) check_mask(options.keep, total);
  FramePlan plan;
  Known known(pixel_values, plan.frames);
  struct Row {
    size_t frame;
    int64_t token;
  };
  std::vector<Row> read;
  int64_t patch = 0, token = 0;
  for (const Grid& grid : grids) {
    const Grid single{1, grid.h, grid.w, grid.merge};
    std::optional<size_t> before;  // the frame that the last one with kept tokens read
    for (int64_t t = 0; t < grid.t; ++t) {
      const std::vector<int64_t> kept = kept_tokens(options.keep, token, single.tokens());
      const bool reuse = options.reuse_static && before && kept.size() == 1 && single.tokens() > 1;
      if (!kept.empty()) {
        const size_t frame = reuse ? *before : known.find_or_add(single, patch);
        for (const int64_t k : kept) read.push_back({frame, k});
        before = frame;
      }
      patch += single.patches();
      token += single.tokens();
    }
  }
  for (const Row& row : read) plan.frames[row.frame].tokens.push_back(row.token);
  std::vector<int64_t> first_row;  // of each distinct frame
  int64_t rows = 0;
  for (FramePlan::Frame& frame : plan.frames) {
    std::sort(frame.tokens.begin(), frame.tokens.end());
    frame.tokens.erase(std::unique(frame.tokens.begin(), frame.tokens.end()), frame.tokens.end());
    first_row.push_back(rows);
    rows += static_cast<int64_t>(frame.tokens.size());
  }
  for (const Row& row : read) {
    const std::vector<int64_t>& tokens = plan.frames[row.frame].tokens;
    plan.rows.push_back(first_row[row.frame] +
                        (std::lower_bound(tokens.begin(), tokens.end(), row.token) - tokens.begin()));
  }
  return plan;
}

}  // namespace vl3
