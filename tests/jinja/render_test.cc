// Templates against jinja2, and those that are wrong.

#include <cstdio>
#include <fstream>
#include <random>

#include "base/json.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"
#include "support/support.h"

namespace vl3::jinja {
namespace {

std::string rendered(const std::string& source, const Json& variables, const std::string& name,
                     const TemplateLimits& limits = {}) {
  Dict values = {{"tools", Value::none()}, {"documents", Value::none()}, {"add_generation_prompt", false}};
  for (const auto& [key, value] : variables.items())
    values.emplace_back(Text(key), Value::from_json(value, true));
  return render(*parse(source, name, limits.max_depth), std::move(values), name, limits).bytes;
}

std::string rendered_row(const Json& row) { return rendered(row["template"], row["variables"], row["name"]); }

TEST(Jinja, RendersAsJinja2Does) {
  std::ifstream file(test::data_path("jinja/jinja.jsonl"));
  int equal = 0, errors = 0;
  for (std::string line; std::getline(file, line);) {
    const Json row = parse_json(line, "jinja.jsonl");
    const std::string name = row["name"];
    if (row.contains("error")) {
      EXPECT_THROW(rendered_row(row), Error) << name;
      ++errors;
      continue;
    }
    try {
      EXPECT_EQ(rendered_row(row), row["output"].get<std::string>()) << name;
      ++equal;
    } catch (const Error& error) {
      ADD_FAILURE() << name << ": " << error.what();
    }
  }
  EXPECT_GE(equal, 200);
  std::printf("%d renderings equal, %d errors on both sides\n", equal, errors);
}

TEST(Jinja, SaysWhereATemplateIsWrong) {
  const auto message = [](const std::string& source) -> std::string {
    try {
      rendered(source, {{"messages", Json::array()}}, "t.jinja");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("a\n{% if %}").find("[t.jinja] line 2"), std::string::npos);
  for (const char* source : {"{% for x in y %}",
                             "{{ x",
                             "{% endfor %}",
                             "{{ 'a }}",
                             "{% include 'x' %}",
                             "{{ x | nofilter }}",
                             "{{ 1 is notest }}",
                             "{{ [1][ }}",
                             "{# never",
                             "{% raw %}",
                             "{{ range(1000000) }}",
                             "{{ 'a' * 1000000000000 }}",
                             "{{ 9223372036854775807 + 1 }}",
                             "{{ 1 // 0 }}",
                             "{% break %}",
                             "{{ f(1) }}",
                             "{{ x.y }}",
                             "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}",
                             "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                             "{{ messages.append(1) }}"}) {
    EXPECT_FALSE(message(source).empty()) << source;
  }
  EXPECT_FALSE(message("{{ " + std::string(100000, '[') + " }}").empty());
  EXPECT_FALSE(message("{{ " + std::string(100000, '-') + "1 }}").empty());
}

TEST(Jinja, SurvivesMutations) {
  std::ifstream file(test::data_path("jinja/jinja.jsonl"));
  std::mt19937 random(5);
  int tried = 0, refused = 0;
  const std::string alphabet = "{}%-|()[]'\"#+ \n.abm0";
  TemplateLimits limits;
  limits.max_steps = 20000;
  limits.max_output_bytes = 1 << 20;
  for (std::string line; std::getline(file, line);) {
    const Json row = parse_json(line, "jinja.jsonl");
    for (int i = 0; i < 10; ++i, ++tried) {
      std::string source = row["template"];
      for (int n = 0; n < 3 && !source.empty(); ++n) {
        const size_t at = random() % source.size();
        if (random() % 2 == 0)
          source.erase(at, 1 + random() % 4);
        else
          source.insert(at, 1, alphabet[random() % alphabet.size()]);
      }
      try {
        rendered(source, row["variables"], "mutated", limits);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  std::printf("%d mutated templates, %d refused\n", tried, refused);
}

}  // namespace
}  // namespace vl3::jinja
