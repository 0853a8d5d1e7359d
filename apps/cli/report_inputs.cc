// What a report's models read: lines of text, or requests with pictures and clips.

#include <iostream>
#include <iterator>
#include <sstream>

#include "base/check.h"
#include "base/file.h"
#include "base/json_once.h"
#include "report.h"
#include "vl3/forward_input.h"
#include "vl3/processor.h"
#include "vl3/tokenizer.h"

namespace vl3::cli {
namespace {

constexpr uint64_t kMaxInputBytes = 64u << 20;

std::string read_all(const std::string& file) {
  std::string text = file == "-" ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                                 : read_file(file, kMaxInputBytes);
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

bool is_container(const Json& value) { return value.is_object() || value.is_array(); }

// The whole of it, or its first line. A text may begin with a brace, too.
bool looks_like_json(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || (text[begin] != '{' && text[begin] != '[')) return false;
  const size_t end = text.find('\n', begin);
  return is_container(Json::parse(text.substr(begin, end - begin), nullptr, false)) ||
         is_container(Json::parse(text, nullptr, false));
}

bool ends_with_answer(const Json& messages) {
  if (!messages.is_array() || messages.empty() || !messages.back().is_object()) return false;
  const auto role = messages.back().find("role");
  return role != messages.back().end() && *role == "assistant";
}

}  // namespace

// Ids, or a request for one conversation.
struct ReportInputs::Prompt {
  std::vector<int64_t> ids;
  ProcessorRequest request;
};

ReportInputs::ReportInputs() = default;
ReportInputs::ReportInputs(ReportInputs&&) noexcept = default;
ReportInputs::~ReportInputs() = default;

ReportInputs ReportInputs::read(const std::string& file, const std::string& model) {
  ReportInputs inputs;
  const std::string text = read_all(file);
  if (looks_like_json(text))
    inputs.read_requests(text, file, model);
  else
    inputs.read_lines(text, model);
  require(!inputs.prompts_.empty(), ErrorCode::kInvalidArgument, "[report] {} has no line of text", file);
  return inputs;
}

ReportInputs ReportInputs::of_text(const std::string& text, const std::string& model) {
  ReportInputs inputs;
  inputs.read_lines(text, model);
  return inputs;
}

void ReportInputs::read_lines(const std::string& text, const std::string& model) {
  const Tokenizer tokenizer = Tokenizer::from_pretrained(model);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    const auto ids = tokenizer.encode(line, false);
    if (!ids.empty()) prompts_.push_back({{ids.begin(), ids.end()}, {}});
  }
}

void ReportInputs::read_requests(const std::string& text, const std::string& file, const std::string& model) {
  processor_ = std::make_unique<const Processor>(Processor::from_pretrained(model));
  Json whole = Json::parse(text, nullptr, false);
  if (whole.is_object()) return add_request(parse_json_once(text, file), file);
  if (whole.is_array()) {
    whole = parse_json_once(text, file);
    const bool messages = !whole.empty() && whole[0].is_object() && whole[0].contains("role");
    if (messages) return add_request(whole, file);  // one conversation by itself
    for (size_t i = 0; i < whole.size(); ++i)
      add_request(whole[i], fmt::format("{}: request {}", file, i + 1));
    return;
  }
  std::istringstream lines(text);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string origin = fmt::format("{}: line {}", file, number);
    add_request(parse_json_once(line, origin), origin);
  }
}

void ReportInputs::add_request(const Json& json, const std::string& origin) {
  ProcessorRequest request = processor_->parse_request(json, origin, {"generate"});
  std::vector<Json> conversations = std::move(request.conversations);
  request.conversations.clear();
  const bool asked = json.contains("add_generation_prompt");
  for (Json& messages : conversations) {
    Prompt prompt{{}, request};
    // After an answer nobody asks the model for another.
    if (!asked && ends_with_answer(messages)) prompt.request.add_generation_prompt = false;
    prompt.request.conversations = {std::move(messages)};
    processor_->plan(prompt.request);  // files that are missing or wrong are told of now
    prompts_.push_back(std::move(prompt));
  }
}

ComparedPrompts ReportInputs::prompts(Context& context) const {
  const auto make = [this, &context](int64_t index) {
    const Prompt& prompt = prompts_[static_cast<size_t>(index)];
    if (prompt.request.conversations.empty()) {
      ForwardInput input;
      input.ids = {prompt.ids};
      return input;
    }
    ProcessHooks hooks;
    hooks.cancelled = [&context] { return context.cancelled(); };
    ProcessorOutput made = processor_->process(context.threads(), prompt.request, {}, hooks);
    context.check_cancelled();
    return forward_input(made);
  };
  return {static_cast<int64_t>(prompts_.size()), make};
}

}  // namespace vl3::cli
