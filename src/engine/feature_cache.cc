#include "engine/feature_cache.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "model/vision_encoder.h"
#include "ops/cpu/kernels.h"
#include "ops/rows.h"

namespace vl3 {
namespace {

std::string_view bytes_of(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {reinterpret_cast<const char*>(tensor.raw()), tensor.bytes()};
}

}  // namespace

bool FeatureCache::find(const Context& context, Item& wanted) {
  if (find_in_memory(wanted)) return true;
  if (store_ == nullptr) return false;
  wanted.features = store_->find(context, wanted);
  if (!wanted.features.defined()) return false;
  add(wanted);
  count_hits(1);
  return true;
}

bool FeatureCache::find_in_memory(Item& wanted) {
  const std::lock_guard lock(mutex_);
  for (auto item = items_.begin(); item != items_.end(); ++item) {
    if (!item->equals(wanted)) continue;
    wanted.features = item->features;
    wanted.serial = item->serial;
    items_.splice(items_.begin(), items_, item);
    ++hits_;
    return true;
  }
  return false;
}

void FeatureCache::add(Item& item) {
  const std::lock_guard lock(mutex_);
  item.serial = next_serial_++;
  if (item.bytes() > max_bytes_) return;
  item.pixels = item.pixels.clone();  // a view would hold the whole batch
  item.features = item.features.clone();
  if (item.keep.defined()) item.keep = item.keep.clone();
  bytes_ += item.bytes();
  items_.push_front(item);
  while (bytes_ > max_bytes_) {
    bytes_ -= items_.back().bytes();
    items_.pop_back();
  }
}

// All that are missing in one input, so that small pictures share its products.
VisualInput FeatureCache::Lookup::missing(Context& context) const {
  std::vector<Tensor> pixels;
  std::vector<int64_t> grid_values, merges;
  std::vector<uint8_t> keep;
  for (const size_t i : missing_) {
    const Item& item = items_[i];
    pixels.push_back(item.pixels);
    grid_values.insert(grid_values.end(), {item.t, item.h, item.w});
    merges.push_back(item.merge);
    const std::string_view mask = bytes_of(item.keep);
    keep.insert(keep.end(), mask.begin(), mask.end());
  }
  const int64_t count = static_cast<int64_t>(missing_.size());
  VisualInput result;
  result.pixel_values =
      missing_.size() == items_.size() ? input_.pixel_values : ops::concat_rows(context, pixels);
  result.grid_thw = Tensor::from<int64_t>({count, 3}, grid_values);
  result.merge_sizes = Tensor::from<int64_t>({count}, merges);
  if (input_.keep.defined()) result.keep = Tensor::from<uint8_t>({static_cast<int64_t>(keep.size())}, keep);
  result.reuse_static_frames = input_.reuse_static_frames;
  return result;
}

void FeatureCache::add_missing(Context& context, Lookup& lookup, const Tensor& features) {
  int64_t row = 0;
  for (const size_t i : lookup.missing_) {
    Item& item = lookup.items_[i];
    const std::string_view kept = bytes_of(item.keep);
    const int64_t rows = item.keep.defined()
                             ? static_cast<int64_t>(kept.size()) - std::count(kept.begin(), kept.end(), '\0')
                             : item.t * (item.h / item.merge) * (item.w / item.merge);
    item.features = features.rows(row, row + rows);
    row += rows;
    if (store_ != nullptr) store_->add(context, item, item.features);
    add(item);
  }
}

FeatureCache::Lookup FeatureCache::begin(const Context& context, const VisualInput& input) {
  const std::vector<Grid> grids = read_grids(input.grid_thw, input.merge_sizes, input.pixel_values.dim(0));
  Lookup lookup;
  lookup.input_ = input;
  int64_t patch = 0, token = 0;
  for (const Grid& grid : grids) {
    Item item;
    item.pixels = input.pixel_values.rows(patch, patch + grid.patches());
    if (input.keep.defined()) item.keep = input.keep.rows(token, token + grid.tokens());
    item.t = grid.t, item.h = grid.h, item.w = grid.w, item.merge = grid.merge;
    item.compute = context.compute();
    item.path = context.kernels().name;
    item.reuse_static_frames = input.reuse_static_frames;
    item.hash = std::hash<std::string_view>{}(bytes_of(item.pixels));
    patch += grid.patches();
    token += grid.tokens();
    std::vector<size_t>& missing = lookup.missing_;
    const auto before = std::find_if(missing.begin(), missing.end(),
                                     [&](const size_t i) { return lookup.items_[i].equals(item); });
    if (before != missing.end())
      lookup.repeated_.emplace_back(lookup.items_.size(), *before);
    else if (!find(context, item))
      missing.push_back(lookup.items_.size());
    lookup.items_.push_back(std::move(item));
  }
  return lookup;
}

FeatureCache::Result FeatureCache::finish(Context& context, Lookup lookup, const Tensor& features) {
  std::vector<Item>& items = lookup.items_;
  if (!lookup.complete()) add_missing(context, lookup, features);
  for (const auto& [item, first] : lookup.repeated_) {
    items[item].features = items[first].features;
    items[item].serial = items[first].serial;
  }
  count_hits(static_cast<int64_t>(lookup.repeated_.size()));

  Result result;
  std::vector<Tensor> parts;
  for (const Item& item : items) {
    parts.push_back(item.features);
    result.serials.push_back(item.serial);
    result.rows.push_back(item.features.dim(0));
  }
  result.features = parts.size() == 1 ? parts[0] : ops::concat_rows(context, parts);
  return result;
}

void FeatureCache::count_hits(int64_t more) {
  const std::lock_guard lock(mutex_);
  hits_ += more;
}

int64_t FeatureCache::hits() const {
  const std::lock_guard lock(mutex_);
  return hits_;
}

int64_t FeatureCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace vl3
