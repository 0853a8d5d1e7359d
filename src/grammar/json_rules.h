#pragma once
// The rules of JSON: any value, strings of so many characters, and values as they are.
//
// The form is the one that models write: a space or none behind : and , and no other white space; numbers of
// at most kMaxWholeDigits and kMaxFractionDigits digits.

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "grammar/grammar.h"
#include "grammar/numbers.h"
#include "vl3/json.h"

namespace vl3::grammar {

class JsonRules {
 public:
  explicit JsonRules(GrammarBuilder& builder) : builder_(builder) {}

  int32_t value();
  int32_t object();
  int32_t array();
  int32_t number();
  int32_t boolean();
  // max -1: no limit.
  int32_t string(int64_t min = 0, int64_t max = -1);

  // Behind a member or an element: the comma. Behind a key: the colon.
  int32_t comma(int32_t from) { return builder_.optional_space(builder_.literal(from, ",")); }
  int32_t colon(int32_t from) { return builder_.optional_space(builder_.literal(from, ":")); }
  // This very value, members in its order.
  int32_t literal(int32_t from, const Json& value);

 private:
  int32_t character();  // what takes more than a byte
  int32_t made(int32_t& id, bool nests, void (JsonRules::*fill)(const Rule&));
  void fill_value(const Rule& rule);
  void fill_object(const Rule& rule);
  void fill_array(const Rule& rule);
  void fill_number(const Rule& rule);
  void fill_boolean(const Rule& rule);
  void fill_character(const Rule& rule);
  void list(const Rule& rule, char open, int32_t element, char close);
  int32_t digits(int32_t from, int least, int most);
  GrammarBuilder& builder_;
  int32_t value_ = -1, object_ = -1, array_ = -1, number_ = -1, boolean_ = -1, character_ = -1;
  std::map<std::pair<int64_t, int64_t>, int32_t> strings_;
};

// A scalar as literal() has it: whole numbers without a point.
std::string scalar_text(const Json& value);

}  // namespace vl3::grammar
