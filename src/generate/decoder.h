#pragma once
// What generation asks of a model: logits of the next tokens of several sequences. Only this interface
// separates the strategies here from the network, so that tests can put a toy in its place.

#include <cstdint>
#include <span>
#include <vector>

#include "model/kv_cache.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

class CausalDecoder {
 public:
  virtual ~CausalDecoder() = default;
  virtual int64_t vocab_size() const = 0;

  // ids follow what cache holds; the cache grows by them. Every cache appears once in a step.
  struct Feed {
    KvCache* cache = nullptr;
    std::span<const int64_t> ids;  // at least one
    bool all_rows = false;         // logits at every id, not only at the last one
  };
  // One step for several sequences at once, ragged. Returns f32 [rows, vocab_size()], the rows of the feeds
  // one behind the other. A row must not depend on which other feeds share the step.
  virtual Tensor decode(Context& context, std::span<const Feed> feeds) = 0;
};

// A sequence whose prompt has been through the model.
struct Prompt {
  std::vector<int64_t> ids;  // as the processors of logits see them, placeholders included
  KvCache cache;
  std::vector<float> last_logits;  // [vocab]
};

}  // namespace vl3
