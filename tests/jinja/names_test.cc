// Which variables and keys a template reads, as far as its text says.

#include "jinja/names.h"

#include <gtest/gtest.h>

namespace vl3::jinja {
namespace {

using Set = std::set<std::string>;

Names names(const std::string& source) { return names_in(source, "test", "messages"); }

TEST(Names, OfTextAreNone) {
  const Names of = names("message.key <|im_end|> {# {{ comment.key }} #}");
  EXPECT_EQ(of.variables, Set());
  EXPECT_EQ(of.keys, Set());
  EXPECT_FALSE(of.any_key);
}

TEST(Names, VariablesAreWhatTheTemplateDoesNotBind) {
  EXPECT_EQ(names("{% for message in messages %}{{ message.role }}{% endfor %}").variables,
            Set({"messages"}));
  EXPECT_EQ(names("{% if add_generation_prompt is defined and not enable_thinking %}x{% endif %}").variables,
            Set({"add_generation_prompt", "enable_thinking"}));
  // Read before it is bound.
  EXPECT_EQ(names("{% set tools = tools or none %}{{ tools }}").variables, Set({"tools"}));
  EXPECT_EQ(names("{% set ns = namespace(found=false) %}{% if ns.found %}x{% endif %}").variables, Set());
  EXPECT_EQ(names("{{ documents | map('upper') | join(', ') if x is string else raise_exception('no') }}")
                .variables,
            Set({"documents", "x"}));
  EXPECT_EQ(names("{% for key, value in options.items() %}{{ key }}{{ value }}{{ loop.index0 }}{% endfor %}")
                .variables,
            Set({"options"}));
  EXPECT_EQ(names("{% macro show(a, b) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ show(d, 1) }}").variables,
            Set({"c", "d"}));
}

TEST(Names, KeysAreReadInEveryWay) {
  const Set keys = names(
                       "{% for m in messages %}{{ m.role }}{{ m['content'] }}{{ m.get('name') }}"
                       "{% if 'tool_calls' in m and m.role == 'user' %}{{ 'x' }}{% endif %}{% endfor %}"
                       "{{ messages | selectattr('weight') | map(attribute='lang') | list }}")
                       .keys;
  for (const char* key : {"role", "content", "name", "tool_calls", "weight", "lang"})
    EXPECT_TRUE(keys.contains(key)) << key;
  for (const char* word : {"user", "x", "m", "messages"}) EXPECT_FALSE(keys.contains(word)) << word;
}

TEST(Names, AMessageThatIsShownWholeHasEveryKeyRead) {
  for (const char* whole :
       {"{% for m in messages %}{{ m | tojson }}{% endfor %}", "{% for m in messages %}{{ m }}{% endfor %}",
        "{% for m in messages[1:] %}{% for k, v in m.items() %}{{ k }}{% endfor %}{% endfor %}",
        "{% set rest = messages[1:] %}{% for m in rest %}{{ show(m) }}{% endfor %}",
        "{% for m in messages %}{{ m[key] }}{% endfor %}", "{{ messages | tojson }}", "{{ messages[0] }}"})
    EXPECT_TRUE(names(whole).any_key) << whole;
  for (const char* named :
       {"{% for m in messages %}{{ m.role }}{{ m['content'] | trim }}{% if m is mapping %}x{% endif %}{% "
        "endfor %}",
        "{% for m in messages %}{% if 'x' in m %}x{% endif %}{% endfor %}",
        "{% if messages[0].role == 'system' %}x{% endif %}",
        "{% set first = messages[0]['content'] %}{{ messages | length }}", "{{ tools | tojson }}",
        "{% set offset = 1 if messages[0].role == 'system' else 0 %}{{ messages[offset].role }}{{ offset }}",
        "{% for tool in messages[0].tools %}{{ tool | tojson }}{% endfor %}",
        "{% for c in messages[0]['calls'] %}{{ c | tojson }}{% endfor %}"})
    EXPECT_FALSE(names(named).any_key) << named;
}

}  // namespace
}  // namespace vl3::jinja
