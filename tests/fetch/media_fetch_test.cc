// Media by address: what comes of them, and how each way of going wrong is told.

#include "vl3/media_fetch.h"

#include <unistd.h>

#include <thread>

#include "fetch/fetch_host.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

using test::data_path;
using test::FetchHost;
using test::field_of;
using test::read_text;
using test::TemporaryFolder;
using test::WebHost;
using test::write_text;

class Fetch : public testing::Test {
 protected:
  Fetch() {
    host.put("/a.png", {png, "\"one\"", "", ""});
    host.put("/a.mp4", {clip, "\"clip\"", "", ""});
  }
  MediaFetchOptions options() const {
    MediaFetchOptions options;
    options.attempts = 1;
    options.stall_timeout = std::chrono::minutes(10);
    options.image_timeout = options.video_timeout = std::chrono::minutes(10);
    return options;
  }
  MediaSource fetch(const MediaFetcher& fetcher, const std::string& target, bool video = false) {
    return fetcher.fetch(host.url(target), video, true);
  }
  // The words of what goes wrong, which never have a query.
  std::string refused(const MediaFetcher& fetcher, const std::string& target, ErrorCode code,
                      bool video = false) {
    try {
      fetch(fetcher, target + "?key=s3cret", video);
      ADD_FAILURE() << target << " was fetched";
      return {};
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      const std::string words = error.what();
      EXPECT_TRUE(words.starts_with("[" + host.url(target) + "] ")) << words;
      EXPECT_EQ(words.find("s3cret"), std::string::npos) << words;
      return words;
    }
  }
  void put(const std::string& target, const std::string& bytes) {
    host.put(target + "?key=s3cret", {bytes, "", "", ""});
  }
  static size_t files_in(const std::filesystem::path& folder) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
  }

  FetchHost host;
  const std::string png = read_text(data_path("../../examples/media/shapes.png"));
  const std::string clip = read_text(data_path("../../examples/media/moving.mp4"));
};

TEST_F(Fetch, APictureAndAClipCome) {
  const MediaFetcher fetcher(options());
  host.put("/a.png?key=s3cret", {png, "", "", ""});
  const MediaSource picture = fetch(fetcher, "/a.png?key=s3cret");
  EXPECT_EQ(picture.name(), host.url("/a.png"));
  const auto* bytes = reinterpret_cast<const char*>(picture.data().data());
  EXPECT_EQ(std::string(bytes, picture.data().size()), png);
  EXPECT_GT(VideoReader::open(fetch(fetcher, "/a.mp4", true), {})->info().total_frames, 1);
}

TEST_F(Fetch, WhatIsLargeIsAFileWithoutAName) {
  const TemporaryFolder folder;
  MediaFetchOptions how = options();
  how.temporary = folder.path();
  const std::string large = png + std::string(3 << 20, '\0');
  host.put("/large", {large, "", "", ""});
  const MediaSource source = fetch(MediaFetcher(how), "/large");
  ASSERT_EQ(source.kind(), MediaSource::Kind::kOpenFile);
  EXPECT_EQ(source.size_bytes(), large.size());
  EXPECT_EQ(files_in(folder.path()), 0u);
}

TEST_F(Fetch, EachIsAskedForOnce) {
  const MediaFetcher fetcher(options());
  for (int i = 0; i < 3; ++i) fetch(fetcher, "/a.png");
  EXPECT_EQ(host.requests().size(), 1u);
  MediaFetchOptions forgetful = options();
  forgetful.remembered = 0;
  const MediaFetcher other(forgetful);
  for (int i = 0; i < 3; ++i) fetch(other, "/a.png");
  EXPECT_EQ(host.requests().size(), 4u);
}

