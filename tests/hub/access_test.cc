// Who is let in, who gets the token, what the hub and the cache must not make happen.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/hub_fixture.h"
#include "support/expect_failure.h"

namespace vl3::hub {
namespace {

namespace fs = std::filesystem;
using test::expect_failure;
using test::read_text;
using test::write_text;

using HubAccess = HubTest;

TEST_F(HubAccess, TheTokenGoesToTheHubAlone) {
  set("HF_TOKEN", " good-secret\n");
  hub_.close("org/model", "private", "good-secret");
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  for (const Asked& asked : hub_.asked())
    EXPECT_EQ(asked.token, asked.host == "hub" ? "good-secret" : "") << asked.host << asked.target;
  // Nor where the hub redirects a question of its interface.
  fs::remove_all(folder_ / "cache");
  Fault away;
  away.host = "hub";
  away.part = "/revision/";
  away.location = hub_.cdn_url() + "/api";
  hub_.add(away);
  hub_.forget();
  failure();
  EXPECT_GE(hub_.count("cdn", "/api"), 1u);
  for (const Asked& asked : hub_.asked()) EXPECT_EQ(asked.token, asked.host == "hub" ? "good-secret" : "");
}

TEST_F(HubAccess, WhereTheTokenComesFrom) {
  fs::create_directories(folder_ / "home");
  write_text(folder_ / "home/token", "of-home\n");
  EXPECT_EQ(settings_of(options_).token, "of-home");
  write_text(folder_ / "other", "of-path");
  set("HF_TOKEN_PATH", (folder_ / "other").string());
  EXPECT_EQ(settings_of(options_).token, "of-path");
  set("HUGGING_FACE_HUB_TOKEN", "of-old-name");
  EXPECT_EQ(settings_of(options_).token, "of-old-name");
  set("HF_TOKEN", "of-name");
  EXPECT_EQ(settings_of(options_).token, "of-name");
  set("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
  EXPECT_EQ(settings_of(options_).token, "");
  options_.token = "given";
  EXPECT_EQ(settings_of(options_).token, "given");
  options_.token = "";
  EXPECT_EQ(settings_of(options_).token, "");
  options_.token = "two\r\nX-Evil: lines";
  EXPECT_THROW(settings_of(options_), Error);
}

TEST_F(HubAccess, WhereTheCacheIs) {
  options_.cache_dir.clear();
  EXPECT_EQ(settings_of(options_).cache, folder_ / "home/hub");
  set("HF_HUB_CACHE", "$HF_HOME/${HF_HOME}/x");
  const std::string home = (folder_ / "home").string();
  EXPECT_EQ(settings_of(options_).cache, home + "/" + home + "/x");
  set("HF_HUB_CACHE", "~/x");
  set("HOME", "/somewhere");
  EXPECT_EQ(settings_of(options_).cache, "/somewhere/x");
  EXPECT_EQ(expanded("a$NOT_SET_AT_ALL/${b"), "a$NOT_SET_AT_ALL/${b");
  set("HF_HUB_OFFLINE", "true");
  EXPECT_TRUE(settings_of(options_).offline);
  set("HF_HUB_OFFLINE", "0");
  set("TRANSFORMERS_OFFLINE", "1");
  EXPECT_FALSE(settings_of(options_).offline);  // the hub's own word counts first
  set("HF_HUB_OFFLINE", "");
  EXPECT_TRUE(settings_of(options_).offline);
  set("HF_HUB_ETAG_TIMEOUT", "soon");
  EXPECT_THROW(settings_of(options_), Error);
  set("HF_HUB_ETAG_TIMEOUT", "3");
  options_.endpoint = "ftp://x";
  EXPECT_THROW(settings_of(options_), Error);
  options_.endpoint = "https://mirror.example/hub//";
  EXPECT_EQ(settings_of(options_).endpoint, "https://mirror.example/hub");
  EXPECT_EQ(settings_of(options_).answer_timeout, std::chrono::seconds(3));
}

TEST_F(HubAccess, RefusalsAreToldApart) {
  EXPECT_EQ(failure("org/none"), HubFailure::kRepository);
  EXPECT_NE(message_.find("HF_TOKEN"), std::string::npos) << message_;
  EXPECT_EQ(failure("org/model@none"), HubFailure::kRevision);
  EXPECT_NE(message_.find("none"), std::string::npos) << message_;
  hub_.close("org/model", "gated", "good-one");
  EXPECT_EQ(failure(), HubFailure::kGated);
  EXPECT_NE(message_.find(hub_.url() + "/org/model"), std::string::npos) << message_;
  options_.token = "good-two";
  EXPECT_EQ(failure(), HubFailure::kGated);
  EXPECT_NE(message_.find("ask for access"), std::string::npos) << message_;
  hub_.close("org/model", "private", "good-one");
  EXPECT_EQ(failure(), HubFailure::kRepository);
  EXPECT_EQ(message_.find("good-two"), std::string::npos) << message_;
  hub_.close("org/model", "disabled");
  EXPECT_EQ(failure(), HubFailure::kDisabled);
  options_.token = "revoked-secret";
  EXPECT_EQ(failure(), HubFailure::kToken);
  EXPECT_EQ(message_.find("revoked-secret"), std::string::npos) << message_;
  options_.token = "good-one";
  hub_.close("org/model", "gated", "good-one");
  EXPECT_FALSE(failure().has_value()) << message_;
}

TEST_F(HubAccess, ModelsThatCannotBeReadAreToldBeforeTheyCome) {
  hub_.put("org/pickled", {{"config.json", "{}"}, {"pytorch_model.bin", bytes_of(5000)}});
  EXPECT_EQ(failure("org/pickled"), HubFailure::kFile);
  EXPECT_NE(message_.find("safetensors"), std::string::npos);
  hub_.put("org/other", {{"model.gguf", "x"}, {"tokenizer.json", "x"}});
  EXPECT_EQ(failure("org/other"), HubFailure::kFile);
  EXPECT_EQ(hub_.count("cdn", "/"), 0u);
}

TEST_F(HubAccess, AnswersThatAreNone) {
  const std::string git(40, 'a');
  for (const std::string& json :
       {std::string("<html>Sign in to this network</html>"), std::string("{\"error\": 1}"),
        R"([{"type":"file","oid":")" + git + R"(","size":3,"path":"../../escaped"}])",
        R"([{"type":"file","oid":")" + git + R"(","size":3,"path":"/etc/x"}])"}) {
    hub_.list_with(json);
    EXPECT_EQ(failure(), HubFailure::kBadAnswer) << json;
    EXPECT_FALSE(fs::exists(folder_ / "escaped"));
    EXPECT_FALSE(fs::exists(cache("trees"))) << json;
  }
  hub_.list_with("");
  Fault elsewhere;
  elsewhere.host = "hub";
  elsewhere.part = "/tree/";
  elsewhere.status = 200;
  elsewhere.body = "[]";
  elsewhere.fields = "Link: <http://127.0.0.9:1/more>; rel=\"next\"\r\n";
  hub_.add(elsewhere);
  EXPECT_EQ(failure(), HubFailure::kBadAnswer);
  elsewhere.part = "/revision/";
  elsewhere.fields.clear();
  elsewhere.body = "{\"sha\": \"../..\"}";
  hub_.add(elsewhere);
  EXPECT_EQ(failure(), HubFailure::kBadAnswer);
  Fault loop;
  loop.host = "hub";
  loop.times = 100;
  loop.part = "/revision/";
  loop.location = hub_.url() + "/api/models/org/model/revision/main";
  hub_.add(loop);
  EXPECT_EQ(failure(), HubFailure::kBadAnswer);
}

TEST_F(HubAccess, ADiskThatIsTooSmallIsToldBeforeAnythingComes) {
  const std::string git(40, 'a'), sha(64, 'b');
  hub_.list_with(R"([{"type":"file","oid":")" + git +
                 R"(","size":2,"path":"config.json"},{"type":"file","oid":")" + git +
                 R"(","size":3,"path":"model.safetensors","lfs":{"oid":")" + sha +
                 R"(","size":1125899906842624}}])");
  EXPECT_EQ(failure(), HubFailure::kNoSpace) << message_;
  EXPECT_NE(message_.find("1125899906842626"), std::string::npos) << message_;
  EXPECT_EQ(hub_.count("hub", "/resolve/"), 0u);
  // What another commit has already needs no room.
  const std::string large = std::to_string(int64_t{1} << 40);
  fs::remove_all(cache("trees"));
  fs::create_directories(cache("blobs"));
  write_text(cache("blobs/" + sha), "");
  fs::resize_file(cache("blobs/" + sha), uintmax_t{1} << 40);  // of which nothing is on the disk
  hub_.list_with(R"([{"type":"file","oid":")" + git_id_of(config_) + R"(","size":)" +
                 std::to_string(config_.size()) + R"(,"path":"config.json"},{"type":"file","oid":")" + git +
                 R"(","size":3,"path":"model.safetensors","lfs":{"oid":")" + sha + R"(","size":)" + large +
                 "}}]");
  EXPECT_FALSE(failure().has_value()) << message_;
}

