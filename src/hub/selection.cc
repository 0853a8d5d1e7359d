#include "hub/selection.h"

#include <algorithm>
#include <utility>

namespace vl3::hub {
namespace {

constexpr std::string_view kPickled[] = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"};

// The class of characters at pattern[at] == '[': where it ends, and whether c is in it. As in Python, one
// that is not closed is the character itself (end 0).
struct ClassMatch {
  size_t end = 0;
  bool holds = false;
};
ClassMatch match_class(std::string_view pattern, size_t at, char c) {
  size_t from = at + 1;
  const bool negated = from < pattern.size() && pattern[from] == '!';
  if (negated) ++from;
  const size_t close = pattern.find(']', from < pattern.size() && pattern[from] == ']' ? from + 1 : from);
  if (close == std::string_view::npos) return {};
  bool found = false;
  for (size_t i = from; i < close; ++i) {
    if (i + 2 < close && pattern[i + 1] == '-') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || pattern[i] == c;
    }
  }
  return {close + 1, found != negated};
}

// Behind the part of the pattern at p that takes one character, or npos.
size_t match_one(std::string_view pattern, size_t p, char c) {
  if (pattern[p] == '?') return p + 1;
  if (pattern[p] == '[') {
    const ClassMatch match = match_class(pattern, p, c);
    if (match.end > 0) return match.holds ? match.end : std::string_view::npos;
  }
  return pattern[p] == c ? p + 1 : std::string_view::npos;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.ends_with('/')) return text.starts_with(pattern);
  size_t p = 0, t = 0, star = std::string_view::npos, resumed = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resumed = t;
      continue;
    }
    const size_t next = p < pattern.size() ? match_one(pattern, p, text[t]) : std::string_view::npos;
    if (next != std::string_view::npos) {
      p = next;
      ++t;
    } else if (star != std::string_view::npos) {  // the last star takes one more
      p = star + 1;
      t = ++resumed;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

const std::vector<std::string>& optional_files() {
  static const std::vector<std::string> kFiles = {"adapter_config.json",
                                                  "added_tokens.json",
                                                  "chat_template.jinja",
                                                  "chat_template.json",
                                                  "generation_config.json",
                                                  "merges.txt",
                                                  "model.safetensors",
                                                  "model.safetensors.index.json",
                                                  "preprocessor_config.json",
                                                  "processor_config.json",
                                                  "special_tokens_map.json",
                                                  "tokenizer.json",
                                                  "tokenizer_config.json",
                                                  "video_preprocessor_config.json",
                                                  "vocab.json"};
  return kFiles;
}

bool is_needed(std::string_view path) {
  if (path.starts_with("additional_chat_templates/") && path.ends_with(".jinja")) return true;
  if (path.find('/') != std::string_view::npos) return false;  // weights of other formats lie in folders
  const auto& optional = optional_files();
  if (path == "config.json" || std::find(optional.begin(), optional.end(), path) != optional.end())
    return true;
  if (path.ends_with(".jinja")) return true;
  // Shards, and an adapter's; not "consolidated.safetensors", which has the same weights once more.
  return path.ends_with(".safetensors") && (path.starts_with("model") || path.starts_with("adapter_model"));
}

Selection::Selection(std::vector<std::string> include, std::vector<std::string> exclude)
    : include_(std::move(include)), exclude_(std::move(exclude)) {}

bool Selection::takes(std::string_view path) const {
  const auto matched = [&](const std::string& pattern) { return matches(pattern, path); };
  if (std::any_of(exclude_.begin(), exclude_.end(), matched)) return false;
  if (include_.empty()) return is_needed(path);
  for (const std::string_view ending : kPickled) {
    if (!path.ends_with(ending)) continue;
    return std::any_of(include_.begin(), include_.end(),
                       [&](const std::string& p) { return p.ends_with(ending) && matches(p, path); });
  }
  return std::any_of(include_.begin(), include_.end(), matched);
}

}  // namespace vl3::hub
