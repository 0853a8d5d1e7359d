// videollama3 completions, videollama3 man: what shells and readers of manuals know of the program.

#include "shell.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "base/check.h"
#include "base/file.h"
#include "cli.h"
#include "completions.h"
#include "man_page.h"
#include "vl3/version.h"

namespace vl3::cli {
namespace {

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  finish_stdout();
}

// Of SOURCE_DATE_EPOCH, so that pages of one source are the same whenever they are made; else today's.
std::string date_of_pages() {
  std::time_t time = std::time(nullptr);
  if (const char* told = std::getenv("SOURCE_DATE_EPOCH"); told != nullptr && *told != '\0') {
    const std::string_view text(told);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), time);
    require(parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && time >= 0,
            ErrorCode::kInvalidArgument, "[man] SOURCE_DATE_EPOCH is \"{}\", and not seconds since 1970",
            text);
  }
  std::tm day{};
  gmtime_r(&time, &day);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", &day);
  return text;
}

const CommandEntry& find_command(const CommandEntry& table, const std::vector<std::string>& path) {
  for (const CommandEntry* command : all_commands(table)) {
    if (command->path == path) return *command;
  }
  fail(ErrorCode::kInvalidArgument, "[man] there is no command \"{}\"; videollama3 --help lists them",
       fmt::join(path, " "));
}

void write_pages(const CommandEntry& table, const std::string& folder, const std::string& date) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, ErrorCode::kIo, "[man] cannot make the folder {}: {}", folder, error.message());
  for (const CommandEntry* command : all_commands(table)) {
    AtomicFile file(std::filesystem::path(folder) / man_file_name(*command));
    file.write(man_page(*command, table, std::string(vl3::version()), date));
    file.commit();
  }
}

}  // namespace

void add_completions(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("completions", "a script by which a shell completes commands and options");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  finish_help(*command, {{"completions bash > ~/.local/share/bash-completion/completions/videollama3", ""},
                         {"completions zsh > ~/.zfunc/_videollama3", "a folder of fpath"},
                         {"completions fish > ~/.config/fish/completions/videollama3.fish", ""}});
  command->callback([shell, &app] {
    const CommandEntry table = command_table(app);
    print(*shell == "bash"  ? bash_completions(table)
          : *shell == "zsh" ? zsh_completions(table)
                            : fish_completions(table));
  });
}

void add_man(CLI::App& app) {
  struct Options {
    std::vector<std::string> command;
    std::string out;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("man", "the manual page of a command, or of the program");
  std::vector<std::string> names;
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(one->get_name());
  command->add_option("command", options->command, "a command of the program (default: the program itself)")
      ->type_name(fmt::format("{}", fmt::join(names, "|")));
  command->add_option("--out", options->out, "folder that gets the pages of all commands")
      ->type_name("FOLDER");
  finish_help(*command, {{"man run | man -l -", ""}, {"man --out /usr/local/share/man/man1", ""}});
  command->callback([options, &app] {
    const CommandEntry table = command_table(app);
    require(options->out.empty() || options->command.empty(), ErrorCode::kInvalidArgument,
            "[man] --out writes the pages of all commands, and \"{}\" asks for one",
            fmt::join(options->command, " "));
    if (!options->out.empty()) return write_pages(table, options->out, date_of_pages());
    print(
        man_page(find_command(table, options->command), table, std::string(vl3::version()), date_of_pages()));
  });
}

}  // namespace vl3::cli
