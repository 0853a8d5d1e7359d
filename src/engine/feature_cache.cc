#include "engine/feature_cache.h"

#include <algorithm>

namespace vl3 {

int64_t FeatureCache::Item::bytes() const {
  const ClipReport& clip = visual.facts.clip;
  const size_t per_frame = 2 * sizeof(int64_t) + sizeof(double);  // indices, counts and times
  return static_cast<int64_t>(visual.features.bytes() + visual.facts.keep.size() +
                              clip.frames.indices.size() * per_frame +
                              clip.info.times_s.size() * sizeof(double));
}

std::optional<FeatureCache::Item> FeatureCache::find(const Context& context, const FeatureKey& key) {
  if (key.content.empty()) return std::nullopt;
  std::optional<Item> found = find_in_memory(key);
  if (found || store_ == nullptr) return found;
  VisualFeatures stored = store_->find(context, key);
  if (!stored.features.defined()) return std::nullopt;
  found = keep(key, std::move(stored));
  count_hit();
  return found;
}

std::optional<FeatureCache::Item> FeatureCache::find_in_memory(const FeatureKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(items_.begin(), items_.end(), [&](const Item& i) { return i.key == key; });
  if (found == items_.end()) return std::nullopt;
  items_.splice(items_.begin(), items_, found);
  ++hits_;
  return items_.front();
}

FeatureCache::Item FeatureCache::add(const Context& context, FeatureKey key, VisualFeatures visual) {
  if (store_ != nullptr && !key.content.empty()) store_->add(context, key, visual);
  return keep(std::move(key), std::move(visual));
}

FeatureCache::Item FeatureCache::keep(FeatureKey key, VisualFeatures visual) {
  const std::lock_guard lock(mutex_);
  const auto there = std::find_if(items_.begin(), items_.end(), [&](const Item& i) { return i.key == key; });
  if (there != items_.end() && !key.content.empty()) return *there;  // encoded twice at the same time
  Item item{std::move(key), std::move(visual), next_serial_++};
  if (item.key.content.empty() || item.bytes() > max_bytes_) return item;
  item.visual.features = item.visual.features.clone();  // a view would hold the whole batch
  bytes_ += item.bytes();
  items_.push_front(item);
  while (bytes_ > max_bytes_) {
    bytes_ -= items_.back().bytes();
    items_.pop_back();
  }
  return item;
}

void FeatureCache::count_hit() {
  const std::lock_guard lock(mutex_);
  ++hits_;
}

void FeatureCache::count_asked(int64_t media) {
  const std::lock_guard lock(mutex_);
  asked_ += media;
}

int64_t FeatureCache::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
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
