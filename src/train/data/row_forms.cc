#include "train/data/row_forms.h"

#include <vector>

#include "base/one_of.h"

namespace vl3 {
namespace {

constexpr std::string_view kUsers[] = {"human", "user"};
constexpr std::string_view kAssistants[] = {"gpt", "assistant", "chatgpt", "model", "bot"};

std::string role_of(const Json& name, const std::string& origin) {
  const std::string from = name.is_string() ? name.get<std::string>() : "";
  if (is_one_of(from, kUsers)) return "user";
  if (is_one_of(from, kAssistants)) return "assistant";
  if (from == "system" || from == "tool") return from;
  fail(ErrorCode::kFormat, "[{}] a turn is from {}; it should be human or user, gpt or assistant, or system",
       origin, name.is_null() ? "nobody" : shown(name));
}

// Keys that say how much a turn is learned, where that is what is done: answers are, others are not.
bool is_done_weight(const std::string& key, const Json& value, const std::string& role,
                    const std::string& origin) {
  if (key != "loss" && key != "weight" && key != "train") return false;
  const bool answer = role == "assistant";
  require(answer ? value == true || value == 1 : value == false || value == 0, ErrorCode::kFormat,
          "[{}] a turn of the {} has \"{}\": {}; {}", origin, role, key, shown(value),
          answer ? "answers are learned, all of them alike" : "answers alone are learned");
  return true;
}

// {"from", "value"}
Json from_value(const Json& turn, const std::string& origin) {
  require(turn.contains("value") && turn["value"].is_string(), ErrorCode::kFormat,
          "[{}] a turn should have \"from\" and \"value\", not {}", origin, shown(turn));
  const std::string role = role_of(turn.value("from", Json()), origin);
  for (const auto& [key, value] : turn.items()) {
    require(
        key == "from" || key == "value" || says_nothing(value) || is_done_weight(key, value, role, origin),
        ErrorCode::kFormat, "[{}] a turn has the key \"{}\", which is not known: {}", origin, key,
        shown(value));
  }
  if (role != "user") return {{"role", role}, {"content", turn["value"]}};
  return {{"role", role}, {"content", Json::array({{{"type", "text"}, {"text", turn["value"]}}})}};
}

// {"role", "content"}: what else there is the processor compares with the template.
Json role_content(const Json& turn, const std::string& origin) {
  require(turn.contains("role") && turn.contains("content"), ErrorCode::kFormat,
          "[{}] a turn should have \"role\" and \"content\", not {}", origin, shown(turn));
  const std::string role = role_of(turn["role"], origin);
  Json message = {{"role", role}, {"content", turn["content"]}};
  for (const auto& [key, value] : turn.items()) {
    if (key != "role" && key != "content" && !says_nothing(value) &&
        !is_done_weight(key, value, role, origin))
      message[key] = value;
  }
  return message;
}

// {"human": question, "assistant": answer}, in whichever order, and with what the system says before them.
void add_pair(const Json& pair, const std::string& origin, Json& messages) {
  for (const auto& [key, value] : pair.items()) {
    require(key == "human" || key == "assistant" || key == "system" || says_nothing(value),
            ErrorCode::kFormat, "[{}] a turn has the key \"{}\", which is not known: {}", origin, key,
            shown(value));
  }
  for (const char* key : {"system", "human", "assistant"}) {
    const Json value = pair.value(key, Json());
    if (key == std::string_view("system") && says_nothing(value)) continue;
    require(value.is_string(), ErrorCode::kFormat, "[{}] a turn has {} under \"{}\", not a text", origin,
            shown(value), key);
    messages.push_back({{"role", role_of(key, origin)}, {"content", value}});
  }
}

Json from_turns(const Json& turns, const char* name, const std::string& origin) {
  require(turns.is_array() && !turns.empty(), ErrorCode::kFormat, "[{}] \"{}\" should be a list of turns",
          origin, name);
  Json messages = Json::array();
  bool asked = false;
  for (const Json& turn : turns) {
    require(
        turn.is_object(), ErrorCode::kFormat,
        "[{}] a turn should be an object with \"role\" and \"content\", or \"from\" and \"value\", not {}",
        origin, shown(turn));
    if (turn.contains("from")) {
      Json message = from_value(turn, origin);
      asked = asked || message["role"] == "user";
      if (!asked && message["role"] == "assistant") continue;
      messages.push_back(std::move(message));
    } else if (turn.contains("human") && turn.contains("assistant")) {
      add_pair(turn, origin, messages);
    } else {
      if (turn.contains("value")) from_value(turn, origin);  // says that nobody is named
      messages.push_back(role_content(turn, origin));
    }
  }
  return messages;
}

std::string text_at(const Json* value, std::string_view key, const std::string& origin) {
  if (value == nullptr) return "";
  require(value->is_string(), ErrorCode::kFormat, "[{}] \"{}\" is {}, not a text", origin, key,
          shown(*value));
  return value->get<std::string>();
}

// [[question, answer]…], then the last question with its answer.
Json from_columns(const Json* history, const std::string& question, const std::string& answer,
                  const std::string& origin) {
  Json messages = Json::array();
  const auto add = [&](const char* role, const Json& text) {
    require(text.is_string(), ErrorCode::kFormat, "[{}] \"history\" has {}, not a text", origin, shown(text));
    messages.push_back({{"role", role}, {"content", text}});
  };
  if (history != nullptr) {
    require(history->is_array(), ErrorCode::kFormat, "[{}] \"history\" is {}, not a list", origin,
            shown(*history));
    for (const Json& pair : *history) {
      require(pair.is_array() && pair.size() == 2, ErrorCode::kFormat,
              "[{}] \"history\" has {}, not a question and its answer", origin, shown(pair));
      add("user", pair[0]);
      add("assistant", pair[1]);
    }
  }
  add("user", question);
  add("assistant", answer);
  return messages;
}

// The turns of whichever form the row has.
Json turns_of(RowKeys& row) {
  const std::string& origin = row.origin();
  const char* form = nullptr;
  for (const char* key : {"conversations", "messages", "conversation", "instruction", "query"}) {
    if (!row.view().has(key) || (says_nothing(*row.view().find(key)) && form != nullptr)) continue;
    require(form == nullptr || says_nothing(*row.view().find(form)), ErrorCode::kFormat,
            "[{}] has its turns twice: under \"{}\" and under \"{}\"", origin, form == nullptr ? "" : form,
            key);
    form = key;
  }
  require(form != nullptr, ErrorCode::kFormat,
          "[{}] has neither \"conversations\" nor \"messages\", nor another list of turns", origin);
  const std::string_view name(form);
  if (name != "instruction" && name != "query") {
    row.take(form);
    return from_turns(*row.view().find(form), form, origin);
  }
  const bool alpaca = name == "instruction";
  std::string question = text_at(row.take(form), form, origin);
  const char* answers = alpaca ? "output" : "response";
  const Json* answer = row.take(answers);
  require(answer != nullptr, ErrorCode::kFormat, "[{}] has \"{}\" and {} \"{}\"", origin, form,
          row.view().json().contains(answers) ? "an empty" : "no", answers);
  if (alpaca) {
    const std::string input = text_at(row.take("input"), "input", origin);
    if (!input.empty()) question += (question.empty() ? "" : "\n") + input;
  }
  return from_columns(row.take("history"), question, text_at(answer, answers, origin), origin);
}

}  // namespace

Json messages_of(RowKeys& row) {
  Json messages = turns_of(row);
  const std::string system = text_at(row.take("system"), "system", row.origin());
  if (system.empty()) return messages;
  for (const Json& message : messages)
    require(message["role"] != "system", ErrorCode::kFormat,
            "[{}] has \"system\" beside a turn that is from system", row.origin());
  messages.insert(messages.begin(), Json{{"role", "system"}, {"content", system}});
  return messages;
}

Json tools_of(RowKeys& row) {
  const Json* value = row.take("tools");
  if (value == nullptr) return nullptr;
  Json tools = *value;
  if (tools.is_string()) tools = parse_json(tools.get<std::string>(), row.origin() + ": tools");
  require(tools.is_array(), ErrorCode::kFormat, "[{}] \"tools\" should be a list, not {}", row.origin(),
          shown(*value));
  for (Json& tool : tools) {
    if (tool.is_string()) tool = parse_json(tool.get<std::string>(), row.origin() + ": tools");
  }
  return tools.empty() ? Json(nullptr) : tools;
}

}  // namespace vl3
