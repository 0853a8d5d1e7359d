// Pictures and clips by address, as a user names them; the other side is a host of this machine.

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "program.h"
#include "support/tls_host.h"
#include "support/web_host.h"
#include "vl3/json.h"

namespace vl3 {
namespace {

using test::Outcome;
using test::run;
using test::WebHost;

constexpr const char* kShort = " --max-new-tokens 4";

class Addresses : public testing::Test {
 protected:
  void answer(const std::string& target, const WebHost::Say& say) {
    const std::string path = target.substr(0, target.find('?'));
    if (path == "/a.png") say(WebHost::reply(png, "ETag: \"1\"\r\n"));
    if (path == "/a.mp4") say(WebHost::reply(clip, "ETag: \"2\"\r\n"));
    if (path == "/page") say(WebHost::reply("<!doctype html><html></html>"));
    if (path == "/inner") say(WebHost::reply("", "Location: http://127.0.0.9/\r\n", "302 Found"));
    if (path == "/endless") {
      say("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nx");
      while (!host.stopping()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  Outcome ask(const std::string& media, const std::string& more = "") {
    return run("run " + test::model() + " " + media + " 'What is it?'" + kShort + more);
  }
  std::string connect_to(const std::string& name, int port, int to) const {
    return " --connect-to " + name + ":" + std::to_string(port) + ":127.0.0.1:" + std::to_string(to);
  }

  const std::string png = test::read_text(test::picture()), clip = test::read_text(test::clip());
  WebHost host{[this](const std::string& target, const WebHost::Say& say) { answer(target, say); }};
};

TEST_F(Addresses, AreAnsweredLikeTheirFiles) {
  const Outcome picture = ask("--image " + test::picture());
  const Outcome from_web = ask("--image '" + host.url("/a.png?key=s3cret") + "'");
  EXPECT_EQ(from_web.status, 0) << from_web.err;
  EXPECT_EQ(from_web.out, picture.out);
  const Outcome both =
      ask("--image " + test::picture() + " " + host.url("/a.png") + " --video " + host.url("/a.mp4"));
  EXPECT_EQ(both.status, 0) << both.err;
  EXPECT_EQ(both.out,
            ask("--image " + test::picture() + " " + test::picture() + " --video " + test::clip()).out);
}

TEST_F(Addresses, AFaultIsNamedWithoutTheQuery) {
  const std::pair<std::string, const char*> faults[] = {
      {host.url("/page?key=s3cret"), "an HTML page"},
      {host.url("/gone?key=s3cret"), "could not be fetched"},
      {host.url("/a.mp4?key=s3cret"), "give it as a video"},
      {"http://user:s3cret@127.0.0.1/a.png", "a user or a password"},
      {"ftp://127.0.0.1/a.png?s3cret", "http, https, file and data"}};
  for (const auto& [address, words] : faults) {
    // Where nothing is answered it is asked again, for as long as it may.
    const bool silent = address.find("/gone") != std::string::npos;
    const Outcome got = ask("--image '" + address + "'", silent ? " --media-timeout 2" : "");
    EXPECT_NE(got.status, 0) << address;
    EXPECT_NE(got.err.find(words), std::string::npos) << got.err;
    EXPECT_EQ(got.err.find("s3cret"), std::string::npos) << got.err;
  }
}

TEST_F(Addresses, InnerOnesAreForWhatWasTyped) {
  const test::TemporaryFolder folder;
  const Json request = {
      {"messages",
       {{{"role", "user"},
         {"content", {{{"type", "image"}, {"image", host.url("/a.png")}}, "What is it?"}}}}},
      {"generate", {{"max_new_tokens", 4}}}};
  test::write_text(folder / "r.json", request.dump());
  const std::string words = "run " + test::model() + " --request " + (folder / "r.json").string();
  const Outcome refused = run(words);
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("not public"), std::string::npos) << refused.err;
  const Outcome allowed = run(words + " --allow-media-address 127.0.0.1");
  EXPECT_EQ(allowed.status, 0) << allowed.err;
  EXPECT_EQ(allowed.out, ask("--image " + test::picture()).out);
  const Outcome led =
      ask("--image http://pictures.example/inner" + connect_to("pictures.example", 80, host.port()));
  EXPECT_EQ(led.status, 1);
  EXPECT_NE(led.err.find("not public"), std::string::npos) << led.err;
}

TEST_F(Addresses, PlanAndProcessFetchThemToo) {
  const Outcome plan = run("plan " + test::model() + " --image " + host.url("/a.png") + " x --json");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_EQ(Json::parse(plan.out)["media"][0]["name"], host.url("/a.png"));
  const test::TemporaryFolder folder;
  const Json content = Json::array({{{"type", "video"}, {"video", host.url("/a.mp4")}}, "What?"});
  test::write_text(folder / "r.json", Json::array({{{"role", "user"}, {"content", content}}}).dump());
  const Outcome process =
      run("process " + test::model() + " --request " + (folder / "r.json").string() + " --out " +
          (folder / "o.safetensors").string() + " --allow-media-address 127.0.0.0/8");
  EXPECT_EQ(process.status, 0) << process.err;
}

TEST_F(Addresses, APictureIsNoClipAsAmongFiles) {
  const Outcome got = ask("--video " + host.url("/a.png"));
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.err.find("/a.png] is a picture, no clip: give it as an image"), std::string::npos) << got.err;
  EXPECT_EQ(ask("--video " + host.url("/a.mp4")).status, 0);
}

TEST_F(Addresses, EvalFetchesThoseOfItsRows) {
  const test::TemporaryFolder folder;
  std::string rows;
  for (int i = 0; i < 3; ++i)
    rows += Json({{"id", i}, {"image", host.url("/a.png?key=s3cret")}, {"question", "q"}, {"answer", "x"}})
                .dump() +
            "\n";
  test::write_text(folder / "set.jsonl", rows);
  const Outcome got =
      run("eval " + test::model() + " " + (folder / "set.jsonl").string() + " --out " +
          (folder / "out").string() + kShort + " --allow-media-address 127.0.0.1 --preset paper");
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_EQ(host.requests().size(), 1u);
  EXPECT_EQ(test::read_text(folder / "out" / "answers.jsonl").find("s3cret"), std::string::npos);
  const Json summary = Json::parse(test::read_text(folder / "out" / "summary.json"));
  EXPECT_EQ(summary["settings"]["media"]["fps"], 1.0);
  EXPECT_EQ(summary["settings"]["media"]["max_frames"], 180);
  EXPECT_EQ(summary["settings"]["generation"]["max_new_tokens"], 4);
}

TEST_F(Addresses, AChatTakesThem) {
  const Outcome got = run("run " + test::model() + kShort, "/image " + host.url("/page") + "\n/image " +
                                                               host.url("/a.png") + "\nWhat is it?\n");
  EXPECT_EQ(got.status, 0) << got.err;
  EXPECT_NE(got.err.find("an HTML page"), std::string::npos) << got.err;
  EXPECT_EQ(got.out, ask("--image " + test::picture()).out);
}

TEST_F(Addresses, ACacheIsAskedFirst) {
  const test::TemporaryFolder folder;
  const std::string cache = " --media-cache " + (folder / "cache").string();
  const Outcome first = ask("--image " + host.url("/a.png"), cache);
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(ask("--image " + host.url("/a.png"), cache).out, first.out);
  ASSERT_EQ(host.requests().size(), 2u);
  EXPECT_NE(host.requests()[1].find("If-None-Match: \"1\""), std::string::npos);
}

TEST_F(Addresses, CtrlCEndsADownloadAndLeavesNothing) {
  const test::TemporaryFolder folder;
  const std::string cache = (folder / "cache").string(), err = (folder / "err").string();
  std::filesystem::create_directories(folder / "tmp");
  test::write_text(folder / "script", "TMPDIR=" + (folder / "tmp").string() + " " + VL3_PROGRAM + " run " +
                                          test::model() + " --image " + host.url("/endless") +
                                          " q --media-cache " + cache + " 2>" + err + " &\n" +
                                          "for i in $(seq 6000); do ls -A " + cache +
                                          " 2>/dev/null | grep -q part && break; sleep 0.05; done\n"
                                          "kill -INT $!; wait $!\n");
  const int status = std::system(("sh " + (folder / "script").string()).c_str());
  EXPECT_EQ(WEXITSTATUS(status), 130) << test::read_text(err);
  EXPECT_TRUE(std::filesystem::is_empty(cache));
  EXPECT_TRUE(std::filesystem::is_empty(folder / "tmp"));
}

// The examples of the checkpoint's page: an address of a repository's raw file, which redirects to another
// host.
TEST_F(Addresses, ThePublishedExamplesRunAsTheyStand) {
  const std::string raw = "https://github.com/DAMO-NLP-SG/VideoLLaMA3/raw/refs/heads/main/assets/";
  const test::TlsHost web({"github.com", "raw.githubusercontent.com"}, [&](const std::string& head) {
    const std::string path = head.substr(4, head.find(' ', 4) - 4);
    const size_t file = path.rfind('/');
    if (head.find("Host: github.com\r\n") != std::string::npos)
      return WebHost::reply(
          "",
          "Location: https://raw.githubusercontent.com/DAMO-NLP-SG/VideoLLaMA3/refs/heads/main/assets" +
              path.substr(file) + "\r\n",
          "302 Found");
    return WebHost::reply(path.ends_with("sora.png") ? png : clip);
  });
  const test::TemporaryFolder folder;
  web.write_certificate(folder / "ca.pem");
  const std::string hosts = connect_to("github.com", 443, web.port()) +
                            connect_to("raw.githubusercontent.com", 443, web.port()) + " --certificates " +
                            (folder / "ca.pem").string();
  const Outcome picture = ask("--image " + raw + "sora.png", hosts);
  EXPECT_EQ(picture.status, 0) << picture.err;
  EXPECT_EQ(picture.out, ask("--image " + test::picture()).out);
  const Outcome moving = ask("--video " + raw + "cat_and_chicken.mp4 --fps 1 --max-frames 180", hosts);
  EXPECT_EQ(moving.status, 0) << moving.err;
  EXPECT_EQ(moving.out, ask("--video " + test::clip() + " --fps 1 --max-frames 180").out);
  const Outcome several = ask("--image " + raw + "sora.png --video " + raw + "cat_and_chicken.mp4", hosts);
  EXPECT_EQ(several.status, 0) << several.err;
  EXPECT_EQ(web.requests().size(), 8u);
  // Whom nobody vouches for is not asked.
  const Outcome stranger = ask("--image " + raw + "sora.png", connect_to("github.com", 443, web.port()));
  EXPECT_EQ(stranger.status, 1);
  EXPECT_NE(stranger.err.find("certificate"), std::string::npos) << stranger.err;
  EXPECT_EQ(web.requests().size(), 8u);
}

// The stand-in for the hub that the shared material has, with faults: a program of its own.
class StandInHub {
 public:
  StandInHub(const std::filesystem::path& script, const std::filesystem::path& folder) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execlp("python3", "python3", script.c_str(), folder.c_str(), "--static", folder.c_str(), "--rules",
               (folder / "rules.json").c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    for (char c = 0; ::read(ends[0], &c, 1) == 1 && c != '\n';) line_ += c;
    ::close(ends[0]);
  }
  ~StandInHub() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  StandInHub(const StandInHub&) = delete;
  StandInHub& operator=(const StandInHub&) = delete;
  // "http://127.0.0.1:P"; empty where it did not start.
  std::string url() const {
    const size_t at = line_.find("http://");
    return at == std::string::npos ? "" : line_.substr(at, line_.find(' ', at) - at);
  }

