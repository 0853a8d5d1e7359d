#include "grammar/text_rules.h"

#include <fmt/format.h>

#include <array>

#include "text/unicode.h"

namespace vl3::grammar {
namespace {

// Ranges of UTF-8 sequences of one length, as paths of byte ranges.
class Utf8Paths {
 public:
  Utf8Paths(GrammarBuilder& builder, int32_t to) : builder_(builder), to_{to, -1, -1, -1} {}

  void add(int32_t from, std::string_view low, std::string_view high) {
    const auto lead = [](std::string_view text) { return static_cast<uint8_t>(text[0]); };
    if (low.size() == 1) {
      builder_.bytes(from, lead(low), lead(high), to_[0]);
      return;
    }
    const size_t rest = low.size() - 1;
    const std::string lowest(rest, '\x80'), highest(rest, '\xBF');
    if (low[0] == high[0]) {
      if (low.substr(1) == lowest && high.substr(1) == highest) {
        builder_.bytes(from, lead(low), lead(low), any(rest));
      } else {
        const int32_t middle = step(from, lead(low));
        add(middle, low.substr(1), high.substr(1));
      }
      return;
    }
    uint8_t first = lead(low), last = lead(high);
    if (low.substr(1) != lowest) add(step(from, first++), low.substr(1), highest);
    if (high.substr(1) != highest) add(step(from, last--), lowest, high.substr(1));
    if (first <= last) builder_.bytes(from, first, last, any(rest));
  }

 private:
  int32_t step(int32_t from, uint8_t byte) {
    const int32_t to = builder_.add_node();
    builder_.bytes(from, byte, byte, to);
    return to;
  }
  // A node behind which so many more bytes follow, whatever they are.
  int32_t any(size_t count) {
    if (to_[count] < 0) {
      const int32_t node = builder_.add_node();
      builder_.bytes(node, 0x80, 0xBF, any(count - 1));
      to_[count] = node;
    }
    return to_[count];
  }
  GrammarBuilder& builder_;
  std::array<int32_t, 4> to_;
};

const CharSet& of_length(size_t bytes) {
  static const std::array<CharSet, 3> sets = {
      CharSet{{0x80, 0x7FF}}, CharSet{{0x800, 0xD7FF}, {0xE000, 0xFFFF}}, CharSet{{0x10000, 0x10FFFF}}};
  return sets[bytes - 2];
}

// What a JSON string has to escape.
const CharSet& escaped() {
  static const CharSet set = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
  return set;
}

std::string escape_of(uint32_t c) {
  constexpr std::string_view kShort = "\"\"\\\\\bb\ff\nn\rr\tt";
  for (size_t i = 0; i < kShort.size(); i += 2) {
    if (static_cast<uint32_t>(kShort[i]) == c) return {'\\', kShort[i + 1]};
  }
  return fmt::format("\\u{:04x}", c);
}

}  // namespace

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80 && escaped().contains(byte)) {
      out += escape_of(byte);
    } else {
      out += c;
    }
  }
  return out;
}

void add_characters_beyond_ascii(GrammarBuilder& builder, int32_t from, const CharSet& set, int32_t to) {
  Utf8Paths paths(builder, to);
  for (size_t length = 2; length <= 4; ++length) {
    const CharSet of_this_length = set.shared(of_length(length));
    for (const CharRange& range : of_this_length.ranges()) {
      std::string low, high;
      append_utf8(low, range.first);
      append_utf8(high, range.last);
      paths.add(from, low, high);
    }
  }
}

// What is more than a byte is a rule, made once: classes of Unicode have hundreds of paths.
int32_t TextRules::rule_beyond_ascii(const CharSet& set) {
  std::vector<std::pair<uint32_t, uint32_t>> key;
  for (const CharRange& range : set.ranges()) key.emplace_back(range.first, range.last);
  const auto [found, fresh] = rules_.try_emplace(std::move(key), -1);
  if (!fresh) return found->second;
  const int32_t id = found->second = builder_.add_rule();
  const Rule rule = builder_.rule(id);
  add_characters_beyond_ascii(builder_, rule.start, set, rule.end);
  std::vector<std::string> escapes;
  for (const CharRange& range : set.ranges()) {
    for (uint32_t c = range.first; c <= range.last && c < 0x80; ++c) escapes.push_back(escape_of(c));
  }
  add_words(builder_, rule.start, escapes, rule.end);
  return id;
}

void TextRules::one_of(int32_t from, const CharSet& set, int32_t to) {
  static const CharSet ascii = {{0, 0x7F}};
  CharSet single = set.shared(ascii);
  if (spelling_ == Spelling::kJson) single = single.without(escaped());
  for (const CharRange& range : single.ranges()) {
    builder_.bytes(from, static_cast<uint8_t>(range.first), static_cast<uint8_t>(range.last), to);
  }
  const CharSet more = set.without(single);
  if (!more.empty()) builder_.call(from, rule_beyond_ascii(more), to);
}

void TextRules::text(int32_t from, const CharNfa& nfa, int32_t to) {
  std::vector<int32_t> nodes(nfa.states.size());
  for (int32_t& node : nodes) node = builder_.add_node();
  builder_.skip(from, nodes[static_cast<size_t>(nfa.start)]);
  builder_.skip(nodes[static_cast<size_t>(nfa.end)], to);
  for (size_t state = 0; state < nodes.size(); ++state) {
    for (const CharNfa::Edge& edge : nfa.states[state]) {
      const int32_t target = nodes[static_cast<size_t>(edge.to)];
      if (edge.set < 0) {
        builder_.skip(nodes[state], target);
      } else {
        one_of(nodes[state], nfa.sets[static_cast<size_t>(edge.set)], target);
      }
    }
  }
}

void TextRules::text(int32_t from, const SizedText& sized, int32_t to) {
  if (sized.min <= 0 && sized.max < 0) return text(from, sized.nfa, to);
  const int32_t id = builder_.add_counted_rule(sized.min, sized.max);
  const Rule rule = builder_.rule(id);
  text(rule.start, sized.nfa, rule.end);
  builder_.call(from, id, to);
}

void add_words(GrammarBuilder& builder, int32_t from, std::span<const std::string> words, int32_t to) {
  std::map<std::pair<int32_t, char>, int32_t> children;
  for (const std::string& word : words) {
    int32_t at = from;
    for (const char c : word) {
      const auto [found, fresh] = children.try_emplace({at, c}, -1);
      if (fresh) {
        found->second = builder.add_node();
        builder.bytes(at, static_cast<uint8_t>(c), static_cast<uint8_t>(c), found->second);
      }
      at = found->second;
    }
    builder.skip(at, to);
  }
}

}  // namespace vl3::grammar
