#include "help.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "near_name.h"
#include "option_words.h"

namespace vl3::cli {
namespace {

constexpr size_t kColumn = 30, kWidth = 100;

// Columns of a text: of UTF-8, the characters.
size_t columns(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string row(const std::string& left, const std::string& right) {
  std::string text = "  " + left;
  if (columns(text) + 2 > kColumn)
    text += "\n" + std::string(kColumn, ' ');
  else
    text += std::string(kColumn - columns(text), ' ');
  return text + wrapped(right, kColumn, kWidth) + "\n";
}

class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::vector<Example> examples) : examples_(std::move(examples)) {}

  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    const bool whole = app->get_parent() == nullptr;
    std::string text =
        whole ? app->get_description() + "\n\n"
              : fmt::format("{}: {}\n\n", full_name(*app),
                            wrapped(app->get_description(), 2, kWidth - 2 - full_name(*app).size()));
    text += usage(*app) + positionals(*app) + examples() + commands(*app);
    text += groups(*app);
    if (!app->get_footer().empty()) text += "\n" + app->get_footer() + "\n";
    return text;
  }

  const std::vector<Example>& all_examples() const { return examples_; }

 private:
  // "videollama3 cache ls"
  static std::string full_name(const CLI::App& app) {
    return app.get_parent() == nullptr ? "videollama3" : full_name(*app.get_parent()) + " " + app.get_name();
  }

  static std::string usage(const CLI::App& app) {
    std::string text = "Usage: " + full_name(app);
    if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) return text + " COMMAND …\n";
    text += " [OPTIONS]";
    for (const CLI::Option* option : app.get_options()) {
      if (!option->get_positional()) continue;
      const std::string name = positional_name(*option) + (many(*option) ? "..." : "");
      text += option->get_required() ? " " + name : " [" + name + "]";
    }
    return text + "\n";
  }

  static bool many(const CLI::Option& option) { return option.get_expected_max() > 1; }

  static std::string positionals(const CLI::App& app) {
    std::string text;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_positional()) text += row(positional_name(*option), option->get_description());
    }
    return text;
  }

  std::string examples() const {
    if (examples_.empty()) return "";
    std::string text = "\nExamples:\n";
    for (const Example& example : examples_) {
      text += "  videollama3 " + example.line + "\n";
      if (!example.what.empty()) text += "      " + wrapped(example.what, 6, kWidth) + "\n";
    }
    return text;
  }

  static std::string commands(const CLI::App& app) {
    std::string text;
    std::vector<std::string> headings;
    const auto all = app.get_subcommands([](const CLI::App*) { return true; });
    if (all.empty()) return text;
    for (const CLI::App* command : all) {
      if (std::find(headings.begin(), headings.end(), command->get_group()) == headings.end())
        headings.push_back(command->get_group());
    }
    for (const std::string& heading : headings) {
      text += "\n" + (heading == "Subcommands" ? "Commands" : heading) + ":\n";
      for (const CLI::App* command : all) {
        if (command->get_group() == heading) text += row(command->get_name(), command->get_description());
      }
    }
    return text + "\n" + full_name(app) + " COMMAND --help tells more; docs/tools.md tells all.\n";
  }

  static std::string groups(const CLI::App& app) {
    std::string text;
    for (const std::string& heading : app.get_groups()) {
      std::string rows;
      for (const CLI::Option* option : app.get_options()) {
        if (option->get_group() == heading && option->nonpositional() && option != app.get_help_ptr())
          rows += option_row(*option);
      }
      if (!rows.empty()) text += "\n" + heading + ":\n" + rows;
    }
    return text + "\n" + row("-h, --help", "this text");
  }

  static std::string option_row(const CLI::Option& option) {
    std::string name = option.get_name(false, true);
    if (const size_t brace = name.find('{'); brace != std::string::npos) name.resize(brace);  // --no-x{false}
    if (const std::string value = value_of(option); !value.empty()) name += " " + value;
    if (many(option)) name += option.get_delimiter() != 0 ? ",..." : "...";
    return row(name, option.get_description() + told_default(option) +
                         (option.get_required() ? " (must be given)" : ""));
  }

  std::vector<Example> examples_;
};

// What other programs call our options; needed: an option that the command must have.
struct Synonym {
  const char *theirs, *ours, *needed;
};
constexpr Synonym kSynonyms[] = {
    {"--img", "--image", "--image"},
    {"--picture", "--image", "--image"},
    {"--photo", "--image", "--image"},
    {"--clip", "--video", "--video"},
    {"--movie", "--video", "--video"},
    {"--n-predict", "--max-new-tokens", "--max-new-tokens"},
    {"--predict", "--max-new-tokens", "--max-new-tokens"},
    {"--max-completion-tokens", "--max-new-tokens", "--max-new-tokens"},
    {"--temp", "--temperature", "--temperature"},
    {"--repeat-penalty", "--repetition-penalty", "--repetition-penalty"},
    {"--system-prompt", "--system", "--system"},
    {"--frames", "--num-frames", "--num-frames"},
    {"--nframes", "--num-frames", "--num-frames"},
    {"--lora", "--adapter", "--adapter"},
    {"--output", "--out", "--out"},
    {"--model", "MODEL without an option before it", "model"},
    {"--prompt", "the question without an option before it", "prompt"},
    {"--interactive", "MODEL without a question, which is a chat", "prompt"},
};

