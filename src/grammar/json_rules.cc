#include "grammar/json_rules.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "grammar/text_rules.h"

namespace vl3::grammar {

// The id is there before the rule is filled, because values contain values.
int32_t JsonRules::made(int32_t& id, bool nests, void (JsonRules::*fill)(const Rule&)) {
  if (id < 0) {
    id = builder_.add_rule(nests);
    (this->*fill)(Rule(builder_.rule(id)));
  }
  return id;
}

int32_t JsonRules::value() { return made(value_, false, &JsonRules::fill_value); }
int32_t JsonRules::object() { return made(object_, true, &JsonRules::fill_object); }
int32_t JsonRules::array() { return made(array_, true, &JsonRules::fill_array); }
int32_t JsonRules::number() { return made(number_, false, &JsonRules::fill_number); }
int32_t JsonRules::boolean() { return made(boolean_, false, &JsonRules::fill_boolean); }
int32_t JsonRules::character() { return made(character_, false, &JsonRules::fill_character); }

void JsonRules::fill_value(const Rule& rule) {
  builder_.literal(rule.start, "null", rule.end);
  for (const int32_t part : {string(), number(), boolean(), object(), array()})
    builder_.call(rule.start, part, rule.end);
}

void JsonRules::fill_boolean(const Rule& rule) {
  builder_.literal(rule.start, "true", rule.end);
  builder_.literal(rule.start, "false", rule.end);
}

void JsonRules::list(const Rule& rule, char open, int32_t element, char close) {
  const int32_t opened = builder_.literal(rule.start, std::string_view(&open, 1));
  const int32_t behind = builder_.add_node();
  builder_.call(opened, element, behind);
  builder_.call(comma(behind), element, behind);
  builder_.literal(opened, std::string_view(&close, 1), rule.end);
  builder_.literal(behind, std::string_view(&close, 1), rule.end);
}

void JsonRules::fill_array(const Rule& rule) { list(rule, '[', value(), ']'); }

void JsonRules::fill_object(const Rule& rule) {
  const int32_t member = builder_.add_rule();
  const Rule inside = builder_.rule(member);
  const int32_t named = builder_.add_node();
  builder_.call(inside.start, string(), named);
  builder_.call(colon(named), value(), inside.end);
  list(rule, '{', member, '}');
}

int32_t JsonRules::digits(int32_t from, int least, int most) {
  const int32_t out = builder_.add_node();
  for (int i = 0; i <= most; ++i) {
    if (i >= least) builder_.skip(from, out);
    if (i == most) break;
    const int32_t to = builder_.add_node();
    builder_.bytes(from, '0', '9', to);
    from = to;
  }
  return out;
}

void JsonRules::fill_number(const Rule& rule) {
  const int32_t begin = builder_.add_node();
  builder_.skip(rule.start, begin);
  builder_.bytes(rule.start, '-', '-', begin);
  const int32_t whole = builder_.add_node(), first = builder_.add_node();
  builder_.bytes(begin, '0', '0', whole);
  builder_.bytes(begin, '1', '9', first);
  builder_.skip(digits(first, 0, kMaxWholeDigits - 1), whole);
  const int32_t behind = builder_.add_node();
  builder_.skip(whole, behind);
  builder_.skip(digits(builder_.literal(whole, "."), 1, kMaxFractionDigits), behind);
  builder_.skip(behind, rule.end);
  const int32_t exponent = builder_.add_node(), sign = builder_.add_node();
  builder_.bytes(behind, 'e', 'e', exponent);
  builder_.bytes(behind, 'E', 'E', exponent);
  builder_.bytes(exponent, '+', '+', sign);
  builder_.bytes(exponent, '-', '-', sign);
  builder_.skip(exponent, sign);
  builder_.skip(digits(sign, 1, 2), rule.end);
}

// Escapes and characters of several bytes. Escaped surrogates come in pairs.
void JsonRules::fill_character(const Rule& rule) {
  add_characters_beyond_ascii(builder_, rule.start, CharSet::all(), rule.end);
  const int32_t escape = builder_.literal(rule.start, "\\");
  for (const char c : std::string_view("\"\\/bfnrt")) {
    builder_.bytes(escape, static_cast<uint8_t>(c), static_cast<uint8_t>(c), rule.end);
  }
  const auto hex = [this](int32_t from, std::string_view allowed, int32_t to) {
    for (const char c : allowed) builder_.bytes(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c), to);
  };
  constexpr std::string_view kAny = "0123456789abcdefABCDEF", kNoSurrogate = "0123456789abcefABCEF";
  const auto nodes = [this](int count) {
    std::vector<int32_t> list(static_cast<size_t>(count));
    for (int32_t& node : list) node = builder_.add_node();
    return list;
  };
  const auto last = nodes(2);  // two more digits
  hex(last[0], kAny, last[1]);
  hex(last[1], kAny, rule.end);
  const int32_t code = builder_.literal(escape, "u");
  const auto second = nodes(2);  // of any first digit, of d
  hex(code, kNoSurrogate, second[0]);
  hex(code, "dD", second[1]);
  hex(second[0], kAny, last[0]);
  hex(second[1], "01234567", last[0]);
  const auto high = nodes(3);
  hex(second[1], "89abAB", high[0]);
  hex(high[0], kAny, high[1]);
  hex(high[1], kAny, high[2]);
  const int32_t low = builder_.literal(high[2], "\\u");
  const auto low_second = nodes(2);
  hex(low, "dD", low_second[0]);
  hex(low_second[0], "cdefCDEF", last[0]);
  builder_.mark_helpers(rule.start);
}

int32_t JsonRules::string(int64_t min, int64_t max) {
  const auto [found, fresh] = strings_.try_emplace({min, max}, -1);
  if (!fresh) return found->second;
  const int32_t id = found->second = builder_.add_rule();
  const Rule rule = builder_.rule(id);
  int32_t at = builder_.literal(rule.start, "\"");
  for (int64_t count = 0;; ++count) {
    if (count >= min) builder_.bytes(at, '"', '"', rule.end);
    if (count == max) break;
    const bool loops = max < 0 && count >= min;
    const int32_t to = loops ? at : builder_.add_node();
    builder_.bytes(at, ' ', '!', to);
    builder_.bytes(at, '#', '[', to);
    builder_.bytes(at, ']', 0x7F, to);
    builder_.call(at, character(), to);
    if (loops) {
      builder_.set_plain(at, GrammarBuilder::kAnyPlain);
      break;
    }
    const int64_t left = max < 0 ? 200 : max - count;
    builder_.set_plain(at, static_cast<uint8_t>(std::min<int64_t>(left, 200)));
    at = to;
  }
  return id;
}

std::string scalar_text(const Json& value) {
  if (value.is_string()) return '"' + json_escaped(value.get<std::string>()) + '"';
  if (value.is_number_float()) {
    const double real = value.get<double>();
    if (std::abs(real) < 1e15 && real == std::trunc(real)) return std::to_string(static_cast<int64_t>(real));
  }
  return value.dump();
}

int32_t JsonRules::literal(int32_t from, const Json& value) {
  if (!value.is_structured()) return builder_.literal(from, scalar_text(value));
  int32_t at = builder_.literal(from, value.is_array() ? "[" : "{");
  bool first = true;
  for (const auto& [key, element] : value.items()) {
    if (!first) at = comma(at);
    first = false;
    if (value.is_object()) at = colon(builder_.literal(at, scalar_text(key)));
    at = literal(at, element);
  }
  return builder_.literal(at, value.is_array() ? "]" : "}");
}

}  // namespace vl3::grammar
