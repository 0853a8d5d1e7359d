#include "line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "chat_input.h"
#include "history_file.h"

namespace vl3::cli {
namespace {

constexpr int kHistorySize = 1000;
// Terminals send pasted text between these once they were told to (bracketed paste).
constexpr const char *kPasteOn = "\033[?2004h", *kPasteOff = "\033[?2004l";
constexpr const wchar_t* kPasteEnd = L"\033[201~";

FILE* terminal_to_draw_on() {
  if (isatty(STDERR_FILENO) == 1) return stderr;
  return isatty(STDOUT_FILENO) == 1 ? stdout : nullptr;
}

class LineEditor : public LineReader {
 public:
  LineEditor(FILE* screen, const LineReaderOptions& options)
      : screen_(screen), file_(options.history ? history_path() : std::filesystem::path()) {
    std::setlocale(LC_CTYPE, "");
    // What a chat says is UTF-8 whatever the machine's settings are.
    if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
    // el_end() leaves the names of added functions behind: one editor serves until the program ends.
    static EditLine* const editor = el_init("videollama3", stdin, screen_, stderr);
    editor_ = editor;
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistorySize);
    history(history_, &event, H_SETUNIQUE, 1);
    for (const std::string& line : file_.read()) history(history_, &event, H_ENTER, line.c_str());
    set_up();
  }

  ~LineEditor() override {
    el_reset(editor_);
    el_set(editor_, EL_HIST, nullptr, nullptr);
    history_end(history_);
  }

  LineEnd read(const std::string& prompt, std::string* line) override {
    prompt_ = prompt;
    dropped_ = false;
    line->clear();
    el_set(editor_, EL_PREP_TERM, 1);  // before the prompt is there: Ctrl-C is a key from then on
    std::fputs(kPasteOn, screen_);
    std::fflush(screen_);
    int count = 0;
    const char* text = el_gets(editor_, &count);
    std::fputs(kPasteOff, screen_);
    if (text == nullptr || count <= 0) {
      std::fputs("\n", screen_);
      std::fflush(screen_);
      return LineEnd::kEnd;
    }
    std::fflush(screen_);
    if (dropped_) return LineEnd::kDropped;
    line->assign(text, static_cast<size_t>(count));
    if (line->ends_with('\n')) line->pop_back();
    keep(*line);
    return LineEnd::kLine;
  }

 private:
  static LineEditor& self(EditLine* editor) {
    void* object = nullptr;
    el_get(editor, EL_CLIENTDATA, &object);
    return *static_cast<LineEditor*>(object);
  }

  static char* shown_prompt(EditLine* editor) { return self(editor).prompt_.data(); }

  // Ctrl-C: the line ends, and is forgotten.
  static unsigned char drop(EditLine* editor, int) {
    self(editor).dropped_ = true;
    el_push(editor, "\n");
    return CC_NORM;
  }

  // libedit's handler puts the terminal right before and after.
  static unsigned char suspend(EditLine*, int) {
    std::raise(SIGTSTP);
    return CC_REFRESH;
  }

  // A command's name at the beginning of a line, else a path.
  static unsigned char complete(EditLine* editor, int key) {
    const LineInfo* line = el_line(editor);
    const std::string typed(line->buffer, line->cursor);
    const bool name = typed.starts_with('/') && typed.find_first_of(" /", 1) == std::string::npos;
    if (!name) return _el_fn_complete(editor, key);
    std::vector<std::string> fitting;
    for (const ChatCommand& command : chat_commands()) {
      if (std::string_view(command.name).starts_with(typed)) fitting.emplace_back(command.name);
    }
    if (fitting.empty()) return _el_fn_complete(editor, key);
    std::string common = fitting[0];
    for (const std::string& other : fitting) {
      while (!other.starts_with(common)) common.pop_back();
    }
    if (fitting.size() == 1) common += ' ';
    if (common.size() == typed.size()) return CC_REFRESH_BEEP;
    return el_insertstr(editor, common.c_str() + typed.size()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  // Pasted text goes into the line as it is: its line ends end no question.
  static unsigned char paste(EditLine* editor, int) {
    constexpr size_t kMaxPaste = 1u << 20;
    const std::wstring_view end = kPasteEnd;
    std::wstring text;
    for (wchar_t c = 0; text.size() < kMaxPaste && el_wgetc(editor, &c) == 1;) {
      text += c;
      if (text.ends_with(end)) {
        text.resize(text.size() - end.size());
        break;
      }
    }
    std::wstring plain;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == L'\r' && i + 1 < text.size() && text[i + 1] == L'\n') continue;
      plain += text[i] == L'\r' ? L'\n' : text[i];
    }
    while (plain.ends_with(L'\n')) plain.pop_back();  // Enter asks, and nothing else
    if (plain.empty()) return CC_NORM;
    return el_winsertstr(editor, plain.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  void set_up() {
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &LineEditor::shown_prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_SIGNAL, 1);  // a change of the window's size; the terminal is put right before the end
    el_set(editor_, EL_ADDFN, "chat-complete", "complete a command or a path", &LineEditor::complete);
    el_set(editor_, EL_ADDFN, "chat-drop", "forget the line", &LineEditor::drop);
    el_set(editor_, EL_ADDFN, "chat-suspend", "stop until the shell goes on", &LineEditor::suspend);
    el_set(editor_, EL_ADDFN, "chat-paste", "take pasted text", &LineEditor::paste);
    el_source(editor_, nullptr);  // the user's .editrc; what follows is ours
    // Ctrl-C and Ctrl-Z are keys while a line is typed: a signal would end it for good.
    el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);
    el_set(editor_, EL_BIND, "^I", "chat-complete", nullptr);
    el_set(editor_, EL_BIND, "^C", "chat-drop", nullptr);
    el_set(editor_, EL_BIND, "^Z", "chat-suspend", nullptr);
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(editor_, EL_BIND, "\\e[200~", "chat-paste", nullptr);
  }

  void keep(const std::string& line) {
    if (line.find_first_not_of(" \t") == std::string::npos) return;
    HistEvent event;
    history(history_, &event, H_ENTER, line.c_str());
    file_.add(line);
  }

  FILE* screen_;
  HistoryFile file_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  bool dropped_ = false;
};

}  // namespace

std::unique_ptr<LineReader> make_line_editor(const LineReaderOptions& options) {
  FILE* screen = terminal_to_draw_on();
  return screen == nullptr ? nullptr : std::make_unique<LineEditor>(screen, options);
}

}  // namespace vl3::cli
