#include "chat.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <new>
#include <set>
#include <utility>

#include "base/check.h"
#include "chat_input.h"
#include "chat_settings.h"
#include "conversation.h"
#include "line_reader.h"

namespace vl3::cli {
namespace {

template <class... Arguments>
void tell(fmt::format_string<Arguments...> form, Arguments&&... arguments) {
  fmt::print(stderr, "{}\n", fmt::format(form, std::forward<Arguments>(arguments)...));
}

class Chat {
 public:
  Chat(const Engine& engine, Context& context, const RequestOptions& options,
       const GenerationConfig& settings)
      : engine_(engine), context_(context), settings_(options, settings), conversation_(options.system) {
    for (const std::string& path : options.images) attach("image", path);
    for (const std::string& path : options.videos) attach("video", path);
  }

  // False when the conversation is over.
  bool take(const Entry& entry) {
    const ChatInput input = parse_chat_input(entry.text, test(), entry.block);
    switch (input.kind) {
      case ChatInput::Kind::kNothing:
        return true;
      case ChatInput::Kind::kUnknownCommand:
        tell("no command {}; {}/help lists them, and a question that begins so goes behind a space",
             input.command, input.meant.empty() ? "" : "did you mean " + input.meant + "? ");
        return true;
      case ChatInput::Kind::kCommand:
        return command(input.command, input.text);
      case ChatInput::Kind::kQuestion:
        question(input);
    }
    return true;
  }

 private:
  MediaTest test() const {
    return [this](const std::string& path) { return media_kind(path, settings_.options().engine.limits); };
  }

  bool command(const std::string& name, const std::string& argument) {
    if (name == "/quit") return false;
    if (name == "/help") help();
    if (name == "/image" || name == "/video") attach_all(name.substr(1), argument);
    if (name == "/fps") set("fps", argument);
    if (name == "/set") {
      const size_t space = argument.find_first_of(" =");
      const size_t value = argument.find_first_not_of(" =", space);
      set(argument.substr(0, space), value == std::string::npos ? "" : argument.substr(value));
    }
    if (name == "/retry") retry();
    if (name == "/undo") undo();
    if (name == "/clear") {
      conversation_.clear();
      failed_.clear();
    }
    if (name == "/save") save(argument);
    if (name == "/load") load(argument);
    if (name == "/stats") stats();
    return true;
  }

  static void help() {
    for (const ChatCommand& row : chat_commands())
      fmt::print(stderr, "{:<22} {}\n", fmt::format("{} {}", row.name, row.argument), row.help);
    fmt::print(stderr,
               "\nSeveral lines: end a line with \\, or put them between lines of \"\"\".\n"
               "A picture's or clip's path in a question, typed or dropped, goes with it.\n");
  }

  void attach(const std::string& kind, const std::string& path) {
    const bool image = kind == "image";
    if (is_address(path)) return attach_address(kind, path);
    if (!std::filesystem::exists(path)) return tell("no file \"{}\"", path);
    check_media_options(image ? std::vector{path} : std::vector<std::string>(),
                        image ? std::vector<std::string>() : std::vector{path},
                        settings_.options().engine.limits, "/");
    conversation_.attach(kind, path);
  }

  // An address is fetched at once, so that what is wrong with it is told before the question.
  void attach_address(const std::string& kind, const std::string& address) {
    settings_.trust(address);
    const InterruptScope interrupt(context_, SecondInterrupt::kPatient);
    settings_.options().addresses.open(address, kind == "video", settings_.options().engine.limits,
                                       [this] { return context_.cancelled(); });
    conversation_.attach(kind, address);
  }

  void attach_all(const std::string& kind, const std::string& argument) {
    const FilesAndText given = leading_files(argument, test());
    if (given.files.empty()) return tell("/{} needs the name of a file, or an address", kind);
    const size_t before = conversation_.pending().size();
    for (const std::string& path : given.files) attach(kind, path);
    if (given.text.empty()) return;
    if (conversation_.pending().size() < before + given.files.size())
      return tell("so \"{}\" is not asked", given.text);
    ask(conversation_.with_question(given.text), given.text);
  }

  void question(const ChatInput& input) {
    for (const ChatInput::Media& media : input.media) {
      const std::string kind = media.kind == MediaKind::kPicture ? "image" : "video";
      const Json part = {{"type", kind}, {kind, media.path}};
      const Json& pending = conversation_.pending();  // has it where a question that failed is typed again
      if (std::find(pending.begin(), pending.end(), part) != pending.end()) continue;
      conversation_.attach(kind, media.path);
      tell("[{} {}]", media.kind == MediaKind::kPicture ? "picture" : "clip", media.path);
    }
    if (!input.missing.empty() && input.missing.size() == input.text.size())
      return tell("no file \"{}\"", input.missing);
    if (!input.missing.empty()) tell("(there is no file \"{}\": asked as text)", input.missing);
    if (!input.text.empty()) ask(conversation_.with_question(input.text), input.text);
  }

  void set(const std::string& name, const std::string& value) {
    if (name.empty() || value.empty()) {
      fmt::print(stderr, "{}", settings_.shown(name));
    } else {
      settings_.set(name, value);
    }
  }

  // A question that got no answer, else the last one that did; its new answer takes the place of the old one.
  void retry() {
    if (!failed_.empty()) return ask(conversation_.with_question(failed_), failed_);
    const Json messages = conversation_.with_last_question();
    if (messages.is_null()) return tell("there is no question to ask again");
    const GenerationConfig& generation = settings_.generation();
    if (!generation.do_sample)
      tell(
          "(the most likely tokens are taken, so that with the same settings the answer will be the same; "
          "/set do_sample true)");
    else if (generation.seed)
      tell("(the seed is {}, so that with the same settings the answer will be the same; /set seed null)",
           *generation.seed);
    ask(messages, "");
  }