std::string meant_option(const CLI::App& command, const std::string& typed) {
  for (const Synonym& synonym : kSynonyms) {
    if (typed == synonym.theirs && command.get_option_no_throw(synonym.needed) != nullptr)
      return synonym.ours;
  }
  std::vector<std::string> names;
  // A command of another's takes what that has, too.
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent()) {
    if (at != &command && at->get_parent() == nullptr) break;
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return near_name(typed, names);
}

std::string unknown_words(const CLI::App& command, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.size() < 2 || word[0] != '-') continue;
    const std::string name = word.substr(0, word.find('='));
    if (name.find_first_of(" \t\n") != std::string::npos)
      return fmt::format("\"{}\" begins like an option; a question that does goes behind --", word);
    const std::string meant = meant_option(command, name);
    return fmt::format("there is no option {}{}", name, meant.empty() ? "" : "; did you mean " + meant + "?");
  }
  const auto wants_text = command.get_option_no_throw("prompt") != nullptr;
  return fmt::format("\"{}\" is one word too many{}", words.empty() ? "" : words.front(),
                     wants_text ? "; a question of several words goes in quotes" : "");
}

std::string unknown_command(const CLI::App& app, const std::vector<std::string>& args) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  const auto word =
      std::find_if(args.begin(), args.end(), [](const std::string& arg) { return !arg.empty(); });
  if (word == args.end()) return fmt::format("a subcommand is needed: {}", fmt::join(names, ", "));
  if (word->starts_with("-")) return unknown_words(app, {*word});
  const std::string meant = near_name(*word, names);
  return fmt::format("there is no subcommand \"{}\"; {}", *word,
                     meant.empty() ? fmt::format("there are {}", fmt::join(names, ", "))
                                   : fmt::format("did you mean {}?", meant));
}

}  // namespace

std::string positional_name(const CLI::Option& option) {
  std::string name = option.get_name(true, false);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string value_of(const CLI::Option& option) {
  if (option.get_type_size() == 0) return "";
  // What CLI11 calls the type, without its ranges and defaults.
  std::string type = option.get_type_name();
  const size_t colon = type.find(':');
  const std::string check = colon == std::string::npos ? "" : type.substr(colon + 1);
  type = type.substr(0, colon);
  if (check.starts_with("{")) {
    type = check.substr(1, check.find('}') - 1);
    std::replace(type.begin(), type.end(), ',', '|');
  } else if (type == "INT" || type == "UINT") {
    type = "N";
  } else if (type == "FLOAT") {
    type = "X";
  }
  return type;
}

std::string told_default(const CLI::Option& option) {
  std::string value = option.get_default_str();
  if (value.empty() || option.get_type_size() == 0) return "";
  if (value.front() == '[' && value.back() == ']') value = value.substr(1, value.size() - 2);
  return value.empty() ? "" : fmt::format(" (default: {})", value);
}

const std::vector<Example>& examples_of(const CLI::App& command) {
  static const std::vector<Example> kNone;
  const auto* formatter = dynamic_cast<const HelpFormatter*>(command.get_formatter().get());
  return formatter == nullptr ? kNone : formatter->all_examples();
}

void finish_help(CLI::App& command, std::vector<Example> examples) {
  command.formatter(std::make_shared<HelpFormatter>(std::move(examples)));
}

void put_under(CLI::App& command, const char* heading, const std::vector<std::string>& names) {
  for (const std::string& name : names) command.get_option(name)->group(heading);
}

std::string usage_error(const CLI::App& app, const std::vector<std::string>& args,
                        const CLI::ParseError& error) {
  // The command that was reached last, which may be one of another's.
  const CLI::App* reached = &app;
  std::string command = "videollama3";
  for (auto parsed = app.get_subcommands(); !parsed.empty(); parsed = reached->get_subcommands()) {
    reached = parsed[0];
    command += " " + reached->get_name();
  }
  const bool has_commands = !reached->get_subcommands([](const CLI::App*) { return true; }).empty();
  std::string what;
  if (has_commands) {
    what = unknown_command(*reached, reached == &app ? args : reached->remaining());
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    what = unknown_words(*reached, app.remaining(true));
  } else {
    what = error.what();
    // A mistyped option explains best why something else is missing.
    for (const std::string& word : app.remaining(true)) {
      if (word.starts_with("--")) what = unknown_words(*reached, {word});
    }
  }
  return fmt::format("{}: {}\n{} --help tells more.\n", command, what, command);
}

std::string wrapped(std::string_view text, size_t indent, size_t width) {
  std::string lines;
  size_t column = indent;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    if (column > indent && column + 1 + columns(word) > width) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (at > 0 && column > indent) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += columns(word);
    if (end < text.size() && text[end] == '\n') {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    }
    at = end + 1;
  }
  return lines;
}

}  // namespace vl3::cli
