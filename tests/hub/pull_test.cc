// Downloads: what comes into the cache, and what becomes of each way of going wrong.

#include <thread>

#include "hub/hub_fixture.h"
#include "vl3/hub.h"

namespace vl3::hub {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using test::read_text;
using test::write_text;

using Pull = HubTest;

TEST_F(Pull, MakesTheLayoutThatOthersRead) {
  const fs::path folder = pull_quickly();
  const std::string commit = hub_.commit("org/model");
  EXPECT_EQ(folder, cache("snapshots/" + commit));
  EXPECT_EQ(read_text(folder / "model.safetensors"), weights_);
  EXPECT_EQ(read_text(folder / "config.json"), config_);
  EXPECT_EQ(fs::read_symlink(folder / "model.safetensors"), "../../blobs/" + sha256_of(weights_));
  EXPECT_EQ(fs::read_symlink(folder / "config.json"), "../../blobs/" + git_id_of(config_));
  EXPECT_EQ(read_text(cache("refs/main")), commit);
  EXPECT_TRUE(fs::exists(cache("trees/" + commit + ".json")));
  EXPECT_TRUE(fs::exists(cache(".no_exist/" + commit + "/generation_config.json")));
  EXPECT_FALSE(fs::exists(cache(".no_exist/" + commit + "/tokenizer.json")));
  EXPECT_TRUE(
      read_text(folder_ / "cache/CACHEDIR.TAG").starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
  EXPECT_TRUE(fs::exists(folder_ / ("cache/.locks/models--org--model/" + sha256_of(weights_) + ".lock")));
  // Neither what no model needs, nor pickles, nor anything that was begun.
  EXPECT_FALSE(fs::exists(folder / "README.md"));
  EXPECT_FALSE(fs::exists(folder / "pytorch_model.bin"));
  size_t blobs = 0;
  for (const auto& entry : fs::directory_iterator(cache("blobs")))
    blobs += entry.path().filename().string().size() >= 40;
  EXPECT_EQ(blobs, 3u);
  EXPECT_NE(notes_.find("3 files"), std::string::npos) << notes_;
}

TEST_F(Pull, AsksNoMoreThanItMust) {
  pull_quickly();
  hub_.forget();
  pull_quickly();
  ASSERT_EQ(hub_.asked().size(), 1u);  // what main is now
  hub_.forget();
  pull_quickly("org/model@" + hub_.commit("org/model"));  // which cannot have changed
  options_.local_files_only = true;
  EXPECT_EQ(pull_quickly(), cache("snapshots/" + hub_.commit("org/model")));
  EXPECT_TRUE(hub_.asked().empty());
}

TEST_F(Pull, ANewCommitBringsWhatChangedAlone) {
  const fs::path before = pull_quickly();
  auto files = files_;
  files["config.json"] = "{\"model_type\": \"y\"}";
  hub_.put("org/model", files);
  hub_.forget();
  notes_.clear();
  const fs::path after = pull_quickly();
  EXPECT_NE(notes_.find("org/model: 1 file of 0.0 MB"), std::string::npos) << notes_;
  EXPECT_NE(before, after);
  EXPECT_EQ(read_text(after / "config.json"), files["config.json"]);
  EXPECT_EQ(read_text(after / "model.safetensors"), weights_);
  EXPECT_EQ(read_text(before / "config.json"), config_);
  EXPECT_EQ(hub_.count("cdn", "/lfs/"), 0u);
  EXPECT_EQ(read_text(cache("refs/main")), hub_.commit("org/model"));
}

TEST_F(Pull, RevisionsAndPatterns) {
  hub_.put("org/model", {{"config.json", "old"}, {"model.safetensors", "w"}}, "refs/pr/1");
  EXPECT_EQ(read_text(pull_quickly("org/model@refs/pr/1") / "config.json"), "old");
  EXPECT_EQ(read_text(cache("refs/refs/pr/1")), hub_.commit("org/model", "refs/pr/1"));
  options_.include = {"*.json", "*.md"};
  options_.exclude = {"tok*"};
  const fs::path folder = pull_quickly();
  EXPECT_TRUE(fs::exists(folder / "README.md"));
  EXPECT_FALSE(fs::exists(folder / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(folder / "model.safetensors"));
  options_.include = {"nothing*"};
  EXPECT_EQ(failure(), HubFailure::kFile);
}

TEST_F(Pull, ListsOfManyPages) {
  std::map<std::string, std::string> files = {{"config.json", "{}"}};
  for (int i = 0; i < 9; ++i) files["model-" + std::to_string(i) + ".safetensors"] = "w" + std::to_string(i);
  hub_.put("org/shards", files);
  hub_.page_size(3);
  const fs::path folder = pull_quickly("org/shards");
  EXPECT_EQ(read_text(folder / "model-8.safetensors"), "w8");
  EXPECT_EQ(hub_.count("hub", "/tree/"), 4u);
}

TEST_F(Pull, GoesOnWhereTheConnectionEnded) {
  Fault cut;
  cut.cut_after = 100'000;
  cut.times = 2;
  cut.part = sha256_of(weights_);
  hub_.add(cut);
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  std::vector<std::string> ranges;
  for (const Asked& asked : hub_.asked())
    if (asked.target.find(sha256_of(weights_)) != std::string::npos) {
      ranges.push_back(asked.range);
      const std::string version = "\"cdn-" + sha256_of(weights_).substr(0, 8) + "\"";
      EXPECT_EQ(asked.if_range, asked.range.empty() ? "" : version);
    }
  EXPECT_EQ(ranges, (std::vector<std::string>{"", "bytes=100000-", "bytes=200000-"}));
}

TEST_F(Pull, GoesOnWhereAnEarlierDownloadEnded) {
  Fault begun;
  begun.stall_after = 60'000;
  begun.part = sha256_of(weights_);
  hub_.add(begun);
  std::atomic<bool> stop = false;
  options_.cancelled = [&] { return stop.load(); };
  options_.progress = [&](const HubProgress& progress) {
    if (progress.file == "model.safetensors" && progress.file_bytes > 50'000) stop = true;
  };
  EXPECT_THROW(pull_quickly(), Error);
  ASSERT_TRUE(fs::exists(weights_blob(".vl3.incomplete")));
  const auto kept = fs::file_size(weights_blob(".vl3.incomplete"));
  EXPECT_GT(kept, 50'000u);
  EXPECT_FALSE(fs::exists(weights_blob()));
  EXPECT_FALSE(fs::exists(cache("refs/main")));  // it would lead to a snapshot that is not whole
  stop = false;
  options_.progress = {};
  hub_.forget();
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  EXPECT_FALSE(fs::exists(weights_blob(".vl3.incomplete")));
  EXPECT_EQ(last_range(), "bytes=" + std::to_string(kept) + "-");
  EXPECT_EQ(hub_.count("cdn", sha256_of(weights_)), 1u);
}

TEST_F(Pull, WhatIsThereOfAnotherVersionIsNotGoneOnWith) {
  fs::create_directories(cache("blobs"));
  write_text(weights_blob(".vl3.incomplete"), bytes_of(1000, 77));
  write_text(weights_blob(".vl3.version.incomplete"), "\"another\"");
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  fs::remove_all(folder_ / "cache");
  // Nothing says what it is of: the hash does.
  fs::create_directories(cache("blobs"));
  write_text(weights_blob(".vl3.incomplete"), bytes_of(1000, 77));
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  fs::remove_all(folder_ / "cache");
  fs::create_directories(cache("blobs"));
  write_text(weights_blob(".vl3.incomplete"), bytes_of(400'000, 77));  // more than the file has
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
}

TEST_F(Pull, ServersWithoutRangesAndOtherVersionsBeginAgain) {
  for (const bool ranges : {true, false}) {
    Fault cut;
    cut.cut_after = 100'000;
    cut.part = sha256_of(weights_);
    Fault then;
    then.part = cut.part;
    then.no_ranges = !ranges;
    if (ranges) then.etag = "moved";
    hub_.add(cut);
    hub_.add(then);
    EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
    fs::remove_all(folder_ / "cache");
  }
}

TEST_F(Pull, AStallIsLeftAndGoneOnWith) {
  Fault stall;
  stall.stall_after = 50'000;
  stall.part = sha256_of(weights_);
  hub_.add(stall);
  // On a slow machine all may seem to stall before so much has come: then with more patience.
  for (const std::chrono::seconds patience : {1s, 10s, 60s}) {
    stall_timeout_ = patience;
    if (!failure() && last_range() == "bytes=50000-") break;
    fs::remove_all(folder_ / "cache");
    hub_.add(stall);
  }
  EXPECT_EQ(last_range(), "bytes=50000-");
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
}

TEST_F(Pull, WrongBytesAreNotUsed) {
  Fault wrong;
  wrong.corrupt = true;
  hub_.add(wrong);
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);  // once is forgiven
  for (const char* kind : {"corrupt", "longer", "shorter", "small"}) {
    fs::remove_all(folder_ / "cache");
    Fault always;
    always.times = 1000;
    always.corrupt = std::string(kind) == "corrupt" || std::string(kind) == "small";
    if (std::string(kind) == "small") always.host = "hub", always.part = "config.json?moved";
    always.longer = std::string(kind) == "longer" ? 5 : std::string(kind) == "shorter" ? -5 : 0;
    TestHub hub;
    hub.put("org/model", files_);
    hub.add(always);
    options_.endpoint = hub.url();
    options_.parallel_files = 1;
    EXPECT_EQ(failure(), HubFailure::kWrongBytes) << kind << message_;
    EXPECT_FALSE(fs::exists(cache("refs/main"))) << kind;
    EXPECT_FALSE(fs::exists(weights_blob()) && read_text(weights_blob()) != weights_) << kind;
    EXPECT_FALSE(fs::exists(weights_blob(".vl3.incomplete"))) << kind;
  }
}

TEST_F(Pull, AHubThatContradictsItselfIsNotBelieved) {
  Fault tag;
  tag.host = "hub";
  tag.method = "HEAD";
  tag.part = "model.safetensors";
  tag.linked_etag = std::string(64, 'e');
  hub_.add(tag);
  EXPECT_EQ(failure(), HubFailure::kWrongBytes) << message_;
  tag.linked_etag.clear();
  tag.linked_size = 7;
  hub_.add(tag);
  EXPECT_EQ(failure(), HubFailure::kWrongBytes) << message_;
  EXPECT_NE(message_.find("300000"), std::string::npos) << message_;
}

TEST_F(Pull, AnAddressThatIsNoLongerGoodIsAskedForAgain) {
  Fault expired;
  expired.status = 403;
  expired.part = sha256_of(weights_);
  hub_.add(expired);
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  size_t heads = 0;
  for (const Asked& asked : hub_.asked())
    heads += asked.method == "HEAD" && asked.target.ends_with("/model.safetensors");
  EXPECT_EQ(heads, 2u);
}

TEST_F(Pull, StatusesThatMayChangeAreAskedAgain) {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    Fault busy;
    busy.host = "hub";
    busy.part = "/revision/";
    busy.status = status;
    busy.times = 2;
    busy.fields = status == 429 ? "RateLimit: \"api\";r=0;t=0\r\n" : "";
    hub_.add(busy);
    busy.host = "cdn";
    busy.part = sha256_of(weights_);
    hub_.add(busy);
    EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_) << status;
    fs::remove_all(folder_ / "cache");
  }
  Fault patient;
  patient.host = "hub";
  patient.part = "/revision/";
  patient.status = 503;
  patient.fields = "Retry-After: 1\r\n";
  hub_.add(patient);
  const auto begin = std::chrono::steady_clock::now();
  pull_quickly();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
  patient.fields = "Retry-After: 3600\r\n";
  fs::remove_all(folder_ / "cache");
  hub_.add(patient);
  EXPECT_EQ(failure(), HubFailure::kUnreachable);
  EXPECT_NE(message_.find("3600 s"), std::string::npos) << message_;
  patient.fields.clear();
  patient.times = 1000;
  hub_.add(patient);
  EXPECT_EQ(failure(), HubFailure::kUnreachable);
  EXPECT_NE(message_.find("503"), std::string::npos) << message_;
}

TEST_F(Pull, SeveralAtOnceFetchOnce) {
  Fault slow;
  slow.bytes_per_s = 600'000;
  slow.part = sha256_of(weights_);
  hub_.add(slow);
  options_.notes = {};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] { EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(hub_.count("cdn", sha256_of(weights_)), 1u);
}

// While nothing comes, and while it waits to ask again: neither would end by itself soon.
TEST_F(Pull, EndsSoonAfterItIsCancelled) {
  for (const std::string where : {"stall", "wait"}) {
    Fault fault;
    fault.part = where == "wait" ? "/revision/" : sha256_of(weights_);
    fault.host = where == "wait" ? "hub" : "cdn";
    if (where == "wait") fault.status = 503, fault.fields = "Retry-After: 60\r\n";
    fault.stall_after = 1000;
    hub_.add(fault);
    hub_.forget();
    std::atomic<int> glances = 0;
    options_.cancelled = [&] { return hub_.count(fault.host, fault.part) > 0 && ++glances > 10; };
    try {
      pull_quickly();
      ADD_FAILURE() << where;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled) << where << error.what();
    }
    EXPECT_EQ(hub_.count(fault.host, fault.part), 1u) << where;
    fs::remove_all(folder_ / "cache");
  }
}

TEST_F(Pull, IsCancelledWhileAnotherHasTheLock) {
  Fault stall;
  stall.part = sha256_of(weights_);
  stall.stall_after = 1000;
  hub_.add(stall);
  options_.notes = {};
  std::atomic<bool> stop = false;
  options_.cancelled = [&] { return stop.load(); };
  std::thread first([&] { EXPECT_THROW(pull_quickly(), Error); });
  while (hub_.count("cdn", stall.part) == 0) std::this_thread::sleep_for(1ms);  // it has the lock
  HubOptions others = options_;
  std::atomic<int> glances = 0;
  others.cancelled = [&] { return ++glances > 30; };
  try {
    pull(quick_settings(others), parse_hub_name("org/model"), others);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.what();
  }
  EXPECT_EQ(hub_.count("cdn", stall.part), 1u);
  stop = true;
  first.join();
}

TEST_F(Pull, TellsHowFarItIs) {
  options_.parallel_files = 3;
  HubProgress last;
  int64_t most = 0;
  options_.progress = [&](const HubProgress& progress) {
    most = std::max(most, progress.bytes);
    EXPECT_LE(progress.bytes, progress.total);
    last = progress;
  };
  pull_quickly();
  const auto all = static_cast<int64_t>(weights_.size() + config_.size() + 2000);
  EXPECT_EQ(last.total, all);
  EXPECT_EQ(most, all);
  EXPECT_EQ(last.files, 3);
  EXPECT_EQ(last.total_files, 3);
}

}  // namespace
}  // namespace vl3::hub
