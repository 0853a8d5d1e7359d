#include "generate/prefix_tree.h"

#include <algorithm>

#include "base/check.h"

namespace vl3 {
namespace {

constexpr int64_t kBlock = KvPool::kBlockTokens;

bool begins_with(std::span<const int64_t> whole, std::span<const int64_t> beginning) {
  return whole.size() >= beginning.size() && std::ranges::equal(whole.first(beginning.size()), beginning);
}

}  // namespace

int64_t common_prefix(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

// A block of tokens below the blocks before it. Children of a node: no one's tokens begin another's, and
// those with fewer than kBlock tokens are leaves.
struct PrefixTree::Node {
  Node* parent = nullptr;  // null: a root, which holds nothing
  Children::iterator place;
  Children children;
  KvBlockRef block;
  uint64_t last_used = 0;  // at least that of every child
  int64_t depth = 0;

  const CacheKey& tokens() const { return place->first; }
  bool full() const { return static_cast<int64_t>(tokens().size()) == kBlock; }
};

bool PrefixTree::Less::operator()(std::span<const int64_t> a, std::span<const int64_t> b) const {
  return std::ranges::lexicographical_compare(a, b);
}

// Of those used together the end of a sequence comes before what it continues.
bool PrefixTree::OldestFirst::operator()(const Node* a, const Node* b) const {
  if (a->last_used != b->last_used) return a->last_used < b->last_used;
  if (a->depth != b->depth) return a->depth > b->depth;
  return std::less<>()(a, b);
}

PrefixTree::PrefixTree(int64_t max_bytes) : max_bytes_(max_bytes) {}

PrefixTree::~PrefixTree() { clear(); }

// Leaf by leaf: a tree is as deep as its sequences are long.
void PrefixTree::clear() {
  const std::lock_guard lock(mutex_);
  while (!leaves_.empty()) remove(**leaves_.begin());
  roots_.clear();
}

PrefixTree::Match PrefixTree::longest_match(const Node& parent, std::span<const int64_t> tokens) {
  Match best;
  const auto consider = [&](const Children::const_iterator& place) {
    const int64_t length = common_prefix(place->first, tokens);
    if (length > best.tokens) best = {place->second.get(), length};
  };
  const auto after = parent.children.lower_bound(tokens);
  if (after != parent.children.end()) consider(after);
  if (after != parent.children.begin()) consider(std::prev(after));
  return best;
}

void PrefixTree::touch(Node& node) {
  if (node.parent == nullptr) return;
  const bool leaf = node.children.empty();
  if (leaf) leaves_.erase(&node);
  node.last_used = now_;
  if (leaf) leaves_.insert(&node);
}

KvCache PrefixTree::find(std::span<const int64_t> key, const CacheKind& kind, const KvCache& fresh) {
  require(fresh.type() == kind.type, ErrorCode::kInvalidArgument,
          "[prefix_tree] a cache of another type than the one that is looked for");
  const std::lock_guard lock(mutex_);
  const auto root = roots_.find(kind);
  if (root == roots_.end() || key.empty()) return {};
  std::span<const int64_t> rest = key.first(key.size() - 1);
  std::vector<Node*> path;
  int64_t length = 0;
  for (Node* node = root->second.get(); !rest.empty();) {
    const auto wanted = rest.first(std::min(rest.size(), static_cast<size_t>(kBlock)));
    const Match match = longest_match(*node, wanted);
    if (match.node == nullptr) break;
    path.push_back(match.node);
    length += match.tokens;
    if (match.tokens < kBlock) break;
    rest = rest.subspan(static_cast<size_t>(kBlock));
    node = match.node;
  }
  if (length < kBlock) return {};  // not worth a step with rows of its own
  ++now_;
  std::vector<KvBlockRef> blocks;
  for (Node* node : path) {
    touch(*node);
    blocks.push_back(node->block);
  }
  reused_ += length;
  return fresh.with_blocks(std::move(blocks), length);
}

// tokens are not held below parent yet.
PrefixTree::Node* PrefixTree::add(Node& parent, std::span<const int64_t> tokens, const KvBlockRef& block) {
  if (parent.parent != nullptr && parent.children.empty()) leaves_.erase(&parent);
  auto made = std::make_unique<Node>();
  Node* node = made.get();
  node->parent = &parent;
  node->block = block;
  node->last_used = now_;
  node->depth = parent.depth + 1;
  node->place = parent.children.emplace(CacheKey(tokens.begin(), tokens.end()), std::move(made)).first;
  leaves_.insert(node);
  bytes_ += block.bytes();
  ++blocks_;
  return node;
}

void PrefixTree::remove(Node& leaf) {
  Node& parent = *leaf.parent;
  leaves_.erase(&leaf);
  bytes_ -= leaf.block.bytes();
  --blocks_;
  parent.children.erase(leaf.place);
  if (parent.parent != nullptr && parent.children.empty()) leaves_.insert(&parent);
}

void PrefixTree::insert(std::span<const int64_t> key, const KvCache& cache, const CacheKind& kind) {
  require(static_cast<int64_t>(key.size()) >= cache.length() && cache.type() == kind.type,
          ErrorCode::kInvalidArgument, "[prefix_tree] a key of {} tokens for a cache that holds {}",
          key.size(), cache.length());
  const std::lock_guard lock(mutex_);
  if (cache.length() == 0) return;
  ++now_;
  // Salts are anybody's words: those of which nothing is left must not add up.
  if (!roots_.contains(kind))
    std::erase_if(roots_, [](const auto& entry) { return entry.second->children.empty(); });
  std::unique_ptr<Node>& root = roots_[kind];
  if (root == nullptr) root = std::make_unique<Node>();
  Node* node = root.get();
  for (int64_t begin = 0; begin < cache.length(); begin += kBlock) {
    const int64_t count = std::min(kBlock, cache.length() - begin);
    const auto tokens = key.subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    const Match match = longest_match(*node, tokens);
    if (match.tokens == count) {  // held, perhaps with more tokens behind
      touch(*match.node);
      if (count < kBlock) break;
      node = match.node;
      continue;
    }
    const KvBlockRef& block = cache.blocks()[static_cast<size_t>(begin / kBlock)];
    const bool covers = match.node != nullptr && begins_with(tokens, match.node->tokens());
    Node* const added = add(*node, tokens, block);
    if (covers) remove(*match.node);  // a part of what is held now; a leaf, since it is no whole block
    node = added;
    if (bytes_ > max_bytes_) shrink(*node);
    if (bytes_ > max_bytes_) {  // nothing but this sequence is left
      remove(*node);
      break;
    }
  }
}

// Down to max_bytes; kept, and with it what it continues, stays.
void PrefixTree::shrink(const Node& kept) {
  while (bytes_ > max_bytes_) {
    auto oldest = leaves_.begin();
    if (*oldest == &kept && ++oldest == leaves_.end()) return;
    remove(**oldest);
  }
}

// Whether a block that nobody else holds lies above.
bool PrefixTree::frees_above(const Node& node, const KvPool& pool) {
  for (const Node* above = node.parent; above->parent != nullptr; above = above->parent) {
    if (above->block.pool() == &pool && !above->block.shared()) return true;
  }
  return false;
}

int64_t PrefixTree::reclaim(const KvPool& pool, int64_t blocks) {
  const std::lock_guard lock(mutex_);
  int64_t freed = 0;
  for (const bool also_shared : {false, true}) {
    for (auto leaf = leaves_.begin(); freed < blocks && leaf != leaves_.end();) {
      Node& oldest = **leaf;
      const bool shared = oldest.block.shared();
      const auto next = std::next(leaf);
      if (oldest.block.pool() != &pool || (shared && !(also_shared && frees_above(oldest, pool)))) {
        leaf = next;
        continue;
      }
      Node* const parent = oldest.parent;
      remove(oldest);
      freed += shared ? 0 : 1;
      leaf = next;
      // A parent that is a leaf now was used no earlier than its child: it stands behind that one's place.
      const bool leads = parent->parent != nullptr && parent->children.empty() &&
                         (next == leaves_.end() || OldestFirst()(parent, *next));
      if (leads) leaf = leaves_.find(parent);
    }
  }
  return freed;
}

std::shared_ptr<KvPool> PrefixTree::common_pool(std::shared_ptr<KvPool> made, const Device& device) {
  const std::lock_guard lock(mutex_);
  for (const auto& [where, pool] : pools_) {
    if (where == device && pool->shape() == made->shape() && pool->type() == made->type()) return pool;
  }
  pools_.emplace_back(device, made);
  return made;
}

int64_t PrefixTree::reused_tokens() const {
  const std::lock_guard lock(mutex_);
  return reused_;
}

int64_t PrefixTree::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

int64_t PrefixTree::blocks() const {
  const std::lock_guard lock(mutex_);
  return blocks_;
}

void reclaim_from(KvPool& pool, const std::shared_ptr<PrefixTree>& tree) {
  pool.set_reclaimer([weak = std::weak_ptr(tree)](const KvPool& asking, int64_t missing) {
    const auto alive = weak.lock();
    return alive ? alive->reclaim(asking, missing) : int64_t{0};
  });
}

}  // namespace vl3
