// What is told of the cache, checked in it and removed from it, and what a person's word for a model means.

#include "hub/hub_fixture.h"
#include "support/expect_failure.h"

namespace vl3::hub {
namespace {

namespace fs = std::filesystem;
using test::expect_failure;
using test::read_text;
using test::write_text;

using HubCache = HubTest;

TEST_F(HubCache, IsListed) {
  EXPECT_TRUE(cached_models(options_).empty());
  pull_quickly();
  hub_.put("org/model", {{"config.json", "{}"}, {"model.safetensors", weights_}}, "v1");
  pull_quickly("org/model@v1");
  fs::create_directories(folder_ / "cache/datasets--org--data/snapshots/x");
  const std::vector<CachedModel> models = cached_models(options_);
  ASSERT_EQ(models.size(), 2u);
  for (const CachedModel& model : models) {
    const bool v1 = model.commit == hub_.commit("org/model", "v1");
    EXPECT_EQ(model.repository, "org/model");
    EXPECT_EQ(model.revisions, std::vector<std::string>{v1 ? "v1" : "main"});
    EXPECT_EQ(model.files, v1 ? 2 : 3);
    EXPECT_TRUE(model.listing_known);
    EXPECT_EQ(model.missing, 0);
    EXPECT_EQ(model.folder, cache("snapshots/" + model.commit));
  }
}

TEST_F(HubCache, IsCheckedByItsHashes) {
  const fs::path folder = pull_quickly();
  CacheCheck check = verify_cached(std::nullopt, options_);
  EXPECT_EQ(check.files, 3);
  EXPECT_GE(check.bytes, 302'000);
  EXPECT_TRUE(check.faults.empty());
  std::string wrong = weights_;
  wrong[100] = static_cast<char>(wrong[100] ^ 1);
  write_text(weights_blob(), wrong);
  fs::remove(folder / "config.json");
  fs::remove(fs::canonical(folder / "tokenizer.json"));
  check = verify_cached(parse_hub_name("org/model@main"), options_);
  std::vector<std::string> told;
  for (const CacheFault& fault : check.faults) told.push_back(fault.file + " " + fault.what);
  EXPECT_EQ(told, (std::vector<std::string>{
                      "model.safetensors is not what its hash " + sha256_of(weights_) + " says",
                      "tokenizer.json leads to no file"}));
  ASSERT_EQ(check.missing.size(), 1u);
  EXPECT_EQ(check.missing[0].file, "config.json");
  EXPECT_THROW(verify_cached(parse_hub_name("org/none"), options_), HubError);
  // What is wrong is fetched again, once it is away.
  fs::remove(folder / "model.safetensors");
  fs::remove(weights_blob());
  pull_quickly();
  EXPECT_TRUE(verify_cached(std::nullopt, options_).faults.empty());
}

TEST_F(HubCache, RemovesWhatNoOtherSnapshotUses) {
  pull_quickly();
  hub_.put("org/model", {{"config.json", bytes_of(500)}, {"model.safetensors", weights_}}, "v1");
  const fs::path other = pull_quickly("org/model@v1");
  const int64_t gained = remove_cached(parse_hub_name("org/model@main"), options_);
  EXPECT_EQ(gained, static_cast<int64_t>(config_.size()) + 2000);  // the weights are the other's, too
  EXPECT_EQ(read_text(other / "model.safetensors"), weights_);
  EXPECT_FALSE(fs::exists(cache("refs/main")));
  EXPECT_EQ(cached_models(options_).size(), 1u);
  EXPECT_THROW(remove_cached(parse_hub_name("org/model@main"), options_), HubError);
  write_text(cache("blobs/begun.vl3.incomplete"), bytes_of(100));
  EXPECT_GE(remove_cached(parse_hub_name("org/model"), options_), 300'600);
  EXPECT_FALSE(fs::exists(cache("")));
  EXPECT_THROW(remove_cached(parse_hub_name("org/model"), options_), HubError);
}

TEST_F(HubCache, OfTwoNamesOfACommitOneIsRemovedAlone) {
  hub_.put("org/model", files_, "v1");
  const fs::path folder = pull_quickly("org/model@v1");
  ASSERT_EQ(pull_quickly(), folder);
  EXPECT_EQ(remove_cached(parse_hub_name("org/model@v1"), options_), 0);
  EXPECT_FALSE(fs::exists(cache("refs/v1")));
  ASSERT_EQ(cached_models(options_).size(), 1u);
  EXPECT_EQ(cached_models(options_)[0].revisions, std::vector<std::string>{"main"});
  EXPECT_TRUE(verify_cached(std::nullopt, options_).faults.empty());
  EXPECT_EQ(read_text(folder / "model.safetensors"), weights_);
  EXPECT_THROW(remove_cached(parse_hub_name("org/model@v1"), options_), HubError);
  pull_quickly("org/model@v1");
  // A commit means all of it.
  EXPECT_GT(remove_cached(parse_hub_name("org/model@" + folder.filename().string()), options_), 300'000);
  EXPECT_FALSE(fs::exists(cache("")));
}

TEST_F(HubCache, AFolderIsAlwaysAFolder) {
  const fs::path here = folder_ / "org/model";
  fs::create_directories(here);
  EXPECT_EQ(resolve_model(here.string(), options_), here);
  EXPECT_TRUE(hub_.asked().empty());
  EXPECT_EQ(resolve_model("org/model", options_), cache("snapshots/" + hub_.commit("org/model")));
  EXPECT_EQ(resolve_model("hf://org/model@main", options_), cache("snapshots/" + hub_.commit("org/model")));
}

TEST_F(HubCache, AMistypedPathIsNotAName) {
  expect_failure(ErrorCode::kNotFound, {"no name of a model", "is named org/model"},
                 [&] { resolve_model("https://huggingface.co/org/model", options_); });
  hub_.forget();
  // src/ is a folder where tests run.
  for (const char* path : {"/no/such/folder", "./org/model", "src/nothing", "a/b/c", "model/config.json"})
    expect_failure(ErrorCode::kNotFound, {path, "no such folder", "hf://"},
                   [&] { resolve_model(path, options_); });
  EXPECT_TRUE(hub_.asked().empty());
  // What may be either is asked for, and both are told.
  expect_failure(ErrorCode::kNotFound,
                 {"[org/modle] no such folder here", "there is no such model on " + hub_.url()},
                 [&] { resolve_model("org/modle", options_); });
  expect_failure(ErrorCode::kNotFound, {"no such folder", "no name of a model"},
                 [&] { resolve_model("not a name", options_); });
}

}  // namespace
}  // namespace vl3::hub
