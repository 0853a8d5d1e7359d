#pragma once
// What somebody who chats has typed: a command, or a question with the pictures and clips dropped into it.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "media_files.h"

namespace vl3::cli {

struct ChatCommand {
  const char *name, *argument, *help;
};
// In the order of /help.
const std::vector<ChatCommand>& chat_commands();

struct ChatInput {
  enum class Kind { kNothing, kCommand, kUnknownCommand, kQuestion };
  struct Media {
    MediaKind kind;
    std::string path;
  };
  Kind kind = Kind::kNothing;
  std::string command;       // "/image"; of an unknown one as typed
  std::string meant;         // of an unknown command: the near one, or ""
  std::string text;          // the question, or the command's argument
  std::vector<Media> media;  // of a question, in order
  std::string missing;       // a file that a question begins with and that is not there
};

// Says what a path is; media_kind for a chat.
using MediaTest = std::function<MediaKind(const std::string&)>;

// A line (or a block of lines) as it is meant:
// - "/word …" is a command; "/…" that has further slashes or other characters than letters, or exists as a
//   path, begins a question, and so does anything behind a space.
// - Words of a question that are paths (from "/", "./", "../", "~/", "file:" on, plain, in quotes, with
//   backslashes, or with bare spaces) of a picture or clip are taken as that; at the beginning and the end of
//   the question they are left out of its text. A line that is nothing but a file's name is that file.
// literal: no commands, as in a block between """.
ChatInput parse_chat_input(const std::string& line, const MediaTest& test, bool literal = false);

// The files that a command's argument begins with, as a shell has them (quotes, backslashes, ~, file:) or
// with bare spaces in one name, and the text behind them. The first word is always meant as a file, others
// where they are a picture or clip or can be meant as nothing else (media_files.h).
struct FilesAndText {
  std::vector<std::string> files;
  std::string text;
};
FilesAndText leading_files(const std::string& argument, const MediaTest& test);

// One path out of an argument: as a shell or a file manager writes it.
std::string path_of(const std::string& argument);

}  // namespace vl3::cli
