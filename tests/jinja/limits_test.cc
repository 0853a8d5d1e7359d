// What a template of somebody else's may not do: crash, hang, or use up the machine.

#include "base/json.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"
#include "support/support.h"

namespace vl3::jinja {
namespace {

std::string rendered(const std::string& source, const TemplateLimits& limits = {}) {
  return render(*parse(source, "t", limits.max_depth), {{"items", Value::list({1, 2, 3})}}, "t", limits)
      .bytes;
}

// The code of the error; its message names the template and the line.
ErrorCode refusal(const std::string& source, const TemplateLimits& limits = {}) {
  try {
    rendered(source, limits);
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("[t] line 1: ")) << error.what();
    return error.code();
  }
  ADD_FAILURE() << source;
  return ErrorCode::kInternal;
}

TEST(JinjaLimits, ValuesDoNotNestWithoutEnd) {
  constexpr auto kLimit = ErrorCode::kLimitExceeded;
  EXPECT_EQ(
      refusal("{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}"),
      kLimit);
  EXPECT_EQ(
      refusal("{% set ns = namespace(x={}) %}{% for i in range(99999) %}{% set ns.x = {'a': ns.x.get} %}"
              "{% endfor %}"),
      kLimit);
  EXPECT_EQ(refusal("{% macro m(x) %}{{ m([x]) }}{% endmacro %}{{ m(1) }}"), kLimit);
  // What holds itself is refused where it is made.
  EXPECT_EQ(refusal("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns | tojson }}"),
            ErrorCode::kUnsupported);
  EXPECT_EQ(refusal("{% set ns = namespace() %}{% set ns.x = [ns] %}"), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal("{% set ns = namespace() %}{% set ns.x = joiner(ns) %}"), ErrorCode::kUnsupported);
  // Namespaces in lists and in new namespaces are not.
  EXPECT_EQ(
      rendered("{% for n in [namespace(a=1), namespace(a=2)] %}{{ n.a }}{{ loop.previtem.a if loop.index > 1 "
               "}};{% endfor %}"),
      "1;21;");
  EXPECT_EQ(rendered("{% set n = namespace(a=1) %}{% set m = namespace(n=n) %}{{ m.n.a }}"), "1");
}

TEST(JinjaLimits, WhatIsSharedCountsWhereverItIs) {
  // 60 doublings of a list: a few bytes, and 2^60 when written out or compared.
  const std::string doubled =
      "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
  for (const char* use : {"{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x == [ns.x[0], ns.x[1]] }}"})
    EXPECT_EQ(refusal(doubled + use), ErrorCode::kLimitExceeded);
}

TEST(JinjaLimits, MemoryOfVariables) {
  TemplateLimits limits;
  limits.max_memory_bytes = 3 << 19;
  const std::string big = "{% set ns = namespace(a='', b='') %}{% set x = 'a' * 200000 %}";
  EXPECT_EQ(refusal(big + "{% set y = x + 'b' %}{% set z = x + 'c' %}{% set w = x + 'd' %}", limits),
            ErrorCode::kLimitExceeded);
  EXPECT_EQ(refusal(big + "{% set ns.a = x %}{% set ns.b = x + x %}", limits), ErrorCode::kLimitExceeded);
  std::string hidden = "{% set ns = namespace() %}";
  for (const char* name : {"a", "b", "c", "d"})  // a namespace outlives the scope that it is set in
    hidden += "{% for i in [1] %}{% set ns." + std::string(name) + " = 'x' * 200000 %}{% endfor %}";
  EXPECT_EQ(refusal(hidden, limits), ErrorCode::kLimitExceeded);
  EXPECT_EQ(refusal("{{ ['a' * 200000, 'b' * 600000] | length }}", limits), ErrorCode::kLimitExceeded);
  // Set again, or gone with its scope, a variable counts no more.
  EXPECT_EQ(rendered(big + "{% for i in range(9) %}{% set y = x ~ i %}{% set ns.a = y %}{% endfor %}"
                           "{% set x = 'b' * 200000 %}{{ x | length }}",
                     limits),
            "200000");
}

TEST(JinjaLimits, FiltersMakeNothingLargerThanTheOutput) {
  TemplateLimits limits;
  limits.max_output_bytes = 1 << 20;
  for (const char* source :
       {"{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
        "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}", "{{ range(100000) | join('x' * 1000000) }}",
        "{{ ('x' * 1000000).join(items) }}", "{{ ('&' * 1000000) | e }}",
        "{{ ('a\\n' * 500000) | indent('y' * 1000000) }}", "{{ range(100000) | list | tojson(indent=64) }}",
        "{{ items | batch(999999999999, 'x') }}"}) {
    EXPECT_EQ(refusal(source, limits), ErrorCode::kLimitExceeded) << source;
  }
}

TEST(JinjaLimits, NumbersAtTheirEdges) {
  const std::string smallest = "(-9223372036854775807 - 1)";
  EXPECT_EQ(rendered("{{ " + smallest + " is divisibleby(-1) }}"), "True");
  EXPECT_EQ(refusal("{{ 1 is divisibleby(0) }}"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refusal("{{ " + smallest + " // -1 }}"), ErrorCode::kLimitExceeded);
  EXPECT_EQ(refusal("{{ 1e300 | int }}"), ErrorCode::kLimitExceeded);
  EXPECT_EQ(rendered("{{ '1e300' | int(7) }}"), "7");
  EXPECT_EQ(rendered("{{ 1e999 }} {{ 1e-999 }}"), "inf 0.0");
  EXPECT_EQ(rendered("{{ 'abcd'[1::9223372036854775807] }}{{ items[1::9223372036854775807] }}"), "b[2]");
  EXPECT_EQ(rendered("{{ 'abcd'[::" + smallest + "] }}"), "d");
  EXPECT_EQ(rendered("{{ (-1) ** 9223372036854775807 }}{{ 0 ** 9 }}{{ 2 ** 62 }}"), "-104611686018427387904");
  EXPECT_EQ(refusal("{{ 2 ** 63 }}"), ErrorCode::kLimitExceeded);
}

TEST(JinjaLimits, TextsOfManyCharactersAreMeasuredAndCutWhole) {
  EXPECT_EQ(rendered("{% set s = 'ä' * 1100000 %}{{ s | length }}{{ s[-1] }}{{ s[:2] }}"), "1100000äää");
  EXPECT_EQ(refusal("{% for c in 'a' * 1100000 %}{% endfor %}"), ErrorCode::kLimitExceeded);
  EXPECT_EQ(refusal("{{ ('a,' * 1100000).split(',') | length }}"), ErrorCode::kLimitExceeded);
}

// A chain of operators is a tree as deep as the chain is long.
TEST(JinjaLimits, LongChainsAreRefusedWhenTheyAreEvaluated) {
  const auto chain = [](const std::string& first, const std::string& link) {
    std::string text = first;
    for (int i = 0; i < 300000; ++i) text += link;
    return text;
  };
  for (const std::string& source :
       {chain("1", "+1"), chain("1", " and 1"), chain("1", "|e"), chain("x", ".a"), chain("x", "[0]"),
        chain("x", "()"), chain("1", " if 1"), chain("1", " is odd")}) {
    EXPECT_EQ(refusal("{{ " + source + " }}"), ErrorCode::kLimitExceeded) << source.substr(0, 10);
    EXPECT_EQ(rendered("{% for i in [1] %}{% if false %}{{ " + source + " }}{% endif %}a{% endfor %}"), "a");
  }
}

TEST(JinjaLimits, MapTakesItsFilterByName) {
  EXPECT_EQ(rendered("{{ ['<'] | map(filter='e') | join }}"), "&lt;");
  EXPECT_EQ(refusal("{{ items | map | list }}"), ErrorCode::kUnsupported);
}

// The name of a template may be that of errors which do not know their place.
TEST(JinjaLimits, AnErrorHasOneLine) {
  try {
    const std::string source = "{% macro m() %}\n{{ 1 // 0 }}{% endmacro %}\n\n{{ m() }}",
                      name = "chat template";
    render(*parse(source, name, 100), {}, name, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[chat template] line 2: division by zero");
  }
}

}  // namespace
}  // namespace vl3::jinja