TEST_F(HubAccess, WithoutTheHubTheCacheDoes) {
  const fs::path folder = pull_quickly();
  const std::string endpoint = options_.endpoint;
  // A port that is taken, and that nobody listens on.
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  options_.endpoint = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  EXPECT_EQ(pull_quickly(), folder);
  EXPECT_NE(notes_.find("what is in the cache is used"), std::string::npos) << notes_;
  EXPECT_EQ(failure("org/other"), HubFailure::kUnreachable);
  ::close(taken);
  hub_.close("org/model", "gated");
  options_.endpoint = endpoint;
  EXPECT_EQ(pull_quickly(), folder);
  // Offline: nothing is asked; what lacks a file is not whole.
  set("HF_HUB_OFFLINE", "1");
  hub_.forget();
  EXPECT_EQ(pull_quickly(), folder);
  fs::remove(folder / "tokenizer.json");
  EXPECT_EQ(failure(), HubFailure::kNotCached);
  EXPECT_NE(message_.find("tokenizer.json"), std::string::npos) << message_;
  EXPECT_EQ(failure("org/other"), HubFailure::kNotCached);
  options_.exclude = {"tokenizer.json"};
  EXPECT_EQ(pull_quickly(), folder);
  EXPECT_TRUE(hub_.asked().empty());
  // An older program left no list.
  options_.exclude = {};
  fs::remove_all(cache("trees"));
  EXPECT_EQ(pull_quickly(), folder);
}

