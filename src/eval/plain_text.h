#pragma once
// Texts of replies and answers in the form in which they are compared.

#include <string>
#include <string_view>

namespace vl3::eval {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
// Of a word: letters and digits, and every byte of other scripts' characters.
inline bool is_word(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c & 0x80) != 0; }
inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Without case, every run of white space one blank, none around.
std::string plain(std::string_view text);

// The same without final punctuation, unless there is nothing else.
std::string words(std::string_view text);

// text without any of these words, wherever they stand, also in others.
std::string without(std::string text, std::string_view word);

}  // namespace vl3::eval
