// Names, patterns and lists of files: what is read of others' words.

#include <gtest/gtest.h>

#include "hub/listing.h"
#include "hub/name.h"
#include "hub/selection.h"
#include "support/expect_failure.h"
#include "support/support.h"
#include "vl3/hub.h"

namespace vl3::hub {
namespace {

TEST(HubName, IsAnOrganisationANameAndARevision) {
  const HubName name = parse_hub_name("lkhl/VideoLLaMA3-2B-Image-HF@refs/pr/1");
  EXPECT_EQ(name.repository, "lkhl/VideoLLaMA3-2B-Image-HF");
  EXPECT_EQ(name.revision, "refs/pr/1");
  EXPECT_EQ(parse_hub_name("gpt2").repository, "gpt2");
  EXPECT_EQ(parse_hub_name("hf://org/a_b.c-d").repository, "org/a_b.c-d");
  EXPECT_EQ(parse_hub_name("org/a").revision, "");
}

TEST(HubName, WhatIsNoneIsSaidWithItsReason) {
  for (const char* text : {"",       "a/b/c",    "/a",      "a/",       "a--b/c",  "a..b",     "-a/b",
                           "a/b.",   "a b",      "a/b.git", "a/b@",     "a/é",     "a/b@../x", "a/b@/x",
                           "a/b@x/", "a/b@x//y", "a/b@.x",  "a/b@x/.y", "a/b@x y", "a/b@x\ny"}) {
    try {
      parse_hub_name(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << text;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_THROW(parse_hub_name(std::string(97, 'a')), Error);
  EXPECT_NO_THROW(parse_hub_name(std::string(96, 'a')));
}

// What people copy from a browser, and what a shell completes.
TEST(HubName, AnAddressIsToldItsName) {
  const auto complaint = [](const char* text) {
    try {
      parse_hub_name(text);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const auto& [text, end] : std::vector<std::pair<const char*, const char*>>{
           {"https://huggingface.co/org/a", "it is an address; what it is about is named org/a"},
           {"http://127.0.0.1:8/org/a/?x=1#y", "it is an address; what it is about is named org/a"},
           {"https://huggingface.co/org/a/tree/v1.0",
            "it is an address; what it is about is named org/a@v1.0"},
           {"https://huggingface.co/org/a/blob/main/config.json",
            "it is an address; what it is about is named org/a@main"},
           {"https://huggingface.co/org", "it is an address"},
           {"s3://", "it is an address"},
           {"org/a/", "it ends with /"}})
    EXPECT_TRUE(complaint(text).ends_with(end)) << complaint(text);
}

TEST(HubName, FoldersOfTheCacheGoBothWays) {
  for (const char* name : {"org/name", "gpt2", "a/b-c.d_e"}) EXPECT_EQ(repository_of(folder_of(name)), name);
  EXPECT_EQ(folder_of("org/name"), "models--org--name");
  EXPECT_EQ(repository_of("datasets--org--name"), "");
  EXPECT_EQ(repository_of(".locks"), "");
}

TEST(HubName, APathIsNotTakenForOne) {
  const test::TemporaryFolder folder;
  for (const char* text : {"/a/b", "./a", "../a", "~/a", "a/", "a\\b", "a/b/c", "a/model.safetensors",
                           "config.json", "src/nothing", ""})
    EXPECT_TRUE(looks_like_path(text)) << text;  // src/ is a folder where tests run
  for (const char* text : {"org/name", "name", "org/name@refs/pr/1", "hf://src/nothing"})
    EXPECT_FALSE(looks_like_path(text)) << text;
}

TEST(HubSelection, PatternsAreThoseOfAShell) {
  EXPECT_TRUE(matches("*.json", "a/b.json"));
  EXPECT_TRUE(matches("model-0000?-of-*.safetensors", "model-00001-of-00002.safetensors"));
  EXPECT_FALSE(matches("model-0000?-of-*", "model-00011-of-2"));
  EXPECT_TRUE(matches("[a-c]x", "bx"));
  EXPECT_FALSE(matches("[!a-c]x", "bx"));
  EXPECT_TRUE(matches("[]]x", "]x"));
  EXPECT_TRUE(matches("a[b", "a[b"));  // a class that nothing closes is its first character
  EXPECT_TRUE(matches("**", ""));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("docs/", "docs/a/b"));
  EXPECT_FALSE(matches("docs/", "docs"));
  EXPECT_FALSE(matches("*.JSON", "a.json"));
}

TEST(HubSelection, WhatAModelNeedsAndNoMore) {
  const Selection needed({}, {});
  for (const char* path :
       {"config.json", "generation_config.json", "model.safetensors", "adapter_model.safetensors",
        "model-00001-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json", "merges.txt",
        "vocab.json", "chat_template.jinja", "additional_chat_templates/a.jinja"})
    EXPECT_TRUE(needed.takes(path)) << path;
  for (const char* path :
       {"README.md", "pytorch_model.bin", "model.pt", "onnx/model.safetensors", "trainer_state.json",
        "modeling.py", "consolidated.safetensors", ".gitattributes", "model.gguf"})
    EXPECT_FALSE(needed.takes(path)) << path;
}

TEST(HubSelection, IncludeReplacesAndExcludeTakesAway) {
  const Selection all({"*"}, {"*.md"});
  EXPECT_TRUE(all.takes("docs/a.txt"));
  EXPECT_FALSE(all.takes("README.md"));
  EXPECT_FALSE(all.takes("pytorch_model.bin"));  // pickled: only who names the ending gets it
  EXPECT_TRUE(Selection({"*.bin"}, {}).takes("pytorch_model.bin"));
  EXPECT_FALSE(Selection({"*.json", "*.bin"}, {}).takes("a.pkl"));
  EXPECT_FALSE(Selection({}, {"*.safetensors"}).takes("model.safetensors"));
}

const std::string kGit(40, 'a'), kSha(64, 'b');

std::string entry(const std::string& path, const std::string& more = "") {
  return R"([{"type":"file","oid":")" + kGit + R"(","size":3,"path":")" + path + "\"" + more + "}]";
}

TEST(HubListing, GoesIntoTheCacheAndBack) {
  Listing listing;
  add_page(listing, entry("config.json"), "x");
  add_page(
      listing,
      entry("model.safetensors", R"(,"lfs":{"oid":")" + kSha + R"(","size":30},"xetHash":")" + kSha + "\""),
      "x");
  add_page(listing, R"([{"type":"directory","path":"d","oid":"","size":0}])", "x");
  ASSERT_EQ(listing.size(), 2u);
  EXPECT_EQ(listing["config.json"].etag(), kGit);
  EXPECT_EQ(listing["model.safetensors"].etag(), kSha);
  EXPECT_EQ(listing["model.safetensors"].size, 30);
  const auto back = from_tree_file(to_tree_file(listing));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(to_tree_file(*back), to_tree_file(listing));
  EXPECT_EQ(back->at("model.safetensors").xet_hash, kSha);
}

TEST(HubListing, PathsThatClimbAreRefused) {
  for (const char* path : {"../x", "/etc/passwd", "a/../../x", "a//b", "a/", ".", "..", "", "a\\\\b", "a/./b",
                           "a\\u0000b", "a\\nb"}) {
    Listing listing;
    EXPECT_THROW(add_page(listing, entry(path), "x"), HubError) << path;
  }
  EXPECT_FALSE(stays_inside(std::string(2000, 'a')));
  EXPECT_TRUE(stays_inside("a/b..c/.d"));
}

TEST(HubListing, WhatIsNoListIsRefused) {
  for (const std::string& json :
       {std::string("<html>"), std::string("{}"), std::string("[1]"), std::string("[{\"type\":\"file\"}]"),
        std::string(R"([{"type":"file","oid":"zz","size":3,"path":"a"}])"),
        std::string(R"([{"type":"file","oid":")") + kGit + R"(","size":-3,"path":"a"}])",
        entry("a", R"(,"lfs":{"oid":"short","size":3})"), entry("a", R"(,"lfs":{"size":3})")}) {
    Listing listing;
    try {
      add_page(listing, json, "https://hub/x");
      ADD_FAILURE() << json;
    } catch (const HubError& error) {
      EXPECT_EQ(error.failure(), HubFailure::kBadAnswer);
      EXPECT_NE(std::string(error.what()).find("https://hub/x"), std::string::npos);
    }
  }
  EXPECT_THROW(commit_of(R"({"sha":"main"})", "x"), HubError);
  EXPECT_THROW(commit_of("[]", "x"), HubError);
  EXPECT_EQ(commit_of(R"({"sha":")" + kGit + "\"}", "x"), kGit);
}

TEST(HubListing, ACacheFileOfAnotherKindIsNone) {
  for (
      const char* text :
      {"", "[]", "{\"format_version\": 2, \"files\": {}}", "{\"format_version\": 1}",
       R"({"format_version": 1, "files": {"a": {"size": 1}}})",
       R"({"format_version": 1, "files": {"../a": {"size": 1, "blob_id": "0000000000000000000000000000000000000000"}}})"})
    EXPECT_FALSE(from_tree_file(text).has_value()) << text;
}

}  // namespace
}  // namespace vl3::hub
