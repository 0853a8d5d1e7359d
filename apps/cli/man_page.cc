#include "man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace vl3::cli {
namespace {

// The character that begins at text[at], and how many bytes it has.
std::pair<unsigned, size_t> character(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(at);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(at + 1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(at + 1) & 0x3F) << 6 | (byte(at + 2) & 0x3F), 3};
  return {
      (first & 0x07) << 18 | (byte(at + 1) & 0x3F) << 12 | (byte(at + 2) & 0x3F) << 6 | (byte(at + 3) & 0x3F),
      4};
}

// The text as roff shows it again: everything that can be typed stays what can be copied and pasted.
std::string roff(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto [code, size] = character(text, at);
    switch (code) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\'':
        out += "\\(aq";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      case '"':
        out += "\\(dq";
        break;
      default:
        if (code < 0x80)
          out += static_cast<char>(code);
        else
          out += fmt::format("\\[u{:04X}]", code);
    }
    at += size;
  }
  // A line that begins with a dot would be a command.
  return !out.empty() && out[0] == '.' ? "\\&" + out : out;
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

// Prose: one sentence or clause goes on one line of the source, and no line ends in a blank.
std::string prose(const std::string& text) {
  std::string line = roff(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line + "\n";
}

std::string preformatted(const std::string& text) {
  std::string out = ".PP\n.nf\n";
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    out += roff(std::string_view(text).substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return out + ".fi\n";
}

std::string with_capital(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string synopsis(const CommandEntry& command) {
  std::string text = ".SH SYNOPSIS\n" + bold(command.name());
  if (!command.commands.empty()) return text + " " + italic("COMMAND") + " [" + italic("OPTIONS") + "]\n";
  text += " [" + italic("OPTIONS") + "]";
  for (const OptionEntry& option : command.options) {
    if (!option.positional) continue;
    const std::string name = italic(option.names[0]) + (option.many ? "..." : "");
    text += option.required ? " " + name : " [" + name + "]";
  }
  return text + "\n";
}

std::string option_entry(const OptionEntry& option) {
  std::string text = ".TP\n";
  for (size_t i = 0; i < option.names.size(); ++i) {
    if (i > 0) text += ", ";
    text += option.positional ? italic(option.names[i]) : bold(option.names[i]);
  }
  if (!option.value.empty()) {
    text += option.kind == ValueKind::kChoice && option.value != "boolean" ? " " + bold(option.value)
                                                                           : " " + italic(option.value);
  }
  if (option.many) text += option.delimiter != '\0' ? fmt::format("{}...", option.delimiter) : "...";
  return text + "\n" + prose(option.help + (option.required && !option.positional ? " (must be given)" : ""));
}

std::string options(const CommandEntry& command) {
  std::string text, heading;
  for (const OptionEntry& option : command.options)
    if (option.positional) text += option_entry(option);
  if (!text.empty()) text = ".SH ARGUMENTS\n" + text;
  text += ".SH OPTIONS\n";
  for (const OptionEntry& option : command.options) {
    if (option.positional) continue;
    if (option.heading != heading && (option.heading != "Options" || !heading.empty()))
      text += ".SS " + roff(option.heading) + "\n";
    heading = option.heading;
    text += option_entry(option);
  }
  return text;
}

std::string commands(const CommandEntry& command) {
  std::string text, heading;
  if (command.commands.empty()) return text;
  text = ".SH COMMANDS\n";
  // Under their headings, which come in the order of their first commands.
  std::vector<std::string> headings;
  for (const CommandEntry& inner : command.commands) {
    if (std::find(headings.begin(), headings.end(), inner.heading) == headings.end())
      headings.push_back(inner.heading);
  }
  for (const std::string& one : headings) {
    if (headings.size() > 1) text += ".SS " + roff(one) + "\n";
    for (const CommandEntry& inner : command.commands) {
      if (inner.heading == one) text += ".TP\n" + bold(inner.path.back()) + "\n" + prose(inner.summary);
    }
  }
  return text;
}

std::string examples(const CommandEntry& command) {
  if (command.examples.empty()) return "";
  std::string text = ".SH EXAMPLES\n";
  for (const Example& example : command.examples) {
    text += ".TP\n" + bold("videollama3 " + example.line) + "\n";
    text += example.what.empty() ? "\\&\n" : prose(with_capital(example.what));
  }
  return text;
}

std::string environment(const CommandEntry& command) {
  std::string text;
  for (const OptionEntry& option : command.options) {
    if (option.variable.empty()) continue;
    text += ".TP\n" + bold(option.variable) + "\n" +
            fmt::format("As {}, which goes before it.\n", bold(option.names.front()));
    text += "";
  }
  return text.empty() ? "" : ".SH ENVIRONMENT\n" + text;
}

std::string reference(const std::string& page, bool last) {
  return fmt::format(".BR {} (1){}\n", roff(page), last ? "" : ",");
}

std::string page_name(const std::vector<std::string>& path) {
  return path.empty() ? "videollama3" : fmt::format("videollama3-{}", fmt::join(path, "-"));
}

// The page above, those below, and those beside.
std::string see_also(const CommandEntry& command, const CommandEntry& whole) {
  std::vector<std::string> pages;
  for (const CommandEntry* other : all_commands(whole)) {
    const std::vector<std::string>& path = other->path;
    const bool above =
        command.path.size() == path.size() + 1 && std::equal(path.begin(), path.end(), command.path.begin());
    const bool below = path.size() == command.path.size() + 1 &&
                       std::equal(command.path.begin(), command.path.end(), path.begin());
    const bool beside = !command.path.empty() && path.size() == command.path.size() &&
                        other->heading == command.heading && path != command.path &&
                        std::equal(path.begin(), path.end() - 1, command.path.begin());
    if (above || below || beside) pages.push_back(page_name(path));
  }
  std::string text;
  for (size_t i = 0; i < pages.size(); ++i) text += reference(pages[i], i + 1 == pages.size());
  return text.empty() ? "" : ".SH SEE ALSO\n" + text;
}

constexpr const char* kExitStatus =
    ".SH EXIT STATUS\n.TP\n.B 0\nDone.\n.TP\n.B 1\nFailed; standard error says why.\n"
    ".TP\n.B 2\nWrong usage.\n.TP\n.B 130\nInterrupted.\n";

}  // namespace

std::string man_file_name(const CommandEntry& command) { return page_name(command.path) + ".1"; }

std::string man_page(const CommandEntry& command, const CommandEntry& whole, const std::string& version,
                     const std::string& date) {
  std::string title = page_name(command.path);
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  // "NAME" holds one line, "page - what it does", which apropos reads.
  std::string summary = command.summary;
  std::replace(summary.begin(), summary.end(), '\n', ' ');
  std::string text =
      fmt::format(".TH {} 1 {} \"videollama3 {}\" \"User Commands\"\n", roff(title), date, version);
  text += fmt::format(".SH NAME\n{} \\- {}\n", roff(page_name(command.path)), roff(summary));
  text += synopsis(command);
  text += ".SH DESCRIPTION\n" + prose(with_capital(command.summary) + ".");
  text += ".PP\nData goes to standard output, everything else to standard error.\n";
  if (!command.footer.empty()) text += preformatted(command.footer);
  text += commands(command) + options(command) + examples(command) + environment(command);
  return text + kExitStatus + see_also(command, whole);
}

}  // namespace vl3::cli