TEST_F(Fetch, WhatIsNoMediumIsNamed) {
  const MediaFetcher fetcher(options());
  const auto has = [&](const std::string& words, const std::string& part) {
    EXPECT_NE(words.find(part), std::string::npos) << words;
  };
  put("/owner/repo/blob/main/a.png", "<!DOCTYPE html><html><body>Sign in</body></html>");
  has(refused(fetcher, "/owner/repo/blob/main/a.png", ErrorCode::kFormat), "/raw/ (GitHub) or /resolve/");
  put("/page", "\n<html><head></head></html>");
  const std::string page = refused(fetcher, "/page", ErrorCode::kFormat, true);
  has(page, "an HTML page");
  EXPECT_EQ(page.find("/raw/"), std::string::npos) << page;
  put("/error", R"({"error": "Repository not found"})");
  has(refused(fetcher, "/error", ErrorCode::kFormat), "a JSON text, not a medium");
  put("/lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  has(refused(fetcher, "/lfs", ErrorCode::kFormat), "a Git LFS pointer");
  has(refused(fetcher, "/lfs", ErrorCode::kFormat, true), "/resolve/ in place of /raw/");
  put("/clip", clip);
  has(refused(fetcher, "/clip", ErrorCode::kFormat), "give it as a video");
  // The same address again, as what it is.
  EXPECT_EQ(fetch(fetcher, "/clip?key=s3cret", true).name(), host.url("/clip"));
  has(refused(fetcher, "/clip", ErrorCode::kFormat), "give it as a video");
}

TEST_F(Fetch, EveryFailureHasItsCodeAndNoQuery) {
  const MediaFetcher fetcher(options());
  EXPECT_NE(refused(fetcher, "/gone", ErrorCode::kNotFound).find("404"), std::string::npos);
  put("/empty", "");
  refused(fetcher, "/empty", ErrorCode::kFormat);
  MediaFetchOptions small = options();
  small.max_image_bytes = 100;
  put("/large", png);
  EXPECT_NE(refused(MediaFetcher(small), "/large", ErrorCode::kLimitExceeded).find("100 bytes"),
            std::string::npos);
  host.fail_next([](const std::string&, const WebHost::Say&) { return true; });
  refused(fetcher, "/large", ErrorCode::kIo);
  host.fail_next([](const std::string&, const WebHost::Say& say) {
    return say(WebHost::reply("", "Location: http://user:s3cret@127.0.0.1/?s3cret\r\n", "302 Found"));
  });
  refused(fetcher, "/large", ErrorCode::kFormat);
  for (const char* address : {"http://user:s3cret@example.com/?s3cret", "http://127.0.0.1:22/?s3cret",
                              "http://127.0.0.1/ ?s3cret", "http://?s3cret", "http://10.0.0.1/?s3cret"}) {
    try {
      fetcher.fetch(address, false, false);
      ADD_FAILURE() << address;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << address;
      EXPECT_EQ(std::string(error.what()).find("s3cret"), std::string::npos) << error.what();
    }
  }
  MediaFetchOptions nowhere = options();
  nowhere.temporary = "/nonexistent/folder";
  refused(MediaFetcher(nowhere), "/large", ErrorCode::kIo);
  MediaFetchOptions unsure = options();
  unsure.certificates = "/nonexistent/file";
  EXPECT_THROW(MediaFetcher{unsure}, Error);
}

TEST_F(Fetch, ProgressIsToldWithoutTheQuery) {
  MediaFetchOptions how = options();
  uint64_t last = 0;
  how.progress = [&](const std::string& shown, uint64_t received, uint64_t total) {
    EXPECT_EQ(shown, host.url("/a.png"));
    EXPECT_EQ(total, png.size());
    last = received;
  };
  put("/a.png", png);
  fetch(MediaFetcher(how), "/a.png?key=s3cret");
  EXPECT_EQ(last, png.size());
}

class CachedFetch : public Fetch {
 protected:
  MediaFetchOptions options() const {
    MediaFetchOptions options = Fetch::options();
    options.cache = folder / "cache";
    return options;
  }
  // By a fetcher of its own, as another run would.
  std::string bytes_of(const std::string& target) {
    const MediaSource source = fetch(MediaFetcher(options()), target);
    return {reinterpret_cast<const char*>(source.data().data()), source.data().size()};
  }
  std::filesystem::path only(const std::string& ending) {
    std::filesystem::path found;
    for (const auto& file : std::filesystem::directory_iterator(folder / "cache")) {
      if (file.path().extension() != ending) continue;
      EXPECT_TRUE(found.empty()) << found << " and " << file.path();
      found = file.path();
    }
    return found;
  }
  TemporaryFolder folder;
};

TEST_F(CachedFetch, WhatDidNotChangeComesFromTheCache) {
  EXPECT_EQ(bytes_of("/a.png"), png);
  EXPECT_EQ(bytes_of("/a.png"), png);
  const auto requests = host.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(field_of(requests[0], "If-None-Match"), "");
  EXPECT_EQ(field_of(requests[1], "If-None-Match"), "\"one\"");
  EXPECT_EQ(read_text(only(".media")), png);
  EXPECT_EQ(files_in(folder / "cache"), 2u);
}

TEST_F(CachedFetch, WhatChangedTakesItsPlace) {
  EXPECT_EQ(bytes_of("/a.png"), png);
  const std::string other = png + "more";
  host.put("/a.png", {other, "\"two\"", "", ""});
  EXPECT_EQ(bytes_of("/a.png"), other);
  EXPECT_EQ(read_text(only(".media")), other);
}

TEST_F(CachedFetch, QueriesTellAddressesApartAndAreNotWrittenDown) {
  host.put("/a.png?v=1&key=s3cret", {png, "\"1\"", "", ""});
  host.put("/a.png?v=2&key=s3cret", {png + "more", "\"2\"", "", ""});
  EXPECT_EQ(bytes_of("/a.png?v=1&key=s3cret"), png);
  EXPECT_EQ(bytes_of("/a.png?v=2&key=s3cret"), png + "more");
  for (const auto& file : std::filesystem::directory_iterator(folder / "cache"))
    EXPECT_EQ(read_text(file.path()).find("s3cret"), std::string::npos) << file.path();
}

TEST_F(CachedFetch, WhatMayNotOrNeedNotBeKeptIsNot) {
  host.put("/no-store", {png, "\"one\"", "", "Cache-Control: no-store\r\n"});
  host.put("/no-validator", {png, "", "", ""});
  host.put("/page", {"<html></html>", "\"one\"", "", ""});
  EXPECT_EQ(bytes_of("/no-store"), png);
  EXPECT_EQ(bytes_of("/no-validator"), png);
  EXPECT_THROW(bytes_of("/page"), Error);
  EXPECT_THROW(bytes_of("/gone"), Error);
  EXPECT_EQ(files_in(folder / "cache"), 0u);
}

TEST_F(CachedFetch, WhatIsDamagedComesAgain) {
  const std::pair<const char*, std::string> damages[] = {
      {".json", "{"}, {".json", "{}"}, {".media", png.substr(1)}, {".media", ""}};
  for (const auto& [ending, text] : damages) {
    bytes_of("/a.png");
    write_text(only(ending), text);
    EXPECT_EQ(bytes_of("/a.png"), png);
    EXPECT_EQ(field_of(host.last_request(), "If-None-Match"), "");
    EXPECT_EQ(bytes_of("/a.png"), png);
    EXPECT_EQ(field_of(host.last_request(), "If-None-Match"), "\"one\"");
    for (const auto& file : std::filesystem::directory_iterator(folder / "cache"))
      std::filesystem::remove(file.path());
  }
  bytes_of("/a.png");
  std::filesystem::remove(only(".media"));
  EXPECT_EQ(bytes_of("/a.png"), png);
}

TEST_F(CachedFetch, ItHoldsWhatWasUsedLastWithinItsBounds) {
  MediaFetchOptions how = options();
  how.cache_bytes = 2 * png.size() + png.size() / 2;
  for (const char* target : {"/1", "/2", "/3"}) host.put(target, {png, "\"one\"", "", ""});
  const auto get = [&](const std::string& target) {
    fetch(MediaFetcher(how), target);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // times of files tell which was used last
    return field_of(host.last_request(), "If-None-Match");
  };
  EXPECT_EQ(get("/1") + get("/2") + get("/1"), "\"one\"");
  get("/3");  // in place of /2
  EXPECT_EQ(get("/1"), "\"one\"");
  EXPECT_EQ(get("/3"), "\"one\"");
  EXPECT_EQ(get("/2"), "");
  how.cache_bytes = png.size() - 1;
  host.put("/4", {png, "\"one\"", "", ""});
  get("/4");
  EXPECT_EQ(get("/4"), "") << "what is larger than the cache is not kept";
}

TEST_F(CachedFetch, WhereNobodyAnswersItIsUsedAndSaid) {
  bytes_of("/a.png");
  MediaFetchOptions how = options();
  std::string said;
  how.note = [&](const std::string& words) { said = words; };
  host.fail_next(
      [](const std::string&, const WebHost::Say& say) { return say(WebHost::reply("", "", "503 Busy")); });
  EXPECT_EQ(fetch(MediaFetcher(how), "/a.png").size_bytes(), png.size());
  EXPECT_NE(said.find("may have changed"), std::string::npos) << said;
  // What is gone is gone.
  host.fail_next(
      [](const std::string&, const WebHost::Say& say) { return say(WebHost::reply("", "", "410 Gone")); });
  EXPECT_THROW(fetch(MediaFetcher(how), "/a.png"), Error);
}

TEST_F(CachedFetch, WhatAKilledProcessLeftIsRemovedAndWhatALivingOneWritesIsNot) {
  std::filesystem::create_directories(folder / "cache");
  write_text(folder / "cache" / ".part-killed", "half");
  bytes_of("/a.png");
  EXPECT_FALSE(std::filesystem::exists(folder / "cache" / ".part-killed"));
  // Another one is under way meanwhile.
  host.put("/slow", {png, "\"slow\"", "", ""});
  host.fail_next(host.stall_after("/slow", 100));
  std::atomic<bool> began = false;
  MediaFetchOptions how = options();
  how.attempts = 2;
  how.stall_timeout = std::chrono::minutes(10);
  how.progress = [&](const std::string&, uint64_t, uint64_t) { began = true; };
  std::thread other([&] { fetch(MediaFetcher(how), "/slow"); });
  while (!began) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  host.put("/b.png", {png, "\"b\"", "", ""});
  bytes_of("/b.png");
  host.release();  // cut off now, it goes on where it stopped
  other.join();
  EXPECT_EQ(field_of(host.last_request(), "Range"), "bytes=100-");
  EXPECT_EQ(bytes_of("/slow"), png);
  EXPECT_EQ(field_of(host.last_request(), "If-None-Match"), "\"slow\"");
}

TEST_F(CachedFetch, ManyAtOnceSeeWholeFiles) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        host.put("/a.png", {png, i % 2 == 0 ? "\"one\"" : "\"two\"", "", ""});
        EXPECT_EQ(bytes_of("/a.png"), png);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& file : std::filesystem::directory_iterator(folder / "cache"))
    EXPECT_FALSE(file.path().filename().string().starts_with(".part-")) << file.path();
}

}  // namespace
}  // namespace vl3
