#pragma once
// Pictures and clips that were encoded before: their projected features, found again before anything of them
// is decoded.

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/feature_store.h"
#include "vl3/context.h"

namespace vl3 {

// Found by a SHA-256 over content and options (FeatureKey). Pixels are neither held nor compared: nobody
// knows two contents that have the same SHA-256, nor a way to make them. Thread-safe; what was used longest
// ago goes first.
class FeatureCache {
 public:
  // store: where to look, and to keep, what memory does not hold; may be null.
  explicit FeatureCache(int64_t max_bytes, std::unique_ptr<FeatureStore> store = nullptr)
      : max_bytes_(max_bytes), store_(std::move(store)) {}

  // serial: the same for the same key as long as it is held; no other content has it.
  struct Item {
    FeatureKey key;
    VisualFeatures visual;
    int64_t serial = 0;
    int64_t bytes() const;
  };
  std::optional<Item> find(const Context& context, const FeatureKey& key);
  // Keeps what was encoded; with an empty content key, only gives it a serial.
  Item add(const Context& context, FeatureKey key, VisualFeatures visual);
  void count_hit();  // what a request shows repeatedly was encoded once

  void count_asked(int64_t media);
  int64_t hits() const;
  int64_t asked() const;
  int64_t bytes() const;

 private:
  std::optional<Item> find_in_memory(const FeatureKey& key);
  Item keep(FeatureKey key, VisualFeatures visual);

  mutable std::mutex mutex_;
  std::list<Item> items_;  // the latest first
  int64_t max_bytes_, bytes_ = 0, next_serial_ = 1, hits_ = 0, asked_ = 0;
  std::unique_ptr<FeatureStore> store_;
};

}  // namespace vl3
