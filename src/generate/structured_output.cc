#include "vl3/structured_output.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/json.h"
#include "generate/token_states.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"
#include "grammar/text_rules.h"
#include "grammar/token_trie.h"
#include "vl3/tokenizer.h"

namespace vl3 {

using grammar::Budget;
using grammar::Grammar;
using grammar::GrammarBuilder;

struct StructuredOutput::Impl {
  Impl(std::shared_ptr<const grammar::TokenTrie> vocabulary, Grammar made)
      : trie(std::move(vocabulary)), grammar(std::move(made)), states(grammar, *trie) {}
  std::shared_ptr<const grammar::TokenTrie> trie;
  const Grammar grammar;
  std::mutex mutex;  // guards states, and the answers of every hook
  TokenStates states;
};

StructuredOutput::StructuredOutput(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

bool StructuredOutput::matches(std::string_view text) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->states.accepts(text);
}

bool StructuredOutput::begins(std::string_view text) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->states.begins(text);
}

void StructuredOutput::install(GenerationHooks& hooks, std::span<const int64_t> end_tokens) const {
  std::vector<int64_t> ends(end_tokens.begin(), end_tokens.end());
  require(!ends.empty(), ErrorCode::kInvalidArgument,
          "[constraint] an answer of a given form needs a token to end with, and the settings name none");
  auto answers = std::make_shared<TokenStates::Answers>();
  hooks.allowed = [impl = impl_, ends = std::move(ends), answers](const ConstraintQuery& query,
                                                                  TokenMask mask) {
    const std::lock_guard lock(impl->mutex);
    impl->states.allow(query, ends, *answers, mask);
    return true;
  };
}

struct StructuredCompiler::Impl {
  Impl(const Tokenizer& tokenizer, StructuredLimits l)
      : trie(std::make_shared<grammar::TokenTrie>(tokenizer)), limits(l) {}
  std::shared_ptr<const grammar::TokenTrie> trie;
  StructuredLimits limits;

  Budget budget() const { return {limits.max_states, limits.max_seconds}; }
  void check_size(size_t bytes, std::string_view origin) const {
    require(bytes <= static_cast<uint64_t>(limits.max_source_bytes), ErrorCode::kLimitExceeded,
            "[{}] has {} bytes; at most {}", origin, bytes, limits.max_source_bytes);
  }
  std::shared_ptr<StructuredOutput::Impl> finish(GrammarBuilder& builder, int32_t rule,
                                                 std::string_view origin) const {
    return std::make_shared<StructuredOutput::Impl>(
        trie, builder.finish(rule, limits.max_depth, trie->single_bytes(), origin));
  }
};

StructuredCompiler::StructuredCompiler(const Tokenizer& tokenizer, StructuredLimits limits)
    : impl_(std::make_shared<const Impl>(tokenizer, limits)) {}

StructuredOutput StructuredCompiler::regex(std::string_view expression) const {
  impl_->check_size(expression.size(), "regex");
  Budget budget = impl_->budget();
  const grammar::CharNfa nfa = grammar::regex_nfa(expression, grammar::RegexMatch::kWhole, "regex", budget);
  GrammarBuilder builder(budget);
  const int32_t rule = builder.add_rule();
  const grammar::Rule ends = builder.rule(rule);
  grammar::TextRules(builder, grammar::TextRules::Spelling::kPlain).text(ends.start, nfa, ends.end);
  return StructuredOutput(impl_->finish(builder, rule, "regex"));
}

StructuredOutput StructuredCompiler::choice(std::span<const std::string> texts) const {
  require(!texts.empty(), ErrorCode::kInvalidArgument, "[choice] should have one text at least");
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  impl_->check_size(bytes, "choice");
  Budget budget = impl_->budget();
  GrammarBuilder builder(budget);
  const int32_t rule = builder.add_rule();
  const grammar::Rule ends = builder.rule(rule);
  grammar::add_words(builder, ends.start, texts, ends.end);
  return StructuredOutput(impl_->finish(builder, rule, "choice"));
}

StructuredOutput StructuredCompiler::json_object() const {
  Budget budget = impl_->budget();
  GrammarBuilder builder(budget);
  const int32_t object = grammar::JsonRules(builder).object();
  const int32_t rule = builder.add_rule();
  const grammar::Rule ends = builder.rule(rule);
  builder.call(ends.start, object, ends.end);
  return StructuredOutput(impl_->finish(builder, rule, "json_object"));
}

namespace {

bool deeper_than(const Json& value, int levels) {
  if (!value.is_structured()) return false;
  return levels == 0 ||
         std::any_of(value.begin(), value.end(), [&](const Json& v) { return deeper_than(v, levels - 1); });
}

}  // namespace

StructuredOutput StructuredCompiler::json_schema(const Json& schema) const {
  // Every level of a schema is two of JSON at least.
  require(!deeper_than(schema, 2 * grammar::kMaxSchemaDepth), ErrorCode::kLimitExceeded,
          "[schema] is nested deeper than {} levels", 2 * grammar::kMaxSchemaDepth);
  impl_->check_size(schema.dump(-1, ' ', false, Json::error_handler_t::replace).size(), "schema");
  Budget budget = impl_->budget();
  GrammarBuilder builder(budget);
  const int32_t rule = grammar::SchemaRules(schema, builder).whole();
  return StructuredOutput(impl_->finish(builder, rule, "schema"));
}

StructuredOutput StructuredCompiler::from_json(const Json& spec, std::string_view origin) const {
  require(spec.is_object() && spec.size() == 1, ErrorCode::kInvalidArgument,
          "[{}] should be an object with one of regex, choice, json and json_object, not {}", origin,
          shown(spec));
  const std::string key = spec.begin().key();
  const Json& value = spec.begin().value();
  const auto should_be = [&](bool right, const char* wanted) {
    require(right, ErrorCode::kInvalidArgument, "[{}] {} should be {}, not {}", origin, key, wanted,
            shown(value));
  };
  if (key == "regex") {
    should_be(value.is_string(), "a string");
    return regex(value.get_ref<const std::string&>());
  }
  if (key == "choice") {
    should_be(value.is_array() && !value.empty() &&
                  std::all_of(value.begin(), value.end(), [](const Json& text) { return text.is_string(); }),
              "a list of strings, one at least");
    return choice(value.get<std::vector<std::string>>());
  }
  if (key == "json")
    return json_schema(value.is_string() ? parse_json(value.get_ref<const std::string&>(), origin) : value);
  should_be(key == "json_object", "one of regex, choice, json and json_object");
  should_be(value == Json(true), "true");
  return json_object();
}

}  // namespace vl3