 private:
  pid_t child_ = -1;
  std::string line_;
};

TEST_F(Addresses, WhatBreaksOffAtTheStandInHubComesWhole) {
  VL3_NEED_SHARED(script, "reference/hub_server.py");
  const test::TemporaryFolder folder;
  test::write_text(folder / "sora.png", png);
  test::write_text(folder / "clip.mp4", clip);
  test::write_text(folder / "pointer.png",
                   "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  const Json cut = {{"port", "cdn"}, {"method", "GET"},    {"match", "clip.mp4"},
                    {"times", 3},    {"drop_after", 2000}, {"reset", true}};
  const Json busy = {{"port", "hub"}, {"method", "GET"}, {"match", "clip.mp4"},
                     {"status", 503}, {"times", 1},      {"retry_after", 0}};
  test::write_text(folder / "rules.json", Json::array({busy, cut}).dump());
  const StandInHub hub(script, folder.path());
  if (hub.url().empty()) GTEST_SKIP() << "the stand-in hub did not start";
  const std::string raw = hub.url() + "/raw/";
  const Outcome picture = ask("--image " + raw + "sora.png");
  EXPECT_EQ(picture.status, 0) << picture.err;
  EXPECT_EQ(picture.out, ask("--image " + test::picture()).out);
  const Outcome moving = ask("--video " + raw + "clip.mp4");
  EXPECT_EQ(moving.status, 0) << moving.err;
  EXPECT_EQ(moving.out, ask("--video " + test::clip()).out);
  const Outcome pointer = ask("--image " + raw + "pointer.png");
  EXPECT_EQ(pointer.status, 1);
  EXPECT_NE(pointer.err.find("a Git LFS pointer"), std::string::npos) << pointer.err;
}

}  // namespace
}  // namespace vl3
