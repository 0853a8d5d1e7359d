#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/check.h"

namespace vl3 {
namespace {

// Above this many bytes the heap is faster than looking through all pairs for each merge.
constexpr size_t kFewBytes = 48;

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}
size_t place_of(uint64_t pair, int shift) { return ((pair ^ pair >> 29) * 0x9E3779B97F4A7C15) >> shift; }

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, Unknown unknown,
         std::string_view origin)
    : unknown_(unknown) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    byte_ids_[static_cast<size_t>(byte)] = vocabulary.find_bytes({&c, 1});
  }
  require(*std::max_element(byte_ids_.begin(), byte_ids_.end()) >= 0, ErrorCode::kFormat,
          "[{}] has no token for any single byte: not a byte-level vocabulary", origin);
  slots_.resize(std::bit_ceil(merges.size() * 2 + 2));
  shift_ = 64 - std::countr_zero(slots_.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const uint64_t pair = pair_of(merges[rank].left, merges[rank].right);
    size_t at = place_of(pair, shift_);
    while (slots_[at].rank != kNone && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {pair, static_cast<uint32_t>(rank), merges[rank].result};
  }
}

const Bpe::Slot* Bpe::find(int32_t left, int32_t right) const noexcept {
  const uint64_t pair = pair_of(left, right);
  for (size_t at = place_of(pair, shift_);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].rank == kNone) return nullptr;
    if (slots_[at].pair == pair) return &slots_[at];
  }
}

uint32_t Bpe::rank_of(int32_t left, int32_t right) const noexcept {
  const Slot* slot = find(left, right);
  return slot == nullptr ? kNone : slot->rank;
}

// Joins the symbol at `at` with the next one, which leaves the list, and ranks the two pairs that are new.
void Bpe::join(std::vector<Scratch::Symbol>& symbols, size_t at) const {
  Scratch::Symbol& left = symbols[at];
  const Scratch::Symbol& right = symbols[static_cast<size_t>(left.next)];
  const int32_t gone = left.next;
  left.id = find(left.id, right.id)->result;
  left.next = right.next;
  symbols[static_cast<size_t>(gone)].id = -1;
  left.rank = kNone;
  if (left.next >= 0) {
    Scratch::Symbol& next = symbols[static_cast<size_t>(left.next)];
    next.previous = static_cast<int32_t>(at);
    left.rank = rank_of(left.id, next.id);
  }
  if (left.previous >= 0) {
    Scratch::Symbol& previous = symbols[static_cast<size_t>(left.previous)];
    previous.rank = rank_of(previous.id, left.id);
  }
}

void Bpe::merge_few(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  for (;;) {
    uint32_t best = kNone;
    size_t where = 0;
    for (int32_t at = 0; at >= 0; at = symbols[static_cast<size_t>(at)].next) {
      if (symbols[static_cast<size_t>(at)].rank < best) {
        best = symbols[static_cast<size_t>(at)].rank;
        where = static_cast<size_t>(at);
      }
    }
    if (best == kNone) return;
    join(symbols, where);
  }
}

void Bpe::merge_many(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;  // rank and place; those that no longer hold are left in and skipped
  const auto later = std::greater<>();
  const auto entry = [&](size_t at) { return static_cast<uint64_t>(symbols[at].rank) << 32 | at; };
  heap.clear();
  for (size_t at = 0; at < symbols.size(); ++at) {
    if (symbols[at].rank != kNone) heap.push_back(entry(at));
  }
  std::make_heap(heap.begin(), heap.end(), later);
  const auto push = [&](int32_t at) {
    if (at < 0 || symbols[static_cast<size_t>(at)].rank == kNone) return;
    heap.push_back(entry(static_cast<size_t>(at)));
    std::push_heap(heap.begin(), heap.end(), later);
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const uint64_t top = heap.back();
    heap.pop_back();
    const size_t at = static_cast<uint32_t>(top);
    if (symbols[at].id < 0 || symbols[at].rank != static_cast<uint32_t>(top >> 32)) continue;
    join(symbols, at);
    push(static_cast<int32_t>(at));
    push(symbols[at].previous);
  }
}

void Bpe::spell(std::string_view word, std::vector<Scratch::Symbol>& symbols) const {
  symbols.resize(word.size());
  size_t count = 0;
  bool after_unknown = false;
  for (const char c : word) {
    const int32_t known = byte_ids_[static_cast<unsigned char>(c)];
    const bool skipped = known < 0 && (unknown_.id < 0 || (unknown_.fuse && after_unknown));
    after_unknown = known < 0;
    if (skipped) continue;
    const int32_t place = static_cast<int32_t>(count);
    symbols[count++] = {known < 0 ? unknown_.id : known, place - 1, place + 1, kNone};
  }
  symbols.resize(count);
  if (count > 0) symbols.back().next = -1;
  for (size_t i = 0; i + 1 < count; ++i) symbols[i].rank = rank_of(symbols[i].id, symbols[i + 1].id);
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<int64_t>& out) const {
  auto& symbols = scratch.symbols;
  spell(word, symbols);
  if (symbols.empty()) return;
  if (word.size() <= kFewBytes) {
    merge_few(scratch);
  } else {
    merge_many(scratch);
  }
  for (int32_t at = 0; at >= 0; at = symbols[static_cast<size_t>(at)].next) {
    out.push_back(symbols[static_cast<size_t>(at)].id);
  }
}

}  // namespace vl3
