#include "grammar/matcher.h"

#include <algorithm>

namespace vl3::grammar {

Matcher::Matcher(const Grammar& grammar)
    : grammar_(grammar), classes_(static_cast<size_t>(grammar.num_classes)) {
  begin();
}

void Matcher::begin() {
  frames_ = {{-1, -1, 0, 0, 0}};
  work_.clear();
  seen_.clear();
  add({grammar_.rules[static_cast<size_t>(grammar_.root)].start, 0});
  close();
}

void Matcher::forget() {
  frames_by_key_.clear();
  states_.clear();
  items_.clear();
  next_.clear();
  states_by_hash_.clear();
  begin();
}

size_t Matcher::bytes() const noexcept {
  return next_.size() * sizeof(int32_t) + items_.size() * sizeof(Item) +
         frames_.size() * (sizeof(Frame) + 48) + states_.size() * (sizeof(State) + 48);
}

int32_t Matcher::make_step(int32_t state, uint8_t byte) {
  const State from = states_[static_cast<size_t>(state)];
  work_.clear();
  seen_.clear();
  for (size_t i = 0; i < from.num_items; ++i) {
    const Item item = items_[from.first_item + i];
    const int32_t end = grammar_.first_edge[static_cast<size_t>(item.node) + 1];
    work(1 + end - grammar_.first_edge[static_cast<size_t>(item.node)]);
    for (int32_t e = grammar_.first_edge[static_cast<size_t>(item.node)]; e < end; ++e) {
      const Edge& edge = grammar_.edges[static_cast<size_t>(e)];
      if (edge.kind == EdgeKind::kBytes && edge.first <= byte && byte <= edge.last)
        add({edge.to, frame_behind_character(item)});
    }
  }
  const int32_t to = work_.empty() ? kDead : close();
  next_[static_cast<size_t>(state) * classes_ + grammar_.byte_class[byte]] = to;
  return to;
}

void Matcher::work(int64_t steps) {
  work_left_ -= steps;
  require(work_left_ >= 0, ErrorCode::kLimitExceeded,
          "[constraint] finding what may follow takes too much work: the form can be read in too many ways");
}

void Matcher::add(Item item) {
  const int32_t depth = frames_[static_cast<size_t>(item.frame)].depth;
  if (depth + grammar_.needs[static_cast<size_t>(item.node)] > grammar_.max_depth || out_of_bounds(item))
    return;
  if (!seen_.try_emplace(key(item), true).second) return;
  require(seen_.size() <= kMaxItems, ErrorCode::kLimitExceeded,
          "[constraint] more than {} ways of reading the answer have to be kept", kMaxItems);
  work_.push_back(item);
}

// Where a character of the item's node leads: the same frame, or the one that has counted it.
int32_t Matcher::frame_behind_character(Item item) {
  const int32_t counter = grammar_.counted[static_cast<size_t>(item.node)].counter;
  if (counter < 0) return item.frame;
  const Frame now = frames_[static_cast<size_t>(item.frame)];
  return frame(now.node, now.parent, now.depth,
               grammar_.counters[static_cast<size_t>(counter)].next(now.count));
}

// Whether no number of characters more brings the item's rule to its end within its bounds.
bool Matcher::out_of_bounds(Item item) const {
  const Grammar::Counted counted = grammar_.counted[static_cast<size_t>(item.node)];
  if (counted.counter < 0) return false;
  const int32_t count = frames_[static_cast<size_t>(item.frame)].count;
  return grammar_.counters[static_cast<size_t>(counted.counter)].bytes(counted.index, count) ==
         Counter::kNever;
}

int32_t Matcher::frame(int32_t node, int32_t parent, int32_t depth, int32_t count) {
  const uint64_t hash = (key({node, parent}) * 0x9E3779B97F4A7C15u) ^ key({depth, count});
  const auto [first, last] = frames_by_key_.equal_range(hash);
  for (auto found = first; found != last; ++found) {
    const Frame& known = frames_[static_cast<size_t>(found->second)];
    if (known.node == node && known.parent == parent && known.depth == depth && known.count == count)
      return found->second;
  }
  frames_.push_back({node, parent, depth, count, shortest({node, parent})});
  const auto id = static_cast<int32_t>(frames_.size()) - 1;
  frames_by_key_.emplace(hash, id);
  return id;
}

int32_t Matcher::shortest(Item item) const {
  const Frame& frame = frames_[static_cast<size_t>(item.frame)];
  const Grammar::Counted counted = grammar_.counted[static_cast<size_t>(item.node)];
  if (counted.counter >= 0) {
    const Counter& counter = grammar_.counters[static_cast<size_t>(counted.counter)];
    return ShortestEnds::sum(counter.bytes(counted.index, frame.count), frame.rest);
  }
  return ShortestEnds::sum(grammar_.shortest.bytes(item.node, grammar_.max_depth - frame.depth), frame.rest);
}

void Matcher::call(const Edge& edge, Item item) {
  const Rule& rule = grammar_.rules[static_cast<size_t>(edge.rule)];
  // A call at a rule's very end returns to where the rule itself does: chains of references need no frames.
  const bool counts = rule.counter >= 0 || grammar_.counted[static_cast<size_t>(item.node)].counter >= 0;
  if (!rule.nests && !counts && grammar_.ends_rule[static_cast<size_t>(edge.to)] != 0) {
    add({rule.start, item.frame});
    return;
  }
  const int32_t depth = frames_[static_cast<size_t>(item.frame)].depth;
  if (depth + grammar_.needs[static_cast<size_t>(edge.to)] > grammar_.max_depth) return;
  const int32_t inside = depth + (rule.nests ? 1 : 0);
  if (inside + grammar_.needs[static_cast<size_t>(rule.start)] > grammar_.max_depth) return;
  const Item behind{edge.to, frame_behind_character(item)};
  if (!out_of_bounds(behind)) add({rule.start, frame(behind.node, behind.frame, inside, 0)});
}

void Matcher::expand(Item item) {
  const int32_t end = grammar_.first_edge[static_cast<size_t>(item.node) + 1];
  work(1 + end - grammar_.first_edge[static_cast<size_t>(item.node)]);
  for (int32_t e = grammar_.first_edge[static_cast<size_t>(item.node)]; e < end; ++e) {
    const Edge& edge = grammar_.edges[static_cast<size_t>(e)];
    if (edge.kind == EdgeKind::kSkip) add({edge.to, item.frame});
    if (edge.kind == EdgeKind::kCall) call(edge, item);
  }
}

// What is told about a state without looking at bytes.
void Matcher::measure(State& state, std::span<const Item> items) const {
  size_t others = 0;
  int32_t least = ShortestEnds::kFar;
  for (const Item item : items) {
    const int32_t bytes = shortest(item);
    least = std::min(least, bytes);
    const uint8_t plain = grammar_.plain[static_cast<size_t>(item.node)];
    if (plain == GrammarBuilder::kHelper) continue;
    ++others;
    if (plain > state.plain.count || (plain == state.plain.count && bytes < state.plain.shortest)) {
      state.plain.count = plain;
      state.plain.shortest = bytes;
    }
  }
  state.plain.exact = others == 1 && state.plain.count > 0;
  state.shortest = state.accepts ? 0 : least;
}

int32_t Matcher::close() {
  State state;
  std::vector<Item> kept;
  for (size_t i = 0; i < work_.size(); ++i) {
    const Item item = work_[i];
    const auto node = static_cast<size_t>(item.node);
    if (grammar_.ends_rule[node] != 0) {
      const Frame frame = frames_[static_cast<size_t>(item.frame)];
      if (item.frame == 0) {
        state.accepts = true;
      } else {
        add({frame.node, frame.parent});
      }
      continue;
    }
    expand(item);
    const bool reads = std::any_of(grammar_.edges.begin() + grammar_.first_edge[node],
                                   grammar_.edges.begin() + grammar_.first_edge[node + 1],
                                   [](const Edge& edge) { return edge.kind == EdgeKind::kBytes; });
    if (reads) kept.push_back(item);
  }
  if (kept.empty() && !state.accepts) return kDead;
  std::sort(kept.begin(), kept.end(), [](Item a, Item b) { return key(a) < key(b); });
  uint64_t hash = state.accepts ? 1 : 0;
  for (const Item item : kept) hash = (hash ^ key(item)) * 0x9E3779B97F4A7C15u + (hash >> 29);
  const auto [first, last] = states_by_hash_.equal_range(hash);
  for (auto found = first; found != last; ++found) {
    const State& known = states_[static_cast<size_t>(found->second)];
    const auto same = [](Item a, Item b) { return key(a) == key(b); };
    if (known.accepts == state.accepts && known.num_items == kept.size() &&
        std::equal(kept.begin(), kept.end(), items_.begin() + static_cast<ptrdiff_t>(known.first_item), same))
      return found->second;
  }
  measure(state, kept);
  state.first_item = items_.size();
  state.num_items = static_cast<uint32_t>(kept.size());
  require(bytes() <= kMaxBytes, ErrorCode::kLimitExceeded, "[constraint] needs more than {} MiB of states",
          kMaxBytes >> 20);
  items_.insert(items_.end(), kept.begin(), kept.end());
  states_.push_back(state);
  next_.resize(next_.size() + classes_, kUnknown);
  const auto id = static_cast<int32_t>(states_.size()) - 1;
  states_by_hash_.emplace(hash, id);
  return id;
}

}  // namespace vl3::grammar
