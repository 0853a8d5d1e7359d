// `videollama3 serve` as people and service managers start it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include "cli/service_manager.h"
#include "program.h"
#include "support/raw_client.h"

namespace vl3::cli {
namespace {

using http::RawClient;
using http::status_of;
using namespace std::chrono_literals;

// One that runs, on a port that was free.
class Running {
 public:
  explicit Running(std::vector<std::string> words, const std::map<std::string, std::string>& environment = {},
                   int passed_socket = -1) {
    words.insert(words.begin(), {VL3_PROGRAM, "serve"});
    log_ = folder_ / "log";
    child_ = fork();
    if (child_ == 0) {
      const int log = open(log_.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
      dup2(log, STDERR_FILENO);
      for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
      if (passed_socket >= 0) {
        dup2(passed_socket, 3);
        setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
        setenv("LISTEN_FDS", "1", 1);
      }
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      execv(VL3_PROGRAM, argv.data());
      _exit(127);
    }
    wait_for("listening");
    const std::string text = log();
    const size_t at = text.find("://127.0.0.1:");
    if (at != std::string::npos) port_ = static_cast<uint16_t>(std::stoi(text.substr(at + 13)));
  }
  ~Running() {
    if (child_ > 0) stop(SIGKILL);
  }

  uint16_t port() const { return port_; }
  std::string log() const { return std::filesystem::exists(log_) ? test::read_text(log_) : ""; }
  void signal(int number) const { kill(child_, number); }
  bool wait_for(const std::string& words) const {
    for (int i = 0; i < 30000 && log().find(words) == std::string::npos; ++i) {
      siginfo_t ended{};
      if (waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          ended.si_pid != 0)
        break;
      std::this_thread::sleep_for(10ms);
    }
    return log().find(words) != std::string::npos;
  }
  int stop(int number) {
    signal(number);
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::string ask(const std::string& path, const std::string& fields = "") const {
    RawClient client(port_);
    return client.ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + fields +
                      "\r\n");
  }

 private:
  test::TemporaryFolder folder_;
  std::filesystem::path log_;
  pid_t child_ = -1;
  uint16_t port_ = 0;
};

TEST(Serve, AnswersAndEndsWhenTold) {
  Running server({test::model(), "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.log();
  EXPECT_EQ(status_of(server.ask("/health")), "200");
  EXPECT_EQ(status_of(server.ask("/")), "200");
  EXPECT_NE(server.ask("/v1/models").find("\"tiny\""), std::string::npos);
  RawClient idle(server.port());
  EXPECT_EQ(server.stop(SIGTERM), 0);
  EXPECT_EQ(idle.read(), "");
  EXPECT_TRUE(idle.ended());
}

TEST(Serve, OptionsComeFromTheEnvironmentAsWell) {
  Running server({}, {{"VIDEOLLAMA3_MODEL", test::model()},
                      {"VIDEOLLAMA3_PORT", "0"},
                      {"VIDEOLLAMA3_API_KEY", "sk-one,sk-two"},
                      {"VIDEOLLAMA3_LOG_JSON", "true"},
                      {"VIDEOLLAMA3_MODEL_NAME", "other"}});
  ASSERT_NE(server.port(), 0) << server.log();
  EXPECT_EQ(status_of(server.ask("/v1/models")), "401");
  EXPECT_NE(server.ask("/v1/models", "Authorization: Bearer sk-two\r\n").find("\"other\""),
            std::string::npos);
  EXPECT_EQ(server.stop(SIGINT), 0);
  EXPECT_TRUE(server.log().starts_with("{\"time\":\"")) << server.log();
  EXPECT_EQ(server.log().find("sk-"), std::string::npos);
}

TEST(Serve, KeysAreReadAgain) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "keys", "old\n");
  std::filesystem::permissions(folder / "keys", std::filesystem::perms(0644));
  Running server({test::model(), "--port", "0", "--api-key-file", (folder / "keys").string()});
  ASSERT_NE(server.port(), 0) << server.log();
  EXPECT_NE(server.log().find("can be read by every user"), std::string::npos);
  const auto ask = [&](const std::string& key) {
    return status_of(server.ask("/version", "Authorization: Bearer " + key + "\r\n"));
  };
  EXPECT_EQ(ask("old"), "200");
  test::write_text(folder / "keys", "new\n");
  server.signal(SIGHUP);
  ASSERT_TRUE(server.wait_for(" reloaded"));
  EXPECT_EQ(ask("old"), "401");
  EXPECT_EQ(ask("new"), "200");
  test::write_text(folder / "keys", "");
  server.signal(SIGHUP);
  ASSERT_TRUE(server.wait_for("reload_failed"));
  EXPECT_EQ(ask("new"), "200") << "a file without keys opens the server, or closes it";
}

TEST(Serve, ASocketMayBePassed) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(socket, 10), 0);
  EXPECT_EQ(address_of_socket(socket), "127.0.0.1");
  Running server({test::model(), "--port", "1"}, {}, socket);
  close(socket);
  ASSERT_GT(server.port(), 1) << server.log();
  EXPECT_EQ(status_of(server.ask("/health")), "200");
}

TEST(Serve, WhatCannotBeServedIsTold) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "keys", "# none\n");
  const std::pair<std::string, std::string> wrong[] = {
      {"/nonexistent/model --port 0", "nonexistent"},
      {test::model() + " --port 0 --api-key-file " + (folder / "keys").string(), "keys"},
      {test::model() + " --port 0 --tls-cert " + (folder / "keys").string(), "key"},
      {test::model() + " --port 0 --allow-host https://a", "https://a"},
      {test::model() + " --port 0 --lora a", "NAME=MODEL"},
      {test::model() + " --port 0 --lora tiny=" + test::model(), "\"tiny\" is a name already"},
      {test::model() + " --port 0 --lora b=" + test::model() + ",c=" + test::model(),
       "the adapter has another name already"},
      {test::model() + " --port 0 --model-name a,a", "\"a\" is a name already"},
      {test::model() + " --port 0 --host ''", "--host"},
      {test::model() + " --port 0 --kv-cache 0.00003", "--kv-cache"},
      {test::model() + " --port 0 --tls-cert absent --tls-key absent",
       "[absent] is no file that can be read"},
      {test::model() + " --port 0 --media-root " + (folder / "absent").string(), "absent"},
      {test::model() + " --port 0 --allow-media-address 10.0.0.0/99", "10.0.0.0/99"},
      {test::model() + " --port 0 --host 192.0.2.1", "192.0.2.1"}};
  for (const auto& [words, named] : wrong) {
    const test::Outcome outcome = test::run("serve " + words);
    EXPECT_EQ(outcome.status, 1) << words << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(named), std::string::npos) << words << "\n" << outcome.err;
  }
  for (const char* usage :
       {"--port 65536", "--kv-cache 0", "--kv-cache 1e300", "--kv-cache 1e300GiB", "--cache-size nan",
        "--cache-size 0x10", "--max-body 0", "--max-body 17592186044416G", "--max-image 1e300",
        "--max-video inf", "--deadline -1"}) {
    const test::Outcome outcome = test::run("serve " + test::model() + " " + usage);
    EXPECT_EQ(outcome.status, 2) << usage << "\n" << outcome.err;
    EXPECT_LT(outcome.err.size(), 300u) << outcome.err;
  }
}