  void undo() {
    failed_.clear();
    const std::string step = conversation_.undo();
    if (step.empty()) return tell("there is nothing to take back");
    tell("took back {}", step);
    for (const Json& part : conversation_.pending()) {
      const Json& media = part[part["type"].get<std::string>()];
      tell("with the next question: {}", media.is_string() ? media.get<std::string>() : shown(media));
    }
  }

  void save(const std::string& argument) {
    if (argument.empty()) return tell("/save needs the name of a file");
    const std::string path = path_of(argument);
    conversation_.save(path);
    tell("saved {}", path);
  }

  void load(const std::string& argument) {
    if (argument.empty()) return tell("/load needs the name of a file");
    Conversation loaded = conversation_;
    const std::string open_question = loaded.load(path_of(argument));
    engine_.processor().request_for(loaded.messages());  // throws for what could not be asked
    conversation_ = std::move(loaded);
    failed_ = open_question;
    tell("{} messages{}", conversation_.messages().size(),
         failed_.empty() ? "" : "; the last question has no answer: /retry asks it");
  }

  void stats() {
    if (stats_.empty()) return tell("there is no answer yet");
    const CacheStats saved = engine_.cache_stats();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    tell(
        "{}\nkept from earlier questions: {} pictures and clips, {} tokens of prompts, {:.0f} MiB; peak "
        "memory "
        "{:.0f} MiB",
        stats_, saved.pictures, saved.prompt_tokens, static_cast<double>(saved.bytes) / 1048576.0,
        static_cast<double>(usage.ru_maxrss) / 1024.0);
  }

  void remember_stats(const Answers& answers) {
    const GenerationResult& result = answers.results[0];
    const double new_tokens = static_cast<double>(result.new_ids.size());
    const Timings& t = answers.timings;
    const double rest_s = t.process_s + t.generate_s - t.first_token_s;
    stats_ = fmt::format(
        "{} tokens of prompt, {} new{}; of the model's {}\npixels {:.2f} s, first token after {:.2f} s, in "
        "all "
        "{:.2f} s",
        result.ids.size() - result.new_ids.size(), result.new_ids.size(),
        new_tokens > 1 && rest_s > 0 ? fmt::format(" ({:.1f} per second)", (new_tokens - 1) / rest_s) : "",
        engine_.model().config().text.max_position_embeddings, t.process_s, t.first_token_s,
        t.process_s + t.generate_s);
  }

  // question: what /retry asks when this fails; "" for one that has an answer already.
  void ask(Json messages, const std::string& question) {
    failed_ = question;
    bool in_line = false;
    try {
      const Answers answers = generate(messages, &in_line);
      remember_stats(answers);
      // Only an answered question becomes part of the conversation.
      conversation_.answered(std::move(messages), answers.results[0].text);
      failed_.clear();
    } catch (...) {
      if (in_line) {  // so that the error begins a line
        fmt::print("\n");
        std::fflush(stdout);
      }
      if (!conversation_.pending().empty())
        tell("(its pictures and clips wait for the next question; /undo takes the last one back)");
      throw;
    }
  }

  Answers generate(const Json& messages, bool* in_line) {
    Progress progress;
    Probe probe;
    probe.progress = [&](std::string_view stage, int64_t done, int64_t total) {
      progress.update(stage, done, total);
    };
    GenerationHooks hooks;
    hooks.on_token = [&](const StreamEvent& event) {
      if (event.sequence != 0) return true;  // of several answers the first is the chat's
      progress.clear();
      *in_line = true;
      std::fwrite(event.text.data(), 1, event.text.size(), stdout);
      finish_stdout();
      return true;
    };
    const InterruptScope interrupt(context_, SecondInterrupt::kPatient);
    ProcessorRequest request = settings_.options().make(engine_, messages);
    settings_.options().fetch(request, context_);
    Answers answers = engine_.answer(context_, request, settings_.generation(), hooks, &probe);
    fmt::print("{}\n", interrupt.interrupted() ? " [stopped]" : "");
    finish_stdout();
    for (const ClipReport& clip : answers.inputs.videos.clips) {
      for (const std::string& note : clip.notes) {
        if (told_.insert(note).second) tell("note: {}", note);
      }
    }
    *in_line = false;
    return answers;
  }

  const Engine& engine_;
  Context& context_;
  std::set<std::string> told_;  // notes of clips, which come with every question about them
  ChatSettings settings_;
  Conversation conversation_;
  std::string failed_, stats_;
};

// What went wrong with a line; the conversation goes on.
void tell_error() {
  try {
    throw;
  } catch (const Error& error) {
    tell("{}", error.code() == ErrorCode::kCancelled ? "[stopped]" : error.what());
  } catch (const std::bad_alloc&) {
    tell("out of memory for this question");
  } catch (const std::exception& error) {
    tell("unexpected: {}", error.what());
  }
}

}  // namespace

void chat(const Engine& engine, Context& context, const RequestOptions& options,
          const GenerationConfig& settings) {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  if (terminal) {
    std::signal(SIGINT,
                SIG_IGN);  // while answers are made InterruptScope takes it, while lines are typed the editor
    fmt::print(stderr, "Ask; /help lists the commands.\n");
  }
  Chat conversation(engine, context, options, settings);
  const auto reader = make_line_reader({.history = !options.no_history});
  for (Entry entry;;) {
    const LineEnd end = read_entry(*reader, &entry);
    if (end == LineEnd::kEnd) break;
    if (end == LineEnd::kDropped) continue;
    try {
      if (!conversation.take(entry)) break;
    } catch (...) {
      context.clear_cancel();
      tell_error();
    }
  }
}

}  // namespace vl3::cli