TEST_F(HubAccess, NothingIsWrittenThroughALink) {
  fs::create_directories(cache("blobs"));
  write_text(folder_ / "victim", "untouched");
  fs::create_symlink(folder_ / "victim", weights_blob(".vl3.incomplete"));
  expect_failure(ErrorCode::kIo, {".vl3.incomplete"}, [&] { pull_quickly(); });
  EXPECT_EQ(read_text(folder_ / "victim"), "untouched");
  fs::remove(weights_blob(".vl3.incomplete"));
  // A blob that is a link to something else is replaced, and what it led to stays.
  fs::create_symlink(folder_ / "victim", weights_blob());
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  EXPECT_FALSE(fs::is_symlink(weights_blob()));
  EXPECT_EQ(read_text(folder_ / "victim"), "untouched");
}

TEST_F(HubAccess, BlobsThatRepositoriesShareAreTwoLinksAway) {
  const std::string xet(64, 'c');
  const fs::path store = folder_ / "cache/blobs" / xet.substr(0, 2);
  fs::create_directories(store);
  write_text(folder_ / "cache/blobs/.huggingface-shared-blobs", "1\n");
  write_text(store / xet, weights_);
  const std::string git(40, 'a');
  const auto list = [&](const std::string& sha) {
    hub_.list_with(R"([{"type":"file","oid":")" + git_id_of(config_) + R"(","size":)" +
                   std::to_string(config_.size()) + R"(,"path":"config.json"},{"type":"file","oid":")" + git +
                   R"(","size":1,"path":"model.safetensors","xetHash":")" + xet + R"(","lfs":{"oid":")" +
                   sha + R"(","size":300000}}])");
  };
  list(sha256_of(weights_));
  const fs::path folder = pull_quickly();
  EXPECT_EQ(read_text(folder / "model.safetensors"), weights_);
  EXPECT_TRUE(fs::is_symlink(weights_blob()));
  EXPECT_EQ(fs::canonical(folder / "model.safetensors"), fs::canonical(store / xet));
  EXPECT_EQ(read_text(store / (xet + ".refs")), "models--org--model/blobs/" + sha256_of(weights_) + "\n");
  EXPECT_EQ(hub_.count("cdn", "/lfs/"), 0u);
  EXPECT_TRUE(verify_cached(parse_hub_name("org/model"), options_).faults.empty());
  // The last link gone, the content goes, too.
  EXPECT_GE(remove_cached(parse_hub_name("org/model"), options_), 300'000);
  EXPECT_FALSE(fs::exists(store / xet));
  // Content that is not what the hub's list says is left alone, and fetched.
  std::string wrong = weights_;
  wrong[7] = static_cast<char>(wrong[7] ^ 1);
  write_text(store / xet, wrong);
  EXPECT_EQ(read_text(pull_quickly() / "model.safetensors"), weights_);
  EXPECT_FALSE(fs::is_symlink(weights_blob()));
  EXPECT_EQ(read_text(store / xet), wrong);
}

TEST_F(HubAccess, FileSystemsWithoutLinksGetTheFilesThemselves) {
  set("HF_HUB_DISABLE_SYMLINKS", "1");
  const fs::path folder = pull_quickly();
  EXPECT_FALSE(fs::is_symlink(folder / "model.safetensors"));
  EXPECT_EQ(read_text(folder / "model.safetensors"), weights_);
  hub_.forget();
  EXPECT_EQ(pull_quickly(), folder);
  EXPECT_EQ(hub_.asked().size(), 1u);
  EXPECT_TRUE(verify_cached(std::nullopt, options_).faults.empty());
}

}  // namespace
}  // namespace vl3::hub
