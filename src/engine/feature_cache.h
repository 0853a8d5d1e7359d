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
  // begin finds what is held; missing() is the input that gives the rest, each once that comes repeatedly;
  // finish takes its features and gives all. What happens between them is the caller's.
  struct Item : FeatureKey {
    Tensor features;
    int64_t serial = 0;
    int64_t bytes() const { return static_cast<int64_t>(pixels.bytes() + features.bytes()); }
  };
  class Lookup {
   public:
    bool complete() const { return missing_.empty(); }
    VisualInput missing(Context& context) const;

   private:
    friend class FeatureCache;
    VisualInput input_;
    std::vector<Item> items_;
    std::vector<size_t> missing_;
    std::vector<std::pair<size_t, size_t>> repeated_;  // an item, and the missing one that it equals
  };
  Lookup begin(const Context& context, const VisualInput& input);
  Result finish(Context& context, Lookup lookup, const Tensor& features);

  int64_t hits() const;
  int64_t bytes() const;

 private:
  bool find(const Context& context, Item& wanted);  // fills features and serial
  bool find_in_memory(Item& wanted);
  void add(Item& item);
  void count_hits(int64_t more);
  void add_missing(Context& context, Lookup& lookup, const Tensor& features);

  mutable std::mutex mutex_;
  std::list<Item> items_;  // the latest first
  int64_t max_bytes_, bytes_ = 0, next_serial_ = 1, hits_ = 0;
  std::unique_ptr<FeatureStore> store_;
};

}  // namespace vl3
