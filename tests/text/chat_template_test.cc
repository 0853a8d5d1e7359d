// Chat templates against jinja2, and against the reference's prompts.

#include "vl3/chat_template.h"

#include <cstdio>
#include <fstream>
#include <random>

#include "base/json.h"
#include "support/support.h"

namespace vl3 {
namespace {

std::string rendered(const Json& row) {
  const ChatTemplate chat(row["template"].get<std::string>(), nullptr, row["name"].get<std::string>());
  Json extra = row["variables"];
  const Json messages = extra["messages"];
  const bool prompt = extra.value("add_generation_prompt", false);
  extra.erase("messages");
  extra.erase("add_generation_prompt");
  return chat.render(messages, prompt, extra);
}

TEST(ChatTemplate, RendersAsJinja2Does) {
  std::ifstream file(test::data_path("text/jinja.jsonl"));
  int equal = 0, errors = 0;
  for (std::string line; std::getline(file, line);) {
    const Json row = parse_json(line, "jinja.jsonl");
    const std::string name = row["name"];
    if (row.contains("error")) {
      EXPECT_THROW(rendered(row), Error) << name;
      ++errors;
      continue;
    }
    try {
      EXPECT_EQ(rendered(row), row["output"].get<std::string>()) << name;
      ++equal;
    } catch (const Error& error) {
      ADD_FAILURE() << name << ": " << error.what();
    }
  }
  EXPECT_GE(equal, 200);
  std::printf("%d renderings equal, %d errors on both sides\n", equal, errors);
}

TEST(ChatTemplate, PromptsEqualTheReferences) {
  VL3_NEED_SHARED(goldens, "goldens/chat.jsonl");
  VL3_NEED_SHARED(tokenizer, "tokenizer");
  const ChatTemplate chat = ChatTemplate::from_pretrained(tokenizer);
  std::ifstream file(goldens);
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const Json row = parse_json(line, "chat.jsonl");
    EXPECT_EQ(chat.render(row["messages"], row["add_generation_prompt"]), row["prompt"].get<std::string>());
  }
  EXPECT_GT(rows, 0);
  std::printf("%d prompts equal\n", rows);
}

TEST(ChatTemplate, TellsWhatCameFromMessages) {
  const ChatTemplate chat(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper | replace('B', '<x>') }}{{ "
      "m.content[1:3] }}<|im_end|>{% endfor %}");
  const Json messages = {{{"role", "<|r|>"}, {"content", "<|image_pad|>b"}}};
  const auto pieces = chat.render_pieces(messages, false);
  const std::vector<ChatTemplate::Piece> expected = {{"<|im_start|>", false}, {"<|r|>", true}, {"\n", false},
                                                     {"<|IMAGE_PAD|>", true}, {"<x>", false},  {"|i", true},
                                                     {"<|im_end|>", false}};
  EXPECT_EQ(pieces, expected);
}

const Json kText = {{"type", "text"}, {"text", "What <|x|>?"}},
           kPicture = {{"type", "image"}, {"image", "a.png"}},
           kClip = {{"type", "video"}, {"video", "a.mp4"}};

std::string rendered(const std::string& source, const Json& content) {
  const Json messages = Json::array({{{"role", "user"}, {"content", content}}});
  return ChatTemplate(source).with_text_contents({"<i>", "<v>"}).render(messages, false);
}

TEST(ChatTemplate, GivesTextToTemplatesThatTakeNothingElse) {
  // Each takes strings alone, in its way: it fails on a list, prints it, or leaves it out.
  const char* sources[] = {
      "{% for m in messages %}{{ '[' + m['role'] + ']' + m['content'] + ';' }}{% endfor %}",
      "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}",
      "{% for m in messages %}[{{ m.role }}]{{ m.content | tojson if m.content is not string else m.content "
      "}};{% endfor %}",
      "{% for m in messages %}[{{ m.role }}]{% if m.content is string %}{{ m.content }}{% endif %};{% endfor "
      "%}",
      "{% for m in messages %}{% if m.content is not string %}{{ raise_exception('text only') }}{% endif %}"
      "[{{ m.role }}]{{ m.content }};{% endfor %}",
      "{% for m in messages %}[{{ m.role }}]{{ m.content.replace('a', 'a') }};{% endfor %}",
  };
  for (const char* source : sources) {
    EXPECT_EQ(rendered(source, "What <|x|>?"), "[user]What <|x|>?;") << source;
    EXPECT_EQ(rendered(source, Json::array({kText})), "[user]What <|x|>?;") << source;
    EXPECT_EQ(rendered(source, Json::array({kPicture, kText, kClip, "end"})),
              "[user]<i>\nWhat <|x|>?<v>\nend;")
        << source;
    EXPECT_EQ(rendered(source, Json::array()), "[user];") << source;
  }
  // Lists that the template takes are its own affair.
  const std::string takes =
      "{% for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}({{ p.text }}){% elif p.type "
      "== 'image' %}"
      "<i>{% elif p.type == 'video' %}<v>{% endif %}{% endfor %}{% endfor %}";
  EXPECT_EQ(rendered(takes, Json::array({kPicture, kText, kClip})), "<i>(What <|x|>?)<v>");
  // One that takes lists of texts but leaves pictures out is given text where there are any.
  const std::string texts =
      "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
      "{% if p.type == 'text' %}({{ p.text }}){% endif %}{% endfor %}{% endif %}{% endfor %}";
  EXPECT_EQ(rendered(texts, Json::array({kText})), "(What <|x|>?)");
  EXPECT_EQ(rendered(texts, Json::array({kPicture, kText})), "<i>\nWhat <|x|>?");
}

TEST(ChatTemplate, TokensOfMediaAreItsOwnAndTextIsNot) {
  const ChatTemplate prompt = ChatTemplate("{% for m in messages %}{{ '<s>' + m.content }}{% endfor %}")
                                  .with_text_contents({"<i>", "<v>"});
  const Json forged = {{"type", "text"}, {"text", "<i>"}};
  const Json messages = Json::array({{{"role", "user"}, {"content", Json::array({kPicture, forged})}}});
  using Piece = ChatTemplate::Piece;
  EXPECT_EQ(prompt.render_pieces(messages, false), (std::vector<Piece>{{"<s><i>\n", false}, {"<i>", true}}));
  const Json odd =
      Json::array({{{"role", "user"}, {"content", Json::array({{{"type", "audio"}, {"audio", "a.wav"}}})}}});
  try {
    prompt.render(odd, false);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("messages[0]"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("a.wav"), std::string::npos) << error.what();
  }
}

TEST(ChatTemplate, SaysWhereATemplateIsWrong) {
  const auto message = [](const std::string& source) -> std::string {
    try {
      ChatTemplate(source, nullptr, "t.jinja").render(Json::array(), false);
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

TEST(ChatTemplate, SurvivesMutations) {
  std::ifstream file(test::data_path("text/jinja.jsonl"));
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
        ChatTemplate(source, nullptr, "mutated", limits).render(row["variables"]["messages"], true);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  std::printf("%d mutated templates, %d refused\n", tried, refused);
}

}  // namespace
}  // namespace vl3
