#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "grammar/formats.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"

namespace vl3::grammar {
namespace {

int64_t count_of(const Json& schema, const char* keyword, int64_t fallback) {
  if (!schema.contains(keyword)) return fallback;
  const Json& value = schema[keyword];
  // Larger ones are beyond every budget.
  return static_cast<int64_t>(std::min(value.get<double>(), 1e12));
}

}  // namespace

// Nothing: any string of the lengths that the schema says.
std::optional<SizedText> SchemaRules::string_form(const Json& schema, const std::string& path) {
  Budget& budget = builder_.budget();
  std::optional<CharNfa> nfa;
  if (schema.contains("pattern"))
    nfa = regex_nfa(schema["pattern"].get<std::string>(), RegexMatch::kSearch,
                    fmt::format("schema {}/pattern", path), budget);
  if (schema.contains("format")) {
    const std::string format = schema["format"].get<std::string>();
    const std::string_view regex = regex_of_format(format);
    require(!regex.empty(), ErrorCode::kUnsupported, "[schema] {}/format: {} is not supported", path,
            shown(schema["format"]));
    CharNfa of_format = regex_nfa(regex, RegexMatch::kWhole, fmt::format("schema {}/format", path), budget);
    nfa = nfa ? both(*nfa, of_format, budget) : std::move(of_format);
  }
  if (!nfa) return std::nullopt;
  return SizedText{*std::move(nfa), count_of(schema, "minLength", 0), count_of(schema, "maxLength", -1)};
}

int32_t SchemaRules::string_rule(const Json& schema, const std::string& path) {
  const std::optional<SizedText> form = string_form(schema, path);
  if (!form) return json_.string(count_of(schema, "minLength", 0), count_of(schema, "maxLength", -1));
  const int32_t id = builder_.add_rule();
  const Rule rule = builder_.rule(id);
  const int32_t behind = builder_.add_node();
  text_.text(builder_.literal(rule.start, "\""), *form, behind);
  builder_.literal(behind, "\"", rule.end);
  return id;
}

int32_t SchemaRules::number_rule(const Json& schema, const std::string& path, bool integer) {
  NumberRange range;
  bool bounded = integer;
  const auto bound = [&](const char* keyword, std::optional<Decimal>& value, bool& open, bool strict,
                         bool upper) {
    if (!schema.contains(keyword)) return;
    bounded = true;
    const auto decimal = Decimal::from_json(schema[keyword]);
    require(decimal.has_value(), ErrorCode::kUnsupported,
            "[schema] {}/{}: {} has more than {} digits before or behind the point", path, keyword,
            shown(schema[keyword]), kMaxWholeDigits);
    if (value) {
      // minimum and exclusiveMinimum: the narrower one.
      const Json& other = schema[upper ? "maximum" : "minimum"];
      const bool narrower = upper ? schema[keyword] <= other : schema[keyword] >= other;
      if (!narrower) return;
    }
    value = decimal;
    open = strict;
  };
  bound("minimum", range.min, range.above_min, false, false);
  bound("exclusiveMinimum", range.min, range.above_min, true, false);
  bound("maximum", range.max, range.below_max, false, true);
  bound("exclusiveMaximum", range.max, range.below_max, true, true);
  if (integer) range.fraction_digits = 0;
  if (schema.contains("multipleOf")) {
    bounded = true;
    const auto step = Decimal::from_json(schema["multipleOf"]);
    require(step && !step->negative && !step->zero(), ErrorCode::kInvalidArgument,
            "[schema] {}/multipleOf should be above 0, not {}", path, shown(schema["multipleOf"]));
    const bool whole = step->fraction.empty() && step->whole.size() <= 4;
    const bool tenth =
        step->whole == "0" && step->fraction.find_last_not_of('0') == step->fraction.size() - 1 &&
        step->fraction.find_first_not_of('0') == step->fraction.size() - 1 && step->fraction.back() == '1';
    require(whole || tenth, ErrorCode::kUnsupported,
            "[schema] {}/multipleOf: {} is neither an integer of at most 9999 nor 0.1, 0.01, …", path,
            shown(schema["multipleOf"]));
    range.multiple_of = whole ? std::stoll(step->whole) : 1;
    range.fraction_digits = whole || integer ? 0 : static_cast<int>(step->fraction.size());
  }
  if (!bounded) return json_.number();
  const int32_t id = builder_.add_rule();
  const Rule rule = builder_.rule(id);
  add_numbers(builder_, rule.start, range, rule.end);
  return id;
}

int32_t SchemaRules::array_rule(const Json& schema, const std::string& path, int depth) {
  const int64_t min = count_of(schema, "minItems", 0);
  int64_t max = count_of(schema, "maxItems", -1);
  std::vector<int32_t> prefix;
  if (schema.contains("prefixItems")) {
    for (const Json& item : schema["prefixItems"])
      prefix.push_back(rule_of(item, fmt::format("{}/prefixItems/{}", path, prefix.size()), depth + 1));
  }
  const bool any = !schema.contains("items");
  if (!any && schema["items"] == Json(false))
    max = std::min(max < 0 ? INT64_MAX : max, static_cast<int64_t>(prefix.size()));
  if (any && prefix.empty() && min == 0 && max < 0) return json_.array();
  const int32_t more = any ? json_.value() : rule_of(schema["items"], path + "/items", depth + 1);
  const int32_t id = builder_.add_rule(true);
  const Rule rule = builder_.rule(id);
  int32_t at = builder_.literal(rule.start, "[");
  for (int64_t count = 0;; ++count) {
    if (count >= min) builder_.bytes(at, ']', ']', rule.end);
    if (count == max) break;
    const bool listed = count < static_cast<int64_t>(prefix.size());
    const int32_t item = listed ? prefix[static_cast<size_t>(count)] : more;
    const bool loops = max < 0 && count >= std::max<int64_t>(min, 1) && !listed;
    const int32_t to = loops ? at : builder_.add_node();
    builder_.call(count == 0 ? at : json_.comma(at), item, to);
    if (loops) break;
    at = to;
  }
  return id;
}

}  // namespace vl3::grammar
