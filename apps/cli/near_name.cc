#include "near_name.h"

#include <algorithm>
#include <cctype>

namespace vl3::cli {
namespace {

constexpr size_t kLongestName = 64;  // the distance takes the product of two lengths

// Lower case, "-" for "_", no dashes in front.
std::string plain(std::string_view name) {
  std::string text(name.substr(std::min(name.find_first_not_of("-/"), name.size())));
  for (char& c : text) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// Optimal string alignment: letters inserted, left out, replaced, or swapped with their neighbour.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    if (c == '-')
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

bool holds_words(const std::string& typed, const std::string& candidate) {
  if (typed.size() < 3) return false;
  if (candidate.starts_with(typed)) return true;
  const std::vector<std::string> has = words_of(candidate);
  const std::vector<std::string> words = words_of(typed);
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(has.begin(), has.end(), word) != has.end();
  });
}

}  // namespace

std::string near_name(std::string_view typed, const std::vector<std::string>& candidates) {
  const std::string name = plain(typed);
  if (name.empty() || name.size() > kLongestName) return "";
  std::string best;
  size_t least = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::string other = plain(candidate);
    if (other.empty() || other.size() > kLongestName) continue;
    const size_t apart = distance(name, other);
    if (apart < least && apart < other.size()) {
      least = apart;
      best = candidate;
    }
  }
  if (!best.empty()) return best;
  for (const std::string& candidate : candidates) {
    if (holds_words(name, plain(candidate))) return candidate;
  }
  return "";
}

}  // namespace vl3::cli
