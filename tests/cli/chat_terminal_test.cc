// A chat on a pseudo terminal, with the keys that people press.

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/json.h"
#include "program.h"

namespace vl3 {
namespace {

using test::model;
using test::picture;

constexpr const char *kUp = "\033[A", *kCtrlA = "\001", *kCtrlC = "\003", *kCtrlD = "\004", *kTab = "\t";

// The program with a terminal as its standard input, output and error; options: behind run MODEL.
class Terminal {
 public:
  Terminal(const std::filesystem::path& home, const std::vector<std::string>& options,
           const std::string& new_tokens = "3") {
    winsize size{.ws_row = 24, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = forkpty(&master_, nullptr, nullptr, &size);
    if (pid_ != 0) return;
    ::setenv("TERM", "xterm", 1);
    ::setenv("HOME", home.c_str(), 1);
    ::unsetenv("XDG_STATE_HOME");
    if (::chdir(home.c_str()) != 0) _exit(99);
    std::vector<std::string> words = {VL3_PROGRAM, "run", model(), "--max-new-tokens", new_tokens};
    words.insert(words.end(), options.begin(), options.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    _exit(99);
  }
  ~Terminal() {
    ::close(master_);
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  void type(const std::string& keys) {
    ASSERT_EQ(::write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  // Waits until the screen got this text after what was awaited before; false after too long.
  bool await(const std::string& text) {
    return read_until([&] {
      const size_t at = seen_.find(text, awaited_);
      if (at == std::string::npos) return false;
      awaited_ = at + text.size();
      return true;
    });
  }
  // Waits until so many bytes came after what was awaited before.
  bool await_more(size_t bytes) {
    return read_until([&] { return seen_.size() >= awaited_ + bytes; });
  }
  // Types a line when the prompt is there.
  void say(const std::string& line) {
    ASSERT_TRUE(await("> ")) << seen_;
    type(line + "\r");
  }
  int status() {  // after its end
    await("\001\001 nothing says this");
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  const std::string& seen() const { return seen_; }

 private:
  template <class Done>
  bool read_until(const Done& done) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(300);
    while (!done()) {
      if (Clock::now() > deadline) return false;
      pollfd ready{.fd = master_, .events = POLLIN, .revents = 0};
      constexpr int kWait_ms = 1000;
      if (::poll(&ready, 1, kWait_ms) <= 0) continue;
      char piece[4096];
      const ssize_t got = ::read(master_, piece, sizeof(piece));
      if (got <= 0) return done();
      seen_.append(piece, static_cast<size_t>(got));
    }
    return true;
  }

  int master_ = -1;
  pid_t pid_ = 0;
  std::string seen_;
  size_t awaited_ = 0;
};

std::string question(const std::filesystem::path& file, size_t index) {
  return parse_json(test::read_text(file), file.string())[2 * index]["content"].back()["text"];
}

TEST(ChatTerminal, EditsLinesKeepsHistoryAndLeavesWithCtrlD) {
  const test::TemporaryFolder home;
  {
    Terminal terminal(home.path(), {});
    ASSERT_TRUE(terminal.await("> "));
    terminal.type(std::string("world") + kCtrlA + "hello \r");
    terminal.say(std::string(kUp) + "!");
    terminal.say("/save talk.json");
    ASSERT_TRUE(terminal.await("saved talk.json")) << terminal.seen();
    ASSERT_TRUE(terminal.await("> "));
    terminal.type(kCtrlD);
    EXPECT_EQ(terminal.status(), 0) << terminal.seen();
  }
  EXPECT_EQ(question(home / "talk.json", 0), "hello world");
  EXPECT_EQ(question(home / "talk.json", 1), "hello world!");
  const std::filesystem::path history = home / ".local/state/videollama3/history";
  EXPECT_EQ(test::read_text(history), "hello world\nhello world!\n/save talk.json\n");
  struct stat status {};
  ASSERT_EQ(::stat(history.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  Terminal again(home.path(), {});  // history of the chat before
  again.say(std::string(kUp) + kUp);
  again.say("/save again.json");
  ASSERT_TRUE(again.await("saved again.json")) << again.seen();
  EXPECT_EQ(question(home / "again.json", 0), "hello world!");
}

TEST(ChatTerminal, KeepsNoHistoryWhereItShallNot) {
  const test::TemporaryFolder home;
  Terminal terminal(home.path(), {"--no-history"});
  terminal.say("secret");
  terminal.say("/quit");
  EXPECT_EQ(terminal.status(), 0) << terminal.seen();
  EXPECT_TRUE(std::filesystem::is_empty(home.path()));
}

TEST(ChatTerminal, CompletesCommandsAndPaths) {
  const test::TemporaryFolder home;
  std::filesystem::copy_file(picture(), home / "photograph.png");
  Terminal terminal(home.path(), {"--no-history"});
  terminal.say(std::string("/im") + kTab + "phot" + kTab);
  terminal.say("what?");
  terminal.say("/save talk.json");
  ASSERT_TRUE(terminal.await("saved talk.json")) << terminal.seen();
  const Json talk = parse_json(test::read_text(home / "talk.json"), "talk.json");
  EXPECT_EQ(talk[0]["content"][0]["image"], "photograph.png");
}

TEST(ChatTerminal, CtrlCDropsALineAndStopsAnAnswerAndTheChatGoesOn) {
  const test::TemporaryFolder home;
  Terminal terminal(home.path(), {"--no-history"}, "30000");
  ASSERT_TRUE(terminal.await("> "));
  terminal.type(std::string("half a line") + kCtrlC);
  terminal.say("/set eos_token_id []");
  terminal.say("go on for ever");
  ASSERT_TRUE(terminal.await("for ever"));
  ASSERT_TRUE(terminal.await("\n"));
  ASSERT_TRUE(terminal.await_more(200))
      << terminal.seen();  // of the answer, which nobody has read to its end
  terminal.type(kCtrlC);
  ASSERT_TRUE(terminal.await("[stopped]")) << terminal.seen().substr(0, 2000);
  terminal.say("/set max_new_tokens 2");
  terminal.say("second");
  terminal.say("/save talk.json");
  ASSERT_TRUE(terminal.await("saved talk.json")) << terminal.seen().substr(0, 2000);
  const Json talk = parse_json(test::read_text(home / "talk.json"), "talk.json");
  const std::string last = talk[talk.size() - 2]["content"].back()["text"];
  EXPECT_EQ(last, "second");
  for (const Json& message : talk) {
    if (message["role"] == "user") {
      EXPECT_EQ(message["content"].back()["text"].get<std::string>().find("half"), std::string::npos);
    }
  }
}

TEST(ChatTerminal, PastedLinesAreOneQuestion) {
  const test::TemporaryFolder home;
  Terminal terminal(home.path(), {"--no-history"});
  terminal.say("\033[200~first line\rsecond line\r\033[201~ and more");
  terminal.say("/save talk.json");
  ASSERT_TRUE(terminal.await("saved talk.json")) << terminal.seen();
  EXPECT_EQ(question(home / "talk.json", 0), "first line\nsecond line and more");
}

}  // namespace
}  // namespace vl3
