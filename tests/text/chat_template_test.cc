// Chat templates: what is theirs beside Jinja, and the reference's prompts.

#include "vl3/chat_template.h"

#include <cstdio>
#include <fstream>

#include "base/json.h"
#include "support/support.h"

namespace vl3 {
namespace {

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

std::string continued(const std::string& source, const Json& content) {
  const Json messages = {{{"role", "user"}, {"content", "hi"}},
                         {{"role", "assistant"}, {"content", content}}};
  std::string text;
  for (const auto& piece : ChatTemplate(source).render_continued(messages)) text += piece.text;
  return text;
}

TEST(ChatTemplate, EndsWithinTheLastMessage) {
  const std::string
      keeps = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}",
      trims = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim | upper }}</>{% endfor %}",
      lists =
          "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}"
          "{% for p in m.content %}{{ p.text if p.type == 'text' else '[i]' }}{% endfor %}"
          "{% endif %}</>{% endfor %}";
  EXPECT_EQ(continued(keeps, "it is "), "<user>hi</><assistant>it is ");
  EXPECT_EQ(continued(trims, " it is "), "<user>HI</><assistant>IT IS");
  EXPECT_EQ(continued(trims, ""), "<user>HI</><assistant>");
  const Json parts = {
      {{"type", "text"}, {"text", "a"}}, {{"type", "text"}, {"text", "b"}}, {{"type", "image"}}};
  EXPECT_EQ(continued(lists, parts), "<user>hi</><assistant>ab");
  const Json none = Json::array({{{"type", "image"}}});
  EXPECT_THROW(continued(lists, none), Error);
  EXPECT_THROW(continued("{% for m in messages[:1] %}{{ m.content }}{% endfor %}", "x"), Error);
  EXPECT_THROW(ChatTemplate(keeps).render_continued(Json::array()), Error);
  // What came from a message is still told.
  const auto pieces = ChatTemplate(keeps).render_continued({{{"role", "assistant"}, {"content", "<|x|>"}}});
  EXPECT_EQ(pieces.back(), (ChatTemplate::Piece{"<|x|>", true}));
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

}  // namespace
}  // namespace vl3
