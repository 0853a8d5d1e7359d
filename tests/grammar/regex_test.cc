// Regular expressions: what they match, beside the standard library's, and what is refused by name.

#include <regex>

#include "grammar/grammar_support.h"
#include "support/expect_failure.h"
#include "support/support.h"

namespace vl3::grammar {
namespace {

struct Case {
  const char* expression;
  std::vector<std::string> matches, others;
};

TEST(Regex, MatchesWholeTexts) {
  const std::vector<Case> cases = {
      {"abc", {"abc"}, {"", "ab", "abcd", "xabc"}},
      {"^abc$", {"abc"}, {"^abc$"}},
      {"a|bc|", {"a", "bc", ""}, {"abc", "b"}},
      {"^a$|^b", {"a", "b"}, {"ab"}},
      {"a*b+c?", {"b", "aabbc"}, {"aac", "bcc"}},
      {"a{2}b{1,3}?c{2,}", {"aabcc", "aabbbccc"}, {"abcc", "aabbbbcc", "aabc"}},
      {"(?:ab|c)+(?<name>d)(?P<more>e)", {"abde", "cabde"}, {"de"}},
      {"[a-c\\d_-]+", {"a1-_", "c"}, {"d", ""}},
      {"[^a-c\\s]", {"d", "é", "中"}, {"a", " ", "\t", "\u00a0", "\u3000"}},
      {".", {"x", "é", "🙂", "\t"}, {"\n", "\r", "", "xx", "\xFF", "\xC3"}},
      {"\\d\\D", {"1x"}, {"11", "xx", "1٣", "٣x"}},
      {"\\w\\W", {"a-", "_ "}, {"ab", "aé", "é-"}},
      {"\\s\\S", {" x", "\nx"}, {"  ", "\u00a0x"}},
      {"\\x41\\u00e9\\u{1F642}\\uD83D\\uDE42", {"Aé🙂🙂"}, {"A"}},
      {"\\.\\[\\]\\{\\}\\/\\-\\\\", {".[]{}/-\\"}, {"x"}},
      {"a{x}{", {"a{x}{"}, {"a"}},
      {"[à-ü]{2}", {"àü", "éè"}, {"ab", "é", "ÿÿ"}},
      {"\\p{L}+\\p{N}", {"éa1", "中٣"}, {"1", "a"}},
      {"[\\u{800}-\\u{10FFFF}]", {"ࠀ", "中", "\U0010FFFF", "\uFFFF"}, {"\u07FF", "\xED\xA0\x80"}},
      {"(a+)+$", {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}},
      {"(a*)*b", {"b", "aab"}, {"a"}},
      {"(|a){0,3}", {"", "aaa"}, {"aaaa"}},
  };
  for (const Case& one : cases) {
    Compiled compiled = Compiled::regex(one.expression);
    for (const std::string& text : one.matches)
      EXPECT_TRUE(compiled.accepts(text)) << one.expression << "  " << text;
    for (const std::string& text : one.others)
      EXPECT_FALSE(compiled.accepts(text)) << one.expression << "  " << text;
  }
}

// Against an engine of another kind, on random texts and on random walks through the automaton.
TEST(Regex, AgreesWithTheStandardLibrary) {
  std::mt19937 random(1);
  for (const char* expression :
       {"(a|ab)(c|bcd)(d*)", "(a*)(b|abc)*c?", "[ab]{1,3}(c|d[^a])?", "a?b?c?d?", "((a|b)(c|d)){0,2}a",
        "([a-c]*a){3}", "b*(abb*)*(a|)", "[^ab]+[ab]{2,}", "\\[[0-3]{1,2}(,[0-3]{1,2}){2}\\]"}) {
    Compiled compiled = Compiled::regex(expression);
    const std::regex oracle(expression);
    for (int i = 0; i < 2000; ++i) {
      std::string text;
      for (uint32_t left = random() % 9; left > 0; --left) text += "abcd[],0123"[random() % (i % 2 ? 4 : 11)];
      EXPECT_EQ(compiled.accepts(text), std::regex_match(text, oracle)) << expression << "  " << text;
    }
    int walked = 0;
    for (int i = 0; i < 50; ++i) {
      const std::string text = compiled.walk(random, 200);
      const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
      if (text.empty() || !ascii) continue;
      EXPECT_TRUE(std::regex_match(text, oracle)) << expression << "  " << text;
      ++walked;
    }
    EXPECT_GT(walked, 0) << expression;
  }
}

TEST(Regex, SaysWhatIsWrongAndWhere) {
  for (const auto& [expression, what] :
       std::vector<std::pair<const char*, const char*>>{{"(", "a ( that nothing closes at byte 0"},
                                                        {"ab)", "a ) that nothing opens at byte 2"},
                                                        {"[]", "an empty class"},
                                                        {"[a", "a [ that nothing closes at byte 0"},
                                                        {"[b-a]", "no characters in order"},
                                                        {"[\\d-z]", "no characters in order"},
                                                        {"[^\\s\\S]", "a class without any character"},
                                                        {"*a", "a repetition of nothing at byte 0"},
                                                        {"a**", "a repetition of a repetition"},
                                                        {"a{3,2}", "whose most are fewer"},
                                                        {"a\\", "a \\ at its end"},
                                                        {"\\xg0", "hexadecimal"},
                                                        {"\\ud800", "no character"},
                                                        {"\xFF", "not UTF-8"},
                                                        {"(?<a", "a name of a group"}}) {
    test::expect_failure(ErrorCode::kInvalidArgument, {what}, [text = expression] { Compiled::regex(text); });
  }
}

TEST(Regex, RefusesByName) {
  for (const auto& [expression, what] :
       std::vector<std::pair<const char*, const char*>>{{"(?=a)b", "lookahead"},
                                                        {"(?!a)b", "lookahead"},
                                                        {"(?<=a)b", "lookbehind"},
                                                        {"(?<!a)b", "lookbehind"},
                                                        {"(a)\\1", "backreference"},
                                                        {"(?P<n>a)(?P=n)", "backreference"},
                                                        {"\\k<n>", "backreference"},
                                                        {"\\bword", "word boundary"},
                                                        {"(?i)a", "a flag"},
                                                        {"(?>a)", "another group"},
                                                        {"a++", "possessive"},
                                                        {"(^a)", "a ^ that is not at its beginning"},
                                                        {"a$b", "a $ that is not at its end"},
                                                        {"[[:alpha:]]", "POSIX"},
                                                        {"\\p{Greek}", "\\p{L}"},
                                                        {"\\q", "an escape of another letter"},
                                                        {"a{,3}", "dialects disagree"},
                                                        {"\\012", "octal"}}) {
    test::expect_failure(ErrorCode::kUnsupported, {what}, [text = expression] { Compiled::regex(text); });
  }
}

TEST(Regex, EndsWithinItsBudget) {
  for (const char* expression : {"(a{1000}){1000}", "((((a{100}){100}){100}){100})", "(()){100000}",
                                 "([a-z]{1,1000}){1,1000}", "(a|b|c){0,99999}x{0,99999}"})
    test::expect_failure(ErrorCode::kLimitExceeded, {"states"},
                         [text = expression] { Compiled::regex(text); });
  test::expect_failure(ErrorCode::kLimitExceeded, {"repeats more than"},
                       [] { Compiled::regex("a{100001}"); });
  test::expect_failure(ErrorCode::kLimitExceeded, {"nested deeper"},
                       [] { Compiled::regex(std::string(5000, '(') + std::string(5000, ')')); });
  // Exponential for a backtracking engine, or when made deterministic as a whole.
  Compiled compiled = Compiled::regex("(.*a){12}");
  EXPECT_TRUE(compiled.accepts(std::string(20'000, 'a')));
  EXPECT_FALSE(compiled.accepts(std::string(20'000, 'b')));
  Compiled ambiguous = Compiled::regex("(a|a|a?)*b");
  EXPECT_TRUE(ambiguous.accepts(std::string(100'000, 'a') + "b"));
}

}  // namespace
}  // namespace vl3::grammar
