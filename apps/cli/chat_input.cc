#include "chat_input.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "near_name.h"
#include "path_words.h"

namespace vl3::cli {
namespace {

constexpr const char* kSpaces = " \t\n";

bool exists(const std::string& path) {
  std::error_code ignored;
  return !path.empty() && std::filesystem::exists(path, ignored);
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

// Whether a path can begin here: names without any of these need the whole line.
bool begins_path(std::string_view text) {
  if (text.starts_with('\'') || text.starts_with('"')) text.remove_prefix(1);
  for (const std::string_view start : {"/", "./", "../", "~/", "file:"}) {
    if (text.starts_with(start)) return true;
  }
  return false;
}

struct Found {
  PathWord word;
  MediaKind kind;
};

// The picture or clip that the word at begin names.
std::optional<Found> media_at(const std::string& text, size_t begin, const MediaTest& test) {
  std::optional<PathWord> word = path_word(text, begin);
  const auto tried = [&]() -> std::optional<Found> {
    if (!word || !exists(word->path)) return std::nullopt;
    const MediaKind kind = test(word->path);
    return kind == MediaKind::kNone ? std::nullopt : std::optional(Found{*word, kind});
  };
  if (const auto found = tried()) return found;
  if (word && !word->quoted) {  // "… in /tmp/a.png?"
    constexpr std::string_view kStops = "?!.,;:)";
    while (!word->path.empty() && kStops.find(word->path.back()) != std::string_view::npos) {
      word->path.pop_back();
      --word->end;
      if (const auto found = tried()) return found;
    }
  }
  word = spaced_path(text, begin, exists);
  return tried();
}

std::vector<Found> media_in(const std::string& text, const MediaTest& test) {
  std::vector<Found> all;
  for (size_t at = text.find_first_not_of(kSpaces); at < text.size();) {
    std::optional<Found> found;
    if (begins_path(std::string_view(text).substr(at))) found = media_at(text, at, test);
    if (found) all.push_back(*found);
    // A quote in the middle of a word is an apostrophe.
    const size_t end = found ? found->word.end : text.find_first_of(kSpaces, at);
    at = end == std::string::npos ? end : text.find_first_not_of(kSpaces, std::max(end, at + 1));
  }
  return all;
}

// The text without the files at its beginning and its end.
std::string without_outer(const std::string& text, const std::vector<Found>& files) {
  size_t begin = 0, end = text.size();
  for (const Found& file : files) {
    if (text.find_first_not_of(kSpaces, begin) != file.word.begin) break;
    begin = file.word.end;
  }
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const bool last = end > begin && text.find_last_not_of(kSpaces, end - 1) == file->word.end - 1;
    if (!last || file->word.begin < begin) break;
    end = file->word.begin;
  }
  return trimmed(text.substr(begin, end - begin));
}

bool only_letters(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    const char low = static_cast<char>(c | 32);
    return (low >= 'a' && low <= 'z') || c == '_' || c == '-';
  });
}

// Of a line that begins with "/": a command, or no command.
ChatInput command_of(const std::string& line) {
  ChatInput input;
  const size_t end = std::min(line.find_first_of(kSpaces), line.size());
  input.command = line.substr(0, end);
  input.text = trimmed(line.substr(end));
  std::vector<std::string> names;
  for (const ChatCommand& command : chat_commands()) names.emplace_back(command.name);
  if (input.command == "/exit" || input.command == "/bye") input.command = "/quit";
  input.kind = ChatInput::Kind::kCommand;
  if (input.command == "/?") input.command = "/help";
  if (std::find(names.begin(), names.end(), input.command) != names.end()) return input;
  if (!only_letters(std::string_view(input.command).substr(1)) || exists(input.command)) return {};
  input.kind = ChatInput::Kind::kUnknownCommand;
  input.meant = near_name(input.command, names);
  return input;
}

}  // namespace

const std::vector<ChatCommand>& chat_commands() {
  static const std::vector<ChatCommand> kCommands = {
      {"/image", "FILE...",
       "pictures for the next question, also addresses; a dropped file's path does the same"},
      {"/video", "FILE...", "clips, or folders of pictures, for the next question"},
      {"/fps", "[N]", "frames of clips to look at per second; default: the checkpoint's"},
      {"/set", "[NAME [VALUE]]", "a setting, as temperature or max_new_tokens; default: its default"},
      {"/retry", "", "ask the last question again"},
      {"/undo", "", "take back the last question, file, /clear or /load"},
      {"/clear", "", "forget the conversation"},
      {"/save", "FILE", "write the conversation as JSON"},
      {"/load", "FILE", "go on with a saved conversation"},
      {"/stats", "", "tokens, times and memory of the last answer"},
      {"/help", "", "this list"},
      {"/quit", "", "leave; so does Ctrl-D. Ctrl-C stops an answer"},
  };
  return kCommands;
}

ChatInput parse_chat_input(const std::string& line, const MediaTest& test, bool literal) {
  ChatInput input;
  if (trimmed(line).empty()) return input;
  if (!literal && line[0] == '/') {
    input = command_of(line);
    if (input.kind != ChatInput::Kind::kNothing) return input;
  }
  input.kind = ChatInput::Kind::kQuestion;
  input.text = trimmed(line);
  if (literal) return input;
  // A file's bare name is that file only where there is nothing else.
  const std::optional<PathWord> whole = path_word(input.text, 0);
  const std::string alone = whole && whole->end == input.text.size() ? whole->path : input.text;
  if (exists(alone)) {
    const MediaKind kind = test(alone);
    if (kind != MediaKind::kNone) {
      input.text.clear();
      input.media = {{kind, alone}};
      return input;
    }
  }
  const std::vector<Found> files = media_in(input.text, test);
  for (const Found& file : files) input.media.push_back({file.kind, file.word.path});
  if (files.empty() && begins_path(input.text) && whole && has_media_ending(whole->path) &&
      !exists(whole->path))
    input.missing = whole->path;
  input.text = without_outer(input.text, files);
  return input;
}

FilesAndText leading_files(const std::string& argument, const MediaTest& test) {
  FilesAndText result;
  size_t at = argument.find_first_not_of(kSpaces);
  while (at < argument.size()) {
    std::optional<PathWord> word = path_word(argument, at);
    if (!word || !exists(word->path)) {
      const std::optional<PathWord> spaced = spaced_path(argument, at, exists);
      if (spaced) word = spaced;
    }
    if (!word) break;
    const bool file = result.files.empty() || looks_like_file(word->path) ||
                      (exists(word->path) && test(word->path) != MediaKind::kNone);
    if (!file) break;
    result.files.push_back(word->path);
    at = argument.find_first_not_of(kSpaces, word->end);
  }
  if (at < argument.size()) result.text = trimmed(argument.substr(at));
  return result;
}

std::string path_of(const std::string& argument) {
  const std::string text = trimmed(argument);
  const std::optional<PathWord> word = path_word(text, 0);
  return word && word->end == text.size() ? word->path : as_path(text);
}

}  // namespace vl3::cli
