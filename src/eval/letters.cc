#include "eval/letters.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/plain_text.h"

namespace vl3::eval {
namespace {

// Of a capital letter that stands for an option.
int index_of(char c, const Options& options) {
  return c >= 'A' && c < 'A' + options.letters() ? c - 'A' : -1;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

// What an option may be called in a reply; empty: nothing.
std::vector<std::string> names_of(const std::string& option) {
  static constexpr const char* kDigits[] = {"zero", "one", "two",   "three", "four",
                                            "five", "six", "seven", "eight", "nine"};
  std::string name = plain(option);
  while (name.ends_with('.')) name.pop_back();
  while (name.starts_with('.')) name.erase(0, 1);
  if (name.empty()) return {};
  std::vector<std::string> names = {name};
  if (name.size() == 1 && is_digit(name[0])) names.emplace_back(kDigits[name[0] - '0']);
  return names;
}

// The words of a text, which white space is between.
int64_t count_words(std::string_view text) {
  int64_t count = 0;
  for (size_t i = 0; i < text.size(); ++i)
    count += !is_space(text[i]) && (i == 0 || is_space(text[i - 1])) ? 1 : 0;
  return count;
}

// Each of these characters in turn from both ends.
std::string stripped(std::string text) {
  for (const char mark : {',', '.', '!', '?', ';', ':', '\''}) {
    const size_t begin = text.find_first_not_of(mark);
    if (begin == std::string::npos) return {};
    text = text.substr(begin, text.find_last_not_of(mark) - begin + 1);
  }
  return text;
}

// The option whose letter comes last in the text with these marks around it.
int last_between(const std::string& text, char before, char after, const Options& options) {
  for (size_t i = text.size(); i-- > 0;) {
    const bool marked = i > 0 && i + 1 < text.size() && text[i - 1] == before && text[i + 1] == after;
    if (marked && index_of(text[i], options) >= 0) return index_of(text[i], options);
  }
  return -1;
}

}  // namespace

int letter_index(std::string_view text) {
  const auto first = std::find_if(text.begin(), text.end(), is_word);
  if (std::count_if(text.begin(), text.end(), is_word) != 1) return -1;
  const char letter = upper(*first);
  return letter >= 'A' && letter <= 'Z' ? letter - 'A' : -1;
}

int first_letter(std::string_view reply, const Options& options) {
  const std::string said = without(without(std::string(reply), "answer"), "Answer");
  for (const char c : said) {
    if (const int index = index_of(c, options); index >= 0) return index;
  }
  const std::string folded = plain(said);
  for (size_t i = 0; i < options.texts.size(); ++i) {
    for (const std::string& name : names_of(options.texts[i])) {
      if (folded.find(name) != std::string::npos) return static_cast<int>(i);
    }
  }
  return -1;
}

int word_letter(std::string_view reply, const Options& options) {
  const auto joins = [](char c) { return is_word(c) || c == '_'; };
  for (size_t i = 0; i < reply.size(); ++i) {
    const bool alone = (i == 0 || !joins(reply[i - 1])) && (i + 1 == reply.size() || !joins(reply[i + 1]));
    if (const int index = index_of(upper(reply[i]), options); alone && index >= 0) return index;
  }
  return -1;
}

int last_letter(std::string_view reply, const Options& options) {
  constexpr std::string_view kBox = "boxed{";
  if (const size_t box = reply.find(kBox); box != std::string_view::npos) {
    const std::string_view inside = reply.substr(box + kBox.size());
    if (const size_t end = inside.find('}'); end != std::string_view::npos)
      return end == 1 ? index_of(inside[0], options) : -1;
  }
  const std::string text = fmt::format(" {} ", stripped(std::string(reply)));
  int found = last_between(text, '(', ')', options);
  if (found < 0) found = last_between(text, ' ', ' ', options);
  if (found >= 0 || count_words(text) <= 5) return found;
  const std::string folded = plain(text);
  size_t last = 0;
  for (size_t i = 0; i < options.texts.size(); ++i) {
    const std::string name = plain(options.texts[i]);
    const size_t at = name.empty() ? std::string::npos : folded.rfind(name);
    if (at == std::string::npos || (found >= 0 && at <= last)) continue;
    found = static_cast<int>(i);
    last = at;
  }
  return found;
}

}  // namespace vl3::eval
