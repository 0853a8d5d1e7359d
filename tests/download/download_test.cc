// Files from the web: what comes, and how each way of going wrong is told.

#include "download/download.h"

#include <fcntl.h>

#include <chrono>
#include <cstdlib>

#include "support/support.h"
#include "support/web_host.h"
#include "vl3/error.h"

namespace vl3::download {
namespace {

using namespace std::chrono_literals;
using test::WebHost;

constexpr DownloadLimits kLimits{1 << 20, 600s};

std::string redirect(const std::string& to) {
  return WebHost::reply("", "Location: " + to + "\r\n", "302 Found");
}

void answer(const std::string& target, const WebHost::Say& say) {
  const std::string body = "some bytes";
  if (target == "/ok") {
    say(WebHost::reply(body));
  } else if (target == "/no-length") {
    say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body);
  } else if (target == "/chunked") {
    say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n6\r\n bytes\r\n0\r\n\r\n");
  } else if (target.starts_with("/hop")) {
    const int left = std::atoi(target.c_str() + 4);
    say(redirect(left > 1 ? "/hop" + std::to_string(left - 1) : "ok"));
  } else if (target == "/to-other-loopback") {
    say(redirect("http://127.0.0.9/x"));
  } else if (target == "/to-metadata") {
    say(redirect("http://169.254.169.254/latest/meta-data/"));
  } else if (target == "/to-file") {
    say(redirect("file:///etc/passwd"));
  } else if (target.starts_with("/status")) {
    say(WebHost::reply("words", "", target.substr(7) + " Words"));
  } else if (target == "/empty") {
    say(WebHost::reply(""));
  } else if (target == "/cut") {
    say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + body);
  } else if (target == "/packed") {
    say(WebHost::reply(body, "Content-Encoding: gzip\r\n"));
  } else if (target == "/garbage") {
    say("\x16\x03\x01 this is no answer\r\n\r\n");
  } else if (target == "/headers") {
    say("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 200; ++i) say("X-" + std::to_string(i) + ": " + std::string(1000, 'a') + "\r\n");
    say("\r\n" + body);
  } else if (target == "/too-long") {
    say("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + body);
  } else if (target == "/endless") {
    say("HTTP/1.1 200 OK\r\n\r\n");
    while (say(std::string(1 << 16, 'x'))) continue;
  } else if (target == "/large") {
    say(WebHost::reply(std::string(5000, 'l')));
  } else if (target == "/drip") {  // for a minute, where nobody ends it
    say("HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 3000 && say("x"); ++i) std::this_thread::sleep_for(20ms);
  } else if (target == "/stall") {  // for longer than anybody should wait
    say("HTTP/1.1 200 OK\r\n\r\nx");
    while (say("")) std::this_thread::sleep_for(20ms);
  }
}

class Download : public testing::Test {
 protected:
  static DownloaderOptions options() {
    DownloaderOptions options;
    options.allow_addresses = {"127.0.0.1"};
    options.connect_timeout = options.stall_timeout = 600s;  // a slow machine is no slow host
    return options;
  }
  Failure failure(const std::string& target, const DownloadLimits& limits = kLimits,
                  std::string* words = nullptr) {
    try {
      downloader.get(host.url(target), limits, nullptr);
      ADD_FAILURE() << target << " was fetched";
      return {};
    } catch (const DownloadError& error) {
      if (words != nullptr) *words = error.what();
      EXPECT_EQ(std::string(error.what()).find("127.0"), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find("169.254"), std::string::npos) << error.what();
      return error.failure();
    }
  }
  WebHost host{answer};
  Downloader downloader{options()};
};

TEST_F(Download, ContentComesWhateverWayItIsSent) {
  for (const char* target : {"/ok", "/no-length", "/chunked", "/hop1", "/hop3"}) {
    const Downloaded got = downloader.get(host.url(target), kLimits, nullptr);
    EXPECT_EQ(got.bytes, "some bytes") << target;
    EXPECT_EQ(got.size, 10u);
    EXPECT_LT(got.file.get(), 0);
  }
}

TEST_F(Download, LargerContentIsAFileWithoutAName) {
  DownloaderOptions small = options();
  small.memory_bytes = 1000;
  const Downloaded got = Downloader(small).get(host.url("/large"), kLimits, nullptr);
  ASSERT_GE(got.file.get(), 0);
  EXPECT_TRUE(got.bytes.empty());
  std::string bytes(6000, '\0');
  EXPECT_EQ(::pread(got.file.get(), bytes.data(), bytes.size(), 0), 5000);
  EXPECT_EQ(bytes.substr(0, 5000), std::string(5000, 'l'));
  EXPECT_LT(::write(got.file.get(), "x", 1), 0) << "a decoder could change it";
  EXPECT_NE(::fcntl(got.file.get(), F_GETFD) & FD_CLOEXEC, 0);
  small.folder = "/nonexistent/folder";
  try {
    Downloader(small).get(host.url("/large"), kLimits, nullptr);
    ADD_FAILURE();
  } catch (const DownloadError& error) {
    EXPECT_EQ(error.failure(), Failure::kNoSpace);
  }
}

TEST_F(Download, EachFailureIsTold) {
  const std::pair<const char*, Failure> failures[] = {{"/status404", Failure::kRefused},
                                                      {"/status403", Failure::kRefused},
                                                      {"/status500", Failure::kUpstream},
                                                      {"/status503", Failure::kUpstream},
                                                      {"/status429", Failure::kUpstream},
                                                      {"/status408", Failure::kUpstream},
                                                      {"/status204", Failure::kUnusable},
                                                      {"/status304", Failure::kUnusable},
                                                      {"/empty", Failure::kUnusable},
                                                      {"/cut", Failure::kUpstream},
                                                      {"/packed", Failure::kUnusable},
                                                      {"/garbage", Failure::kUpstream},
                                                      {"/headers", Failure::kUpstream},
                                                      {"/too-long", Failure::kTooLarge},
                                                      {"/endless", Failure::kTooLarge},
                                                      {"/hop4", Failure::kTooManyRedirects},
                                                      {"/to-file", Failure::kUnusable},
                                                      {"/to-other-loopback", Failure::kForbiddenAddress},
                                                      {"/to-metadata", Failure::kForbiddenAddress}};
  for (const auto& [target, expected] : failures) EXPECT_EQ(failure(target), expected) << target;
  std::string words;
  failure("/status404", kLimits, &words);
  EXPECT_NE(words.find("404"), std::string::npos) << words;
}

TEST_F(Download, NothingIsSentThatTellsWhoAsks) {
  ASSERT_EQ(::setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
  ASSERT_EQ(::setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
  downloader.get(host.url("/hop1"), kLimits, nullptr);
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
  for (const std::string& request : host.requests()) {
    for (const char* field : {"Cookie", "Authorization", "Referer", "gzip"})
      EXPECT_EQ(request.find(field), std::string::npos) << request;
    EXPECT_NE(request.find("Accept-Encoding: identity"), std::string::npos) << request;
  }
}

TEST_F(Download, AddressesOfThisMachineAreNotAskedAtAll) {
  const Downloader shut{DownloaderOptions()};
  const std::string port = std::to_string(host.port());
  const std::pair<std::string, Failure> names[] = {{"127.0.0.1", Failure::kForbiddenAddress},
                                                   {"localhost", Failure::kForbiddenAddress},
                                                   {"a.localhost", Failure::kForbiddenAddress},
                                                   {"2130706433", Failure::kForbiddenAddress},
                                                   {"0x7f.1", Failure::kForbiddenAddress},
                                                   {"[::1]", Failure::kForbiddenAddress},
                                                   {"[::ffff:127.0.0.1]", Failure::kForbiddenAddress},
                                                   {"0", Failure::kForbiddenAddress},
                                                   {"LOCALHOST", Failure::kForbiddenAddress},
                                                   {"127.0.0.1.", Failure::kRefused},
                                                   {"127\xe3\x80\x82"
                                                    "0.0.1",
                                                    Failure::kBadUrl}};
  for (const auto& [name, expected] : names) {
    try {
      shut.get("http://" + name + ":" + port + "/ok", kLimits, nullptr);
      ADD_FAILURE() << name;
    } catch (const DownloadError& error) {
      EXPECT_EQ(error.failure(), expected) << name << ": " << error.what();
    }
  }
  EXPECT_TRUE(host.requests().empty());
}

TEST_F(Download, WhatTakesTooLongIsCutOff) {
  EXPECT_EQ(failure("/drip", {1 << 20, 300ms}), Failure::kTimeout);
}

TEST_F(Download, CancellingEndsItWhetherSomethingComesOrNot) {
  for (const char* target : {"/drip", "/stall"}) {
    int asked = 0;
    try {
      downloader.get(host.url(target), kLimits, [&] { return ++asked > 3; });
      ADD_FAILURE() << target << " was fetched";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled) << target << error.what();
    }
  }
}

}  // namespace
}  // namespace vl3::download
