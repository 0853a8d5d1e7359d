// videollama3 tokenize: text to ids and back, messages to prompts, a JSON line each.

#include <iostream>

#include "base/json_once.h"
#include "cli.h"
#include "vl3/chat_template.h"
#include "vl3/processor.h"
#include "vl3/tokenizer.h"

namespace vl3::cli {
namespace {

class Rows {
 public:
  explicit Rows(std::string folder)
      : folder_(std::move(folder)), tokenizer_(Tokenizer::from_pretrained(folder_)) {}

  Json answer(const Json& row, const std::string& origin) {
    const JsonView view(row, origin);
    if (view.has("messages")) return chat(row, view);
    if (view.has("text"))
      return {{"ids", tokenizer_.encode(view.string("text", ""), view.boolean("specials", true))}};
    if (view.has("ids")) {
      std::vector<int64_t> ids;
      require(row["ids"].is_array(), ErrorCode::kFormat, "[{}] \"ids\" should be a list, not {}", origin,
              shown(row["ids"]));
      for (const Json& id : row["ids"]) {
        require(id.is_number_integer() && id >= 0 && id <= INT32_MAX, ErrorCode::kFormat, "[{}] {} is no id",
                origin, shown(id));
        ids.push_back(id.get<int64_t>());
      }
      return {{"text", tokenizer_.decode(ids, false)}, {"text_skip_special", tokenizer_.decode(ids, true)}};
    }
    fail(ErrorCode::kFormat, "[{}] a row has \"text\", \"ids\" or \"messages\", not {}", origin, shown(row));
  }

 private:
  // As the reference: special tokens are recognised in the whole prompt, unless "specials" is false.
  Json chat(const Json& row, const JsonView& view) {
    if (!template_) template_ = ChatTemplate::from_pretrained(folder_);
    const Json extra = view.has("chat_template_kwargs") ? row["chat_template_kwargs"] : Json(nullptr);
    const auto pieces =
        template_->render_pieces(row["messages"], view.boolean("add_generation_prompt", false), extra);
    const bool specials = view.boolean("specials", true);
    std::string prompt;
    std::vector<TextSpan> spans;
    for (const auto& piece : pieces) prompt += piece.text;
    for (const auto& piece : pieces) spans.push_back({piece.text, specials || !piece.from_message});
    if (specials) spans = {{prompt, true}};
    return {{"prompt", prompt}, {"ids", tokenizer_.encode(spans)}};
  }

  std::string folder_;
  Tokenizer tokenizer_;
  std::optional<ChatTemplate> template_;
};

}  // namespace

void add_tokenize(CLI::App& app) {
  auto model = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("tokenize", "JSON lines on standard input: {\"text\"}, {\"ids\"} or {\"messages\"}");
  add_model_to(*command, *model, ModelParts::kSettings);
  finish_help(*command, {{"tokenize MODEL < rows.jsonl", R"(a line {"text": "hi"} gives {"ids": […]})"}});
  command->callback([model] {
    Rows rows(*model);
    std::string line;
    for (int64_t number = 1; std::getline(std::cin, line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const std::string origin = fmt::format("line {}", number);
      print_json(rows.answer(parse_json_once(line, origin), origin));
    }
  });
}

}  // namespace vl3::cli
