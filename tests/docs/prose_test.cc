// Documents can be read in a terminal and in a diff.

#include <regex>

#include "documents.h"

namespace vl3 {
namespace {

constexpr size_t kWidth = 100;

size_t width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

// The lines of prose that are too long and could be broken: not those of tables, headings, code or HTML, and
// not a word, a link's address or a short piece of code that is itself too long.
std::vector<int> long_lines(const std::string& document) {
  std::vector<int> found;
  std::istringstream lines(document);
  bool fence = false, after_blank = true, code = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string plain = test::trimmed(line);
    if (plain.starts_with("```")) fence = !fence;
    const bool indented = line.starts_with("    ");
    code = indented && (code || after_blank);
    after_blank = plain.empty();
    if (fence || code || plain.empty() || std::string("|#<!`").find(plain[0]) != std::string::npos) continue;
    if (width(line) <= kWidth) continue;
    // Code of up to 60 characters stays in one piece.
    const std::string whole = std::regex_replace(line, std::regex("`[^`]{1,60}`"), "`");
    const size_t first = line.find_first_not_of(" -*+0123456789.)");
    const size_t space = whole.find(' ', first == std::string::npos ? 0 : first);
    if (space != std::string::npos) found.push_back(number);
  }
  return found;
}

TEST(Prose, IsWrapped) {
  const std::vector<std::string> names = test::documents();
  ASSERT_GT(names.size(), 20U);
  for (const std::string& name : names) {
    for (const int line : long_lines(test::read_text(test::project() / name)))
      ADD_FAILURE() << name << ':' << line << " is longer than " << kWidth << " characters";
  }
}

TEST(Prose, WhatCannotBeBrokenIsLeftAlone) {
  const std::string longer(120, 'x');
  EXPECT_EQ(long_lines("a " + longer), (std::vector<int>{1}));
  EXPECT_EQ(long_lines("fine\n\n- a " + longer), (std::vector<int>{3}));
  for (const std::string& text :
       {longer, "- " + longer, "| a | " + longer, "# a " + longer, "```\na " + longer + "\n```",
        "a\n\n    a " + longer, "![a b](" + longer + ")"})
    EXPECT_TRUE(long_lines(text).empty()) << text;
}

}  // namespace
}  // namespace vl3
