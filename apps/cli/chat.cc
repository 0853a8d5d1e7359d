#include "chat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "base/file.h"

namespace vl3::cli {
namespace {

constexpr const char* kHelp =
    "/image FILE   a picture for the next question\n"
    "/video FILE   a clip, or a folder of pictures, for the next question\n"
    "/clear        forget the conversation\n"
    "/save FILE    write the conversation as JSON\n"
    "/help         this list\n"
    "/quit         leave; so does the end of input. Ctrl-C stops an answer\n";

class Chat {
 public:
  Chat(const Engine& engine, Context& context, const RequestOptions& options,
       const GenerationConfig& settings)
      : engine_(engine), context_(context), options_(options), settings_(settings) {
    clear();
    for (const std::string& path : options.images) attach("image", path);
    for (const std::string& path : options.videos) attach("video", path);
  }

  // False when the conversation is over.
  bool take(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string word = line.substr(0, space);
    const size_t rest = space == std::string::npos ? std::string::npos : line.find_first_not_of(' ', space);
    const std::string argument = rest == std::string::npos ? "" : line.substr(rest);
    if (line.empty()) return true;
    if (word == "/quit" || word == "/exit") return false;
    if (word == "/help")
      fmt::print(stderr, "{}", kHelp);
    else if (word == "/clear")
      clear();
    else if (word == "/image" || word == "/video")
      attach(word.substr(1), argument);
    else if (word == "/save")
      save(argument);
    else if (word[0] == '/')
      fmt::print(stderr, "no command {}; /help lists them\n", word);
    else
      ask(line);
    return true;
  }

 private:
  void clear() {
    messages_ = Json::array();
    pending_ = Json::array();
    if (!options_.system.empty()) messages_.push_back({{"role", "system"}, {"content", options_.system}});
  }

  void attach(const std::string& kind, const std::string& path) {
    if (!std::filesystem::exists(path)) {
      fmt::print(stderr, "no file \"{}\"\n", path);
      return;
    }
    pending_.push_back({{"type", kind}, {kind, path}});
  }

  void save(const std::string& path) {
    if (path.empty()) {
      fmt::print(stderr, "/save needs the name of a file\n");
      return;
    }
    AtomicFile file(path);
    file.write(messages_.dump(1) + "\n");
    file.commit();
    fmt::print(stderr, "saved {}\n", path);
  }

  void ask(const std::string& question) {
    Json content = pending_;
    content.push_back({{"type", "text"}, {"text", question}});
    Json messages = messages_;
    messages.push_back({{"role", "user"}, {"content", content}});

    Progress progress;
    Probe probe;
    probe.progress = [&](std::string_view stage, int64_t done, int64_t total) {
      progress.update(stage, done, total);
    };
    GenerationHooks hooks;
    hooks.on_token = [&](const StreamEvent& event) {
      progress.clear();
      std::fwrite(event.text.data(), 1, event.text.size(), stdout);
      finish_stdout();
      return true;
    };
    const InterruptScope interrupt(context_);
    const Answers answers =
        engine_.answer(context_, options_.make(engine_, messages), settings_, hooks, &probe);
    fmt::print("{}\n", interrupt.interrupted() ? " [stopped]" : "");
    finish_stdout();
    for (const ClipReport& clip : answers.inputs.videos.clips) {
      for (const std::string& note : clip.notes) {
        if (told_.insert(note).second) fmt::print(stderr, "note: {}\n", note);
      }
    }
    // Only an answered question becomes part of the conversation.
    messages.push_back({{"role", "assistant"}, {"content", answers.results[0].text}});
    messages_ = std::move(messages);
    pending_ = Json::array();
  }

  const Engine& engine_;
  Context& context_;
  const RequestOptions& options_;
  const GenerationConfig& settings_;
  std::set<std::string> told_;  // notes of clips, which come with every question about them
  Json messages_, pending_;     // pending: pictures and clips for the next question
};

}  // namespace

void chat(const Engine& engine, Context& context, const RequestOptions& options,
          const GenerationConfig& settings) {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  if (terminal) fmt::print(stderr, "Ask; /help lists the commands.\n");
  Chat conversation(engine, context, options, settings);
  for (std::string line;;) {
    if (terminal) fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    try {
      if (!conversation.take(line)) break;
    } catch (
        const Error& error) {  // a file that cannot be read, a picture too large: the conversation goes on
      context.clear_cancel();
      fmt::print(stderr, "{}\n", error.code() == ErrorCode::kCancelled ? "[stopped]" : error.what());
    }
  }
}

}  // namespace vl3::cli
