#include "grammar/token_trie.h"

#include <algorithm>

#include "text/unicode.h"

namespace vl3::grammar {
namespace {

constexpr size_t kMaxTokenBytes = 512;

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer)
    : tokenizer_(tokenizer), vocab_size_(tokenizer.vocab_size()) {
  std::vector<int32_t> plain, rest;
  const auto words = static_cast<size_t>((vocab_size_ + 31) / 32);
  plain_masks_.assign(kMaxPlain + 1, std::vector<uint32_t>(words, 0));
  for (int64_t id = 0; id < vocab_size_; ++id) {
    const std::string_view text = bytes(id);
    if (text.empty() || text.size() > kMaxTokenBytes) continue;
    if (text.size() == 1) single_bytes_.set(static_cast<uint8_t>(text[0]));
    const int64_t length = plain_length(text);
    if (length < 0) {
      rest.push_back(static_cast<int32_t>(id));
      continue;
    }
    plain.push_back(static_cast<int32_t>(id));
    for (int64_t n = length; n <= kMaxPlain; ++n) {
      plain_masks_[static_cast<size_t>(n)][static_cast<size_t>(id / 32)] |= uint32_t{1} << (id % 32);
    }
  }
  plain_ = grow(std::move(plain));
  rest_ = grow(std::move(rest));
}

std::string_view TokenTrie::bytes(int64_t id) const {
  if (id < 0 || id >= vocab_size_ || tokenizer_.is_special(id)) return {};
  return tokenizer_.token_bytes(id);
}

int64_t TokenTrie::plain_length(std::string_view bytes) {
  int64_t length = 0;
  for (size_t at = 0; at < bytes.size(); ++length) {
    const Utf8Step step = utf8_step(bytes.substr(at));
    const auto byte = static_cast<uint8_t>(bytes[at]);
    if (!step.whole || length == kMaxPlain || byte < 0x20 || byte == '"' || byte == '\\') return -1;
    at += step.size;
  }
  return length;
}

TokenTrie::Tree TokenTrie::grow(std::vector<int32_t> ids) const {
  Tree tree;
  std::sort(ids.begin(), ids.end(), [this](int32_t a, int32_t b) {
    const std::string_view x = bytes(a), y = bytes(b);
    return x != y ? x < y : a < b;
  });
  std::vector<uint32_t> path;  // nodes from the root to the last token
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      tree.nodes[path.back()].end = static_cast<uint32_t>(tree.nodes.size());
  };
  std::string_view last;
  for (const int32_t id : ids) {
    const std::string_view text = bytes(id);
    const auto parting = std::mismatch(text.begin(), text.end(), last.begin(), last.end()).first;
    close(static_cast<size_t>(parting - text.begin()));
    while (path.size() < text.size()) {
      Node node;
      node.depth = static_cast<uint16_t>(path.size());
      node.byte = static_cast<uint8_t>(text[path.size()]);
      path.push_back(static_cast<uint32_t>(tree.nodes.size()));
      tree.nodes.push_back(node);
    }
    Node& node = tree.nodes[path.back()];
    if (node.num_tokens == 0) node.tokens = static_cast<uint32_t>(tree.ids.size());
    ++node.num_tokens;
    tree.ids.push_back(id);
    tree.longest = std::max(tree.longest, text.size());
    last = text;
  }
  close(0);
  return tree;
}

int32_t TokenTrie::walk(const Tree& tree, Matcher& matcher, int32_t state, std::span<uint32_t> mask,
                        int64_t most) {
  std::vector<int32_t> states(tree.longest + 1);
  states[0] = state;
  int32_t largest = -1;
  const size_t size = tree.nodes.size();
  for (size_t i = 0; i < size;) {
    const Node& node = tree.nodes[i];
    const int32_t to = matcher.step(states[node.depth], node.byte);
    if (to == Matcher::kDead) {
      i = node.end;
      continue;
    }
    const int32_t shortest = node.num_tokens > 0 ? matcher.shortest(to) : 0;
    if (node.num_tokens > 0 && shortest <= most) {
      largest = std::max(largest, shortest);
      for (uint32_t t = 0; t < node.num_tokens; ++t) {
        const auto id = static_cast<uint32_t>(tree.ids[node.tokens + t]);
        mask[id / 32] |= uint32_t{1} << (id % 32);
      }
    }
    states[size_t{node.depth} + 1] = to;
    ++i;
  }
  return largest;
}

int32_t TokenTrie::allow(Matcher& matcher, int32_t state, std::span<uint32_t> mask, int64_t most) const {
  const Matcher::Plain plain = matcher.plain(state);
  const bool any = plain.count >= kMaxPlain;
  int32_t largest = plain.shortest;
  if ((any || plain.exact) && plain.shortest <= most) {
    const std::vector<uint32_t>& known =
        plain_masks_[static_cast<size_t>(std::min<int64_t>(plain.count, kMaxPlain))];
    for (size_t i = 0; i < known.size(); ++i) mask[i] |= known[i];
  } else {
    largest = walk(plain_, matcher, state, mask, most);
  }
  return std::max(largest, walk(rest_, matcher, state, mask, most));
}

}  // namespace vl3::grammar
