#pragma once
// What generation asks of a model: logits of the next tokens of several sequences. Only this interface
// separates the strategies here from the network, so that tests can put a toy in its place.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "generate/logits.h"
#include "model/kv_cache.h"
#include "vl3/context.h"
#include "vl3/tensor.h"

namespace vl3 {

class CausalDecoder {
 public:
  virtual ~CausalDecoder() = default;
  virtual int64_t vocab_size() const = 0;
  virtual KvCache new_cache(const Context& context) const = 0;

  enum class Want : uint8_t { kNone, kLast, kAll };  // the rows that get logits
  // Rows that follow what cache holds, which grows by them: ids, or embeddings. Every cache appears once in a
  // step.
  struct Feed {
    KvCache* cache = nullptr;
    std::span<const int64_t> ids;  // at least one, unless there are embeds
    Tensor embeds;                 // [n, H] f32; undefined: ids are fed
    Want want = Want::kLast;
    int64_t adapter = -1;  // which of the model's adapters acts on these rows; -1: none

    int64_t rows() const { return embeds.defined() ? embeds.dim(0) : static_cast<int64_t>(ids.size()); }
    int64_t logit_rows() const { return want == Want::kAll ? rows() : want == Want::kLast ? 1 : 0; }
  };
  // One step for several sequences at once, ragged; the rows of logits of the feeds lie one behind the other.
  // A row must not depend on which other feeds share the step. Where it throws, caches are as long as before.
  virtual Logits decode(Context& context, std::span<const Feed> feeds) = 0;
};

// What is to be answered.
struct Prompt {
  std::vector<int64_t> ids;  // as the processors of logits see them, placeholders included
  Tensor embeds;             // [T, H], visual rows in place; undefined: ids are fed
  // Content at each position, as the prefix cache has it (prefix_tree.h); empty: neither looked up nor kept.
  std::vector<int64_t> cache_key;
  int64_t adapter = -1;
  std::string cache_salt;  // prompts of others are not looked at in the prefix cache

  int64_t length() const { return embeds.defined() ? embeds.dim(0) : static_cast<int64_t>(ids.size()); }
};

}  // namespace vl3
