#pragma once
// Pictures and clips that were encoded before: their projected features, found again by their pixels.

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/feature_store.h"
#include "vl3/context.h"
#include "vl3/model.h"
#include "vl3/tensor.h"

namespace vl3 {

// Pictures, or clips: the tensors of a processor's output. keep may be undefined.
struct VisualInput {
  Tensor pixel_values;  // [P, C·p·p]
  Tensor grid_thw;      // [n, 3]
  Tensor merge_sizes;   // [n]
  Tensor keep;          // [V]
  bool reuse_static_frames = false;
};

// Holds pixels beside features and compares them bit for bit: no two pictures are ever mistaken for each
// other. Thread-safe; what was used longest ago goes first.
class FeatureCache {
 public:
  // store: where to look, and to keep, what memory does not hold; may be null.
  explicit FeatureCache(int64_t max_bytes, std::unique_ptr<FeatureStore> store = nullptr)
      : max_bytes_(max_bytes), store_(std::move(store)) {}

  // A number for each picture or clip: the same for the same content and arithmetic, as long as it is held.
  struct Result {
    Tensor features;  // [K, H] of all of them, one behind the other
    std::vector<int64_t> serials;
    std::vector<int64_t> rows;  // of each
  };
  // What get_image_features gives, computed only for what is not held, and once for what comes repeatedly.
  Result features(Context& context, const Model& model, const VisualInput& input, const Probe* probe);

  int64_t hits() const;
  int64_t bytes() const;

 private:
  struct Item : FeatureKey {
    Tensor features;
    int64_t serial = 0;
    int64_t bytes() const { return static_cast<int64_t>(pixels.bytes() + features.bytes()); }
  };
  bool find(const Context& context, Item& wanted);  // fills features and serial
  bool find_in_memory(Item& wanted);
  void add(Item& item);
  void count_hits(int64_t more);
  // All that are missing in one call, so that small pictures share its products.
  void encode(Context& context, const Model& model, const VisualInput& input, std::vector<Item>& items,
              const std::vector<size_t>& missing, const Probe* probe);

  mutable std::mutex mutex_;
  std::list<Item> items_;  // the latest first
  int64_t max_bytes_, bytes_ = 0, next_serial_ = 1, hits_ = 0;
  std::unique_ptr<FeatureStore> store_;
};

}  // namespace vl3
