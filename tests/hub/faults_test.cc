// What goes wrong around a download: answers that come in drops or packed, files that go while others come,
// links in the cache.

#include "hub/hub_fixture.h"
#include "support/expect_failure.h"

namespace vl3::hub {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using test::expect_failure;
using test::read_text;
using test::write_text;

using HubFaults = HubTest;

TEST_F(HubFaults, DropsAreNoProgress) {
  tries_ = 2;
  Fault drops;
  drops.part = sha256_of(weights_);
  drops.bytes_per_s = 100;  // an hour for all of them
  drops.times = 100;
  hub_.add(drops);
  // On a slow machine nothing at all may come in a second, and other questions may take longer.
  for (const std::chrono::seconds patience : {1s, 10s, 60s}) {
    stall_timeout_ = patience;
    EXPECT_EQ(failure(), HubFailure::kUnreachable);
    if (fs::exists(weights_blob(".vl3.incomplete")) && fs::file_size(weights_blob(".vl3.incomplete")) > 0)
      break;
  }
  EXPECT_NE(message_.find("brought next to nothing for " + std::to_string(stall_timeout_.count()) +
                          " s, 2 times in a row"),
            std::string::npos)
      << message_;
  EXPECT_GT(fs::file_size(weights_blob(".vl3.incomplete")), 0u);
  EXPECT_FALSE(fs::exists(cache("refs/main")));
}

TEST_F(HubFaults, WhatComesPackedIsTold) {
  for (const char* part : {"/revision/", "/tree/", ""}) {
    Fault packed;
    packed.host = *part == '\0' ? "cdn" : "hub";
    packed.part = part;
    packed.status = 200;
    packed.fields = "Content-Encoding: gzip\r\n";
    packed.body = "\x1f\x8b";
    hub_.add(packed);
    EXPECT_EQ(failure(), HubFailure::kBadAnswer) << part;
    EXPECT_NE(message_.find("comes compressed"), std::string::npos) << message_;
  }
}

// A network that wants a login first answers so to whatever is asked for.
TEST_F(HubFaults, NothingIsKeptOfAWebPage) {
  Fault portal;
  portal.status = 200;
  portal.fields = "Content-Type: text/html; charset=utf-8\r\n";
  portal.body = "<html>Log in!</html>";
  portal.times = 100;
  hub_.add(portal);
  EXPECT_EQ(failure(), HubFailure::kUnreachable);
  EXPECT_NE(message_.find("was answered with a web page"), std::string::npos) << message_;
  EXPECT_NE(message_.find("; 0 of "), std::string::npos) << message_;
}

TEST_F(HubFaults, ABranchMayBecomeAFolderOfBranches) {
  hub_.put("org/model", files_, "feat/x");
  pull_quickly("org/model@feat/x");
  hub_.put("org/model", {{"config.json", config_}, {"model.safetensors", "w"}}, "feat");
  pull_quickly("org/model@feat");
  EXPECT_EQ(read_text(cache("refs/feat")), hub_.commit("org/model", "feat"));
  pull_quickly("org/model@feat/x");
  EXPECT_EQ(read_text(cache("refs/feat/x")), hub_.commit("org/model", "feat/x"));
  remove_cached(parse_hub_name("org/model@feat/x"), options_);
  EXPECT_FALSE(fs::exists(cache("refs/feat")));
}

TEST_F(HubFaults, ACacheThatCannotBeReadIsTold) {
  EXPECT_TRUE(cached_models(options_).empty()) << "where there is none yet";
  write_text(folder_ / "file", "no folder");
  options_.cache_dir = folder_ / "file";
  expect_failure(ErrorCode::kIo, {"file", "cannot be read"}, [&] { cached_models(options_); });
  expect_failure(ErrorCode::kIo, {"file", "cannot be read"}, [&] { verify_cached(std::nullopt, options_); });
}

TEST_F(HubFaults, ATimeToComeBackIsWaitedFor) {
  Fault busy;
  busy.host = "hub";
  busy.part = "/revision/";
  busy.status = 429;
  busy.fields = "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:01 GMT\r\n";
  hub_.add(busy);
  const auto begin = std::chrono::steady_clock::now();
  pull_quickly();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
  busy.fields = "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 09:28:00 GMT\r\n";
  fs::remove_all(folder_ / "cache");
  hub_.add(busy);
  EXPECT_EQ(failure(), HubFailure::kUnreachable);
  EXPECT_NE(message_.find("7200 s"), std::string::npos) << message_;
}

// Another process removes the model when all but the weights are there.
TEST_F(HubFaults, WhatIsRemovedMeanwhileIsTold) {
  options_.parallel_files = 1;
  for (const bool all : {true, false}) {
    bool removed = false;
    options_.progress = [&](const HubProgress& progress) {
      if (removed || progress.file != "model.safetensors" || progress.file_bytes == 0) return;
      removed = true;
      if (all)
        remove_cached(parse_hub_name("org/model"), options_);
      else
        fs::remove(cache("blobs/" + git_id_of(config_)));
    };
    expect_failure(ErrorCode::kIo, {"was removed while", "pull the model again"}, [&] { pull_quickly(); });
    EXPECT_TRUE(removed);
    EXPECT_FALSE(fs::exists(cache("refs/main")));
    options_.progress = {};
    EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
    EXPECT_TRUE(verify_cached(std::nullopt, options_).faults.empty());
    fs::remove_all(folder_ / "cache");
  }
}

TEST_F(HubFaults, AFolderThatIsALinkIsNotWrittenInto) {
  hub_.put("org/model", {{"config.json", config_},
                         {"model.safetensors", weights_},
                         {"additional_chat_templates/a.jinja", "x"}});
  const fs::path snapshot = cache("snapshots/" + hub_.commit("org/model"));
  fs::create_directories(snapshot);
  fs::create_directories(folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", snapshot / "additional_chat_templates");
  expect_failure(ErrorCode::kIo, {"additional_chat_templates", "is a link"}, [&] { pull_quickly(); });
  EXPECT_TRUE(fs::is_empty(folder_ / "elsewhere"));
  fs::remove(snapshot / "additional_chat_templates");
  EXPECT_EQ(read_text(pull_quickly() / "additional_chat_templates/a.jinja"), "x");
}

TEST_F(HubFaults, AFileAndAFolderOfOneNameAreRefused) {
  const std::string git(40, 'a');
  const auto entry = [&](const std::string& path) {
    return R"({"type":"file","oid":")" + git_id_of("x") + R"(","size":1,"path":")" + path + "\"}";
  };
  hub_.list_with("[" + entry("config.json") + "," + entry("config.json/a") + "," + entry("config.json-b") +
                 "]");
  EXPECT_EQ(failure(), HubFailure::kBadAnswer) << message_;
  EXPECT_NE(message_.find("\"config.json\" is a file and a folder"), std::string::npos) << message_;
}

// What was killed while a revision was written down is no revision, and keeps nobody from writing it.
TEST_F(HubFaults, WhatAKillLeavesIsNoRevision) {
  const std::string revision(248, 'r');
  hub_.put("org/model", {{"config.json", "{}"}, {"model.safetensors", "w"}}, revision);
  pull_quickly("org/model@" + revision);
  write_text(cache("blobs/.vl3.AbCdEf"), hub_.commit("org/model", revision));
  const auto models = cached_models(options_);
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].revisions, std::vector<std::string>{revision});
}

TEST_F(HubFaults, AnEndpointIsShownWithoutItsKeys) {
  options_.endpoint = "https://user:s3cret@hub.example";
  expect_failure(ErrorCode::kInvalidArgument, {"https://hub.example", "a user or a password"},
                 [&] { pull_quickly(); });
  try {
    pull_quickly();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("s3cret"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace vl3::hub
