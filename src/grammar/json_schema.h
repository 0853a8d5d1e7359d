#pragma once
// JSON schemas as rules of a grammar. docs/structured_output.md is the table of keywords.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "grammar/char_nfa.h"
#include "grammar/grammar.h"
#include "grammar/json_rules.h"
#include "grammar/schema_merge.h"
#include "grammar/text_rules.h"
#include "vl3/json.h"

namespace vl3::grammar {

// The keywords of JSON Schema that schema_merge and SchemaRules know. Throws kInvalidArgument where one has a
// value of the wrong kind, kUnsupported for one that cannot be honoured; both name it as a JSON pointer.
void check_keywords(const Json& schema, const std::string& path);

class SchemaRules {
 public:
  SchemaRules(const Json& root, GrammarBuilder& builder)
      : root_(root), builder_(builder), json_(builder), text_(builder, TextRules::Spelling::kJson) {}

  // The rule of the whole schema. Throws kInvalidArgument, kUnsupported and kLimitExceeded; messages begin
  // with the place as a JSON pointer.
  int32_t whole() { return rule_of(root_, "#", 0); }

 private:
  class Filter;
  // Of one object's members.
  struct Property {
    std::string name;
    int32_t rule = -1;  // of the member: key, colon, value
    bool required = false;
  };
  struct Members {
    std::vector<Property> named;
    int32_t other = -1;  // rule of further members; -1: there are none
    int64_t min = 0, max = -1;
  };

  int32_t rule_of(const Json& schema, const std::string& path, int depth);
  void fill(const Rule& rule, const Json& schema, const std::string& path, int depth);
  void fill_values(const Rule& rule, const Json& schema, const std::string& path, int depth);
  void fill_types(const Rule& rule, const Json& schema, const std::string& path, int depth);

  int32_t string_rule(const Json& schema, const std::string& path);
  std::optional<SizedText> string_form(const Json& schema, const std::string& path);
  SizedText key_form(const Json& names, const std::string& path);
  int32_t number_rule(const Json& schema, const std::string& path, bool integer);
  int32_t array_rule(const Json& schema, const std::string& path, int depth);
  int32_t object_rule(const Json& schema, const std::string& path, int depth);
  Members members_of(const Json& schema, const std::string& path, int depth);
  void add_named(Members& members, const Json& schema, const std::string& path, int depth);
  int32_t other_members(const Json& schema, const std::vector<std::string>& names, const std::string& path,
                        int depth);
  Json member_schema(const Json& schema, const std::string& name, const std::string& path);
  int32_t member_rule(const std::string& name, const Json& schema, const std::string& path, int depth);
  void fill_members(const Rule& rule, const Members& members);

  const Json& root_;
  GrammarBuilder& builder_;
  JsonRules json_;
  TextRules text_;
  std::map<std::string, int32_t> known_;  // rules by the text of their schema
};

}  // namespace vl3::grammar
