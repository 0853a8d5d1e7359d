// Names of models on the command line, over a hub in this process.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/hub_models.h"
#include "hub/hub_fixture.h"
#include "program.h"
#include "support/tls_host.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
using test::Outcome;
using test::read_text;

class ProgramHub : public hub::HubTest {
 protected:
  ProgramHub() {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(test::model()))
      files[entry.path().filename().string()] = read_text(entry.path());
    hub_.put("org/tiny", files);
    set("HF_ENDPOINT", hub_.url());
    set("HF_HUB_CACHE", (folder_ / "cache").string());
  }
  std::string snapshot() const {
    return folder_ / ("cache/models--org--tiny/snapshots/" + hub_.commit("org/tiny"));
  }
};

TEST_F(ProgramHub, PullPrintsTheFolderAlone) {
  const Outcome got = test::run("pull org/tiny");
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(got.out, snapshot() + "\n");
  EXPECT_NE(got.err.find("org/tiny: "), std::string::npos) << got.err;
  hub_.forget();
  EXPECT_EQ(test::run("pull org/tiny --local-files-only").out, got.out);
  EXPECT_TRUE(hub_.asked().empty());
  const Outcome none = test::run("pull org/none");
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.out, "");
  EXPECT_NE(none.err.find("no such model"), std::string::npos) << none.err;
  EXPECT_EQ(test::run("pull org/tiny@a --revision b").status, 1);
}

TEST_F(ProgramHub, ANameStandsWhereAFolderDoes) {
  const std::string question = " --image " + test::picture() + " \"What is this?\" --max-new-tokens 4";
  const Outcome by_name = test::run("run org/tiny" + question),
                by_folder = test::run("run " + test::model() + question);
  EXPECT_EQ(by_name.status, 0) << by_name.err;
  EXPECT_EQ(by_name.out, by_folder.out);
  EXPECT_EQ(test::run("inspect org/tiny --json").status, 0);
  EXPECT_EQ(test::run("compare org/tiny hf://org/tiny --help").status, 0);
}

TEST_F(ProgramHub, SettingsComeWithoutWeights) {
  const Outcome got = test::run("tokenize org/tiny", "{\"text\": \"hi\"}\n");
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_TRUE(fs::exists(snapshot() + "/tokenizer.json"));
  EXPECT_FALSE(fs::exists(snapshot() + "/model.safetensors"));
}

TEST_F(ProgramHub, NothingIsFetchedForAWrongCommandLineOrAPath) {
  EXPECT_EQ(test::run("run org/tiny hello --no-such-option").status, 2);
  const Outcome path = test::run("run ./org/tiny hello");
  EXPECT_EQ(path.status, 1);
  EXPECT_NE(path.err.find("no such folder"), std::string::npos) << path.err;
  EXPECT_TRUE(hub_.asked().empty());
}

TEST_F(ProgramHub, TheCacheIsListedCheckedAndCleared) {
  ASSERT_EQ(test::run("pull org/tiny").status, 0);
  const Outcome list = test::run("cache ls --json");
  EXPECT_NE(list.out.find("\"org/tiny\""), std::string::npos) << list.out;
  EXPECT_NE(test::run("cache ls").out.find("main"), std::string::npos);
  EXPECT_EQ(test::run("cache verify").status, 0);
  test::write_text(fs::canonical(snapshot() + "/config.json"), "{}");
  const Outcome wrong = test::run("cache verify org/tiny");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.err.find("config.json is not what its hash"), std::string::npos) << wrong.err;
  EXPECT_EQ(test::run("cache rm org/tiny").status, 0);
  EXPECT_EQ(test::run("cache ls --json").out, "[]\n");
  EXPECT_EQ(test::run("cache rm org/tiny").status, 1);
  for (const auto& [words, told] : std::vector<std::pair<const char*, const char*>>{
           {"cache", "videollama3 cache: a subcommand is needed: ls, verify, rm"},
           {"cache remove org/tiny", "videollama3 cache: there is no subcommand \"remove\""},
           {"cache verfy", "did you mean verify?"},
           {"cache rm", "videollama3 cache rm: name is required"},
           {"cache ls --jsn", "videollama3 cache ls: there is no option --jsn; did you mean --json?"}}) {
    const Outcome wrong_words = test::run(words);
    EXPECT_EQ(wrong_words.status, 2) << words;
    EXPECT_NE(wrong_words.err.find(told), std::string::npos) << wrong_words.err;
  }
}

// What a host of 127.0.0.1 without encryption replies to a request.
std::string relayed(const std::string& url, const std::string& head) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string reply;
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      ::send(socket, head.data(), head.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(head.size())) {
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(socket, piece, sizeof piece, 0)) > 0;)
      reply.append(piece, static_cast<size_t>(got));
  }
  ::close(socket);
  return reply;
}

TEST_F(ProgramHub, ACertificateMustBeTrustedAndOfTheHost) {
  hub_.put("org/small", {{"config.json", "{}"}, {"model.safetensors", "w"}});
  const auto answer = [&](const std::string& head) { return relayed(hub_.url(), head); };
  const auto refused = [](const std::string& name, const std::string& words) {
    const Outcome got = test::run("pull " + name);
    EXPECT_EQ(got.status, 1) << got.err;
    EXPECT_EQ(got.out, "");
    EXPECT_NE(got.err.find(words), std::string::npos) << got.err;
  };
  const test::TlsHost host({"localhost"}, answer), other({"hub.example"}, answer);
  host.write_certificate(folder_ / "host.pem");
  other.write_certificate(folder_ / "other.pem");
  set("HF_ENDPOINT", "https://localhost:" + std::to_string(host.port()));
  refused("org/small", "certificate is not trusted here (self-signed certificate)");
  set("SSL_CERT_FILE", (folder_ / "other.pem").string());
  refused("org/small", "certificate is not trusted here");
  set("SSL_CERT_FILE", (folder_ / "nothing.pem").string());
  refused("org/small", "SSL_CERT_FILE");
  EXPECT_TRUE(host.requests().empty());
  EXPECT_TRUE(hub_.asked().empty());
  set("SSL_CERT_FILE", (folder_ / "host.pem").string());
  const Outcome got = test::run("pull org/small");
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(hub_.asked().size(), host.requests().size());
  // Where its large files are there is no encryption.
  set("HF_TOKEN", "good-secret");
  refused("org/tiny", "without encryption");
  EXPECT_EQ(hub_.count("cdn", "/"), 0u);
  set("HF_ENDPOINT", "https://localhost:" + std::to_string(other.port()));
  set("SSL_CERT_FILE", (folder_ / "other.pem").string());
  refused("org/tiny", "certificate is that of another host");
  EXPECT_TRUE(other.requests().empty());
}

TEST(CalledName, IsThatOfTheHubOrOfTheFolder) {
  EXPECT_EQ(cli::called_name("/c/models--org--a-b/snapshots/0123"), "org/a-b");
  EXPECT_EQ(cli::called_name("/c/models--a/snapshots/0123/"), "a");
  EXPECT_EQ(cli::called_name("models/tiny/"), "tiny");
  EXPECT_EQ(cli::called_name("models/tiny/."), "tiny");
}

}  // namespace
}  // namespace vl3