TEST(Serve, VariablesByEveryNameOfAnOption) {
  const std::string words = "serve " + test::model() + " --port 0";
  const auto told = [&](const std::string& variables) {
    const test::Outcome outcome = test::run(words, "", variables);
    EXPECT_EQ(outcome.status, 1) << variables;
    EXPECT_EQ(test::run("--version", "", variables).status, 0) << "others have nothing to do with it";
    return outcome.err;
  };
  EXPECT_NE(
      told("VIDEOLLAMA3_SSL_CERTFILE=absent VIDEOLLAMA3_SSL_KEY_FILE=absent").find("[absent] is no file"),
      std::string::npos);
  EXPECT_NE(told("VIDEOLLAMA3_SSL_KEYFILE=a VIDEOLLAMA3_TLS_KEY=b").find("says the same"), std::string::npos);
  for (const std::string variable : {"VIDEOLLAMA3_API_KEY", "VIDEOLLAMA3_TLS_CERT"})
    EXPECT_NE(told(variable + "=").find("[" + variable + "] is empty"), std::string::npos);
}

TEST(Serve, BatchesGoIntoFiles) {
  for (const char* output : {"/dev/null", "-"}) {
    const test::Outcome outcome = test::run("batch " + test::model() + " -i - -o " + output);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.err.find("file"), std::string::npos) << outcome.err;
  }
}

TEST(Serve, WhatIsUnderWayAtTheEndIsTold) {
  Running server({test::model(), "--port", "0", "--drain-timeout", "0.1"});
  ASSERT_NE(server.port(), 0) << server.log();
  const std::string body =
      R"({"messages":[{"role":"user","content":"hello"}],"max_tokens":30000,"ignore_eos":true,"stream":true})";
  RawClient client(server.port());
  ASSERT_TRUE(client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body));
  EXPECT_NE(client.read("data: "), "");
  EXPECT_EQ(server.stop(SIGTERM), 0);
  EXPECT_NE(client.read().find("shutting_down"), std::string::npos);
}

TEST(Serve, TheServiceManagerIsToldWhenItIsReady) {
  const test::TemporaryFolder folder;
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (folder / "n").string();
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  tell_service_manager("READY=1");
  unsetenv("NOTIFY_SOCKET");
  char buffer[64];
  const ssize_t n = recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(n)), "READY=1");
  tell_service_manager("nobody");
  close(socket);
}

}  // namespace
}  // namespace vl3::cli
