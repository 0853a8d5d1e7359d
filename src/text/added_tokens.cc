#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace vl3 {
namespace {

uint8_t class_of_first(std::string_view text) {
  return text.empty() || !utf8_step(text).whole ? uint8_t{0}
                                                : character_table()[character_at(text.data()).code];
}

// The last character of text, or nothing where its end is not one.
std::string_view last_character(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(4, text.size()); ++back) {
    const std::string_view tail = text.substr(text.size() - back);
    if ((static_cast<unsigned char>(tail[0]) & 0xC0) == 0x80) continue;
    const Utf8Step step = utf8_step(tail);
    return step.whole && step.size == back ? tail : std::string_view();
  }
  return {};
}

size_t spaces_at_end(std::string_view text) {
  const size_t whole = text.size();
  for (;;) {
    const std::string_view last = last_character(text);
    if (last.empty() || (class_of_first(last) & kSpace) == 0) return whole - text.size();
    text.remove_suffix(last.size());
  }
}

size_t spaces_at_start(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && (class_of_first(text.substr(at)) & kSpace) != 0) {
    at += character_at(text.data() + at).size;
  }
  return at;
}

}  // namespace

void AddedTokenMatcher::add(const AddedToken& token, std::string_view pattern) {
  if (pattern.empty()) return;
  size_t node = 0;
  for (const char c : pattern) {
    const auto byte = static_cast<unsigned char>(c);
    auto& children = nodes_[node].children;
    const auto found = std::lower_bound(children.begin(), children.end(), std::pair(byte, INT32_MIN));
    if (found != children.end() && found->first == byte) {
      node = static_cast<size_t>(found->second);
      continue;
    }
    children.insert(found, {byte, static_cast<int32_t>(nodes_.size())});
    node = nodes_.size();
    nodes_.emplace_back();
  }
  if (nodes_[node].token >= 0) return;  // the first of equal patterns counts
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  starts_[static_cast<unsigned char>(pattern[0])] = true;
  tokens_.push_back(token);
}

std::pair<int32_t, size_t> AddedTokenMatcher::longest(std::string_view text) const {
  std::pair<int32_t, size_t> best(-1, 0);
  size_t node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto& children = nodes_[node].children;
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto found = std::lower_bound(children.begin(), children.end(), std::pair(byte, INT32_MIN));
    if (found == children.end() || found->first != byte) break;
    node = static_cast<size_t>(found->second);
    if (nodes_[node].token >= 0) best = {nodes_[node].token, i + 1};
  }
  return best;
}

void AddedTokenMatcher::split(std::string_view text, std::vector<Piece>& out) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const auto [index, length] = longest(text.substr(at));
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = at, end = at + length;
    at = end;  // also after a token that does not count: what overlaps it is not looked at
    if (token.single_word && ((class_of_first(last_character(text.substr(0, begin))) & kWord) != 0 ||
                              (class_of_first(text.substr(end)) & kWord) != 0)) {
      continue;
    }
    // Spaces that the token before has taken stay with it.
    if (token.lstrip) begin = std::max(begin - spaces_at_end(text.substr(0, begin)), done);
    if (token.rstrip) end += spaces_at_start(text.substr(end));
    if (done < begin) out.push_back({-1, text.substr(done, begin - done)});
    out.push_back({static_cast<int32_t>(token.id), text.substr(begin, end - begin)});
    done = end;
  }
  if (done < text.size()) out.push_back({-1, text.substr(done)});
}

}  // namespace vl3
