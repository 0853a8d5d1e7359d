// Media that requests name: what comes in, and how all else is refused.

#include "serve/media_intake.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "serve/api_error.h"
#include "support/support.h"
#include "support/web_host.h"
#include "vl3/error.h"

namespace vl3::serve {
namespace {

namespace fs = std::filesystem;
using test::WebHost;

const char kParam[] = "messages[0].content[1].image_url";

// The picture of one pixel, and what base64 it is.
const char kPixel[] =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

std::string content_of(const MediaSource& source) {
  if (source.kind() == MediaSource::Kind::kBytes)
    return {reinterpret_cast<const char*>(source.data().data()), source.data().size()};
  std::string bytes(source.size_bytes(), '\0');
  EXPECT_EQ(::pread(source.descriptor(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

class MediaIntakeTest : public testing::Test {
 protected:
  std::vector<MediaSource> fetch(const std::string& url, MediaKind kind = MediaKind::kImage) {
    return intake->fetch(url, kind, kParam, nullptr);
  }
  // The status with which it is refused; what refuses names the field and no address within.
  int status(const std::string& url, MediaKind kind = MediaKind::kImage, std::string* code = nullptr) {
    try {
      fetch(url, kind);
      ADD_FAILURE() << url.substr(0, 80) << " was taken";
      return 200;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.param, kParam);
      EXPECT_EQ(std::string(error.what()).find(kParam), 0u) << error.what();
      EXPECT_LT(std::string(error.what()).size(), 400u) << error.what();
      for (const char* inner : {"127.0", "169.254", "/etc", "root:"})
        EXPECT_EQ(std::string(error.what()).find(inner), std::string::npos) << error.what();
      if (code != nullptr) *code = error.code;
      return error.status;
    }
  }
  static MediaIntakeOptions patient() {
    MediaIntakeOptions made;
    made.image_timeout = made.video_timeout = std::chrono::minutes(10);  // a slow machine is no slow host
    return made;
  }
  MediaIntakeOptions options = patient();
  std::unique_ptr<MediaIntake> intake = std::make_unique<MediaIntake>(options);
};

TEST_F(MediaIntakeTest, DataUrlsAreReadHoweverTheyAreSpelt) {
  const std::string whole = kPixel, unpadded = whole.substr(0, whole.size() - 2);
  const std::string plain = content_of(fetch("data:image/png;base64," + whole)[0]);
  EXPECT_EQ(plain.substr(1, 3), "PNG");
  for (const std::string& url :
       {"DATA:IMAGE/PNG;BASE64," + whole, "data:image/png;name=a.png;base64," + whole,
        "data:application/octet-stream;base64," + whole, "data:image/jpeg;base64," + whole,
        "data:;base64," + whole, "data:image/png;base64," + unpadded, whole, unpadded}) {
    const auto sources = fetch(url);
    ASSERT_EQ(sources.size(), 1u);
    EXPECT_EQ(content_of(sources[0]), plain) << url.substr(0, 40);
    EXPECT_EQ(sources[0].name(), kParam);
  }
}

TEST_F(MediaIntakeTest, FramesJoinedByCommasAreAClip) {
  const auto frames = fetch("data:video/jpeg;base64,AAAA,BBBB,CCCC", MediaKind::kVideo);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(content_of(frames[2]), std::string("\x08\x20\x82"));
  EXPECT_EQ(frames[2].name(), std::string(kParam) + ": frame 2");
  options.max_frames_of_list = 2;
  intake = std::make_unique<MediaIntake>(options);
  EXPECT_EQ(status("data:video/jpeg;base64,AAAA,BBBB,CCCC", MediaKind::kVideo), 422);
}

TEST_F(MediaIntakeTest, OtherDataIsRefused) {
  const std::string pixel = kPixel;
  for (const std::string& url :
       {std::string("data:"), std::string("data:image/png;base64"), std::string("data:image/png;base64,"),
        std::string("data:image/png,%89PNG"), std::string("data:image/png;base64,@@@@"),
        "data:image/png;base64," + pixel + "!!!!",
        "data:image/png;base64," + pixel.substr(0, 30) + "*" + pixel.substr(30),
        "data:image/png;base64," + pixel.substr(0, 40) + "==" + pixel.substr(40),
        std::string("data:image/png;base64,AAAAA"), "data:text/html;base64," + pixel,
        "data:application/vnd.apple.mpegurl;base64," + pixel, "data:video/mp4;base64," + pixel,
        std::string("data:video/jpeg;base64,AAAA,BBBB"), std::string()})
    EXPECT_EQ(status(url), 400) << url.substr(0, 60);
  EXPECT_EQ(status("data:video/jpeg;base64,,,,", MediaKind::kVideo), 400);
  options.max_image_bytes = 16;
  intake = std::make_unique<MediaIntake>(options);
  std::string code;
  EXPECT_EQ(status("data:image/png;base64," + pixel, MediaKind::kImage, &code), 422);
  EXPECT_EQ(code, "media_too_large");
}

TEST_F(MediaIntakeTest, OtherSchemesAndPathsAreRefused) {
  for (const char* url :
       {"ftp://example.com/x", "gopher://example.com/_x", "javascript:alert(1)", "blob:http://a/x",
        "concat:/etc/passwd|/etc/hosts", "pipe:0", "fd:0", "unix:/run/x.sock", "../../etc/passwd.png",
        "\\\\host\\share\\x.png", " http://example.com/x", "ht\ttp://example.com/x", "http://", "/etc/passwd",
        "http://user@example.com/x", "jar:http://example.com/x!/y"})
    EXPECT_EQ(status(url), 400) << url;
  EXPECT_EQ(status("http://127.0.0.1/x.png"), 403);
  EXPECT_EQ(status("http://[::1]/x.png"), 403);
  EXPECT_EQ(status("http://169.254.169.254/latest/meta-data/"), 403);
  EXPECT_EQ(status("file:///etc/passwd"), 403);
  EXPECT_EQ(status("FILE:///etc/passwd"), 403);
  EXPECT_EQ(intake->stats().refused.at("address_not_allowed"), 3);
  EXPECT_EQ(intake->stats().refused.at("files_not_allowed"), 2);
}

class MediaRootTest : public MediaIntakeTest {
 protected:
  MediaRootTest() {
    root = folder.path() / "media root";
    outside = folder.path() / "media root evil";
    fs::create_directories(root / "sub");
    fs::create_directories(outside);
    write(root / "ok.png", "inside");
    write(root / "sub" / "\xc3\xbc x.png", "deeper");
    write(root / "large.mp4", std::string(3 << 20, 'm'));
    write(root / "empty.png", "");
    write(outside / "x.png", "outside");
    fs::create_symlink(outside / "x.png", root / "link.png");
    fs::create_symlink("../media root evil", root / "up");
    fs::create_symlink("sub", root / "down");
    EXPECT_EQ(::mkfifo((root / "pipe.png").c_str(), 0600), 0);
    options.root = root;
    intake = std::make_unique<MediaIntake>(options);
  }
  static void write(const fs::path& path, const std::string& text) { test::write_text(path, text); }
  test::TemporaryFolder folder;
  fs::path root, outside;
};

TEST_F(MediaRootTest, FilesUnderTheRootAreRead) {
  const std::string base = "file://" + root.string();
  for (const std::string& url : {base + "/ok.png", std::string("file://ok.png"), base + "/sub/../ok.png"})
    EXPECT_EQ(content_of(fetch(url)[0]), "inside") << url;
  EXPECT_EQ(content_of(fetch(base + "/sub/%C3%BC%20x.png")[0]), "deeper");
  EXPECT_EQ(content_of(fetch(base + "/down/%C3%BC%20x.png")[0]), "deeper");
  const MediaSource large = fetch(base + "/large.mp4", MediaKind::kVideo)[0];
  EXPECT_EQ(large.kind(), MediaSource::Kind::kOpenFile);
  EXPECT_EQ(content_of(large), std::string(3 << 20, 'm'));
}

TEST_F(MediaRootTest, NothingElseIs) {
  const std::string base = "file://" + root.string();
  for (const std::string& url :
       {"file://" + (outside / "x.png").string(), base + "/../media root evil/x.png",
        base + "/%2e%2e/media root evil/x.png", base + "/..%2fmedia root evil/x.png", base + "/link.png",
        base + "/up/x.png", std::string("file:///etc/passwd"), std::string("file:///proc/self/environ"),
        std::string("file://../../etc/passwd")})
    EXPECT_EQ(status(url), 403) << url;
  for (const std::string& url :
       {base + "/none.png", base + "/pipe.png", base + "/sub", base, base + "/", base + "/ok.png%00.jpg",
        base + "/%252e%252e/x.png", base + "/..\\x.png",
        std::string("file://127.0.0.1") + root.string() + "/ok.png", base + "/empty.png",
        base + "/" + std::string(5000, 'a'), std::string("file://"), std::string("file:ok.png"),
        root.string() + "/ok.png"}) {
    const int refused = status(url);
    EXPECT_TRUE(refused == 400 || refused == 403) << url << ": " << refused;
  }
}

TEST_F(MediaRootTest, AFolderIsNoFile) {
  const std::string base = "file://" + root.string();
  for (const std::string& url : {base, base + "/", base + "/sub", std::string("file://sub")}) {
    std::string code;
    EXPECT_EQ(status(url, MediaKind::kVideo, &code), 400) << url;
    EXPECT_EQ(code, "media_not_a_file") << url;
  }
}

TEST_F(MediaRootTest, ARootThatIsNoFolderIsNamed) {
  options.root = root / "none";
  EXPECT_THROW(MediaIntake{options}, Error);
  options.root = root / "ok.png";
  EXPECT_THROW(MediaIntake{options}, Error);
  options.root.clear();
  options.allow_addresses = {"everything"};
  EXPECT_THROW(MediaIntake{options}, Error);
}

TEST_F(MediaIntakeTest, DownloadsAreNamedForWhatTheyAre) {
  const std::string pixel = content_of(fetch(kPixel)[0]);
  WebHost host([&](const std::string& target, const WebHost::Say& say) {
    if (target == "/ok.png") say(WebHost::reply(pixel));
    if (target == "/page") say(WebHost::reply("<!DOCTYPE html><html><body>Sign in</body></html>"));
    if (target == "/lfs")
      say(WebHost::reply("version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') +
                         "\nsize 5\n"));
    if (target == "/clip")
      say(
          WebHost::reply(std::string("\0\0\0\x18"
                                     "ftypmp42\0\0\0\0mp42isom",
                                     24)));
    if (target == "/404") say(WebHost::reply("", "", "404 Not Found"));
    if (target == "/500") say(WebHost::reply("", "", "500 Internal Server Error"));
    if (target == "/inside") say(WebHost::reply("", "Location: http://127.0.0.7/x\r\n", "302 Found"));
  });
  options.allow_addresses = {"127.0.0.1/32"};
  intake = std::make_unique<MediaIntake>(options);
  EXPECT_EQ(content_of(fetch(host.url("/ok.png"))[0]), pixel);
  EXPECT_EQ(fetch(host.url("/clip"), MediaKind::kVideo).size(), 1u);
  const std::pair<const char*, int> refused[] = {{"/page", 422}, {"/lfs", 422},    {"/404", 422},
                                                 {"/500", 502},  {"/inside", 403}, {"/nothing", 502}};
  for (const auto& [target, expected] : refused) EXPECT_EQ(status(host.url(target)), expected) << target;
  try {
    fetch(host.url("/lfs"));
    ADD_FAILURE();
  } catch (const ApiError& error) {
    EXPECT_NE(std::string(error.what()).find("LFS"), std::string::npos) << error.what();
  }
  EXPECT_EQ(intake->stats().downloads, 5);
}

TEST_F(MediaIntakeTest, WhatWasSentIsRecalledByItsSenderAlone) {
  const Medium picture{fetch(kPixel)};
  intake->remember("a", "cat", MediaKind::kImage, picture);
  EXPECT_EQ(intake->recall("a", "cat", MediaKind::kImage, kParam), picture);
  const Medium list{fetch("data:video/jpeg;base64,AAAA,BBBB", MediaKind::kVideo), true, 4.0, {0, 0.5}};
  intake->remember("a", "list", MediaKind::kVideo, list);
  EXPECT_EQ(intake->recall("a", "list", MediaKind::kVideo, kParam), list);
  const auto unknown = [&](const std::string& client, const std::string& uuid, MediaKind kind) {
    try {
      intake->recall(client, uuid, kind, kParam);
      return false;
    } catch (const ApiError& error) {
      return error.status == 400 && error.code == "unknown_uuid";
    }
  };
  EXPECT_TRUE(unknown("b", "cat", MediaKind::kImage));
  EXPECT_TRUE(unknown("a", "dog", MediaKind::kImage));
  EXPECT_TRUE(unknown("a", "cat", MediaKind::kVideo));
  EXPECT_TRUE(unknown("a", std::string(300, 'x'), MediaKind::kImage));
}

TEST_F(MediaIntakeTest, TheLongestUnusedIsDropped) {
  options.max_remembered_bytes = 10'000;
  intake = std::make_unique<MediaIntake>(options);
  const auto of = [](size_t bytes) { return Medium{{MediaSource::bytes(std::string(bytes, 'x'), "x")}}; };
  const auto known = [&](const char* uuid) {
    try {
      return !intake->recall("c", uuid, MediaKind::kImage, kParam).sources.empty();
    } catch (const ApiError&) {
      return false;
    }
  };
  intake->remember("c", "1", MediaKind::kImage, of(3000));
  intake->remember("c", "2", MediaKind::kImage, of(3000));
  EXPECT_TRUE(known("1"));
  intake->remember("c", "3", MediaKind::kImage, of(3000));
  EXPECT_TRUE(known("1"));
  EXPECT_FALSE(known("2"));
  EXPECT_TRUE(known("3"));
  intake->remember("c", "4", MediaKind::kImage, of(20'000));
  EXPECT_FALSE(known("4"));
  EXPECT_TRUE(known("3"));
  intake->remember("c", "3", MediaKind::kImage, of(4000));
  EXPECT_EQ(intake->recall("c", "3", MediaKind::kImage, kParam).sources[0].size_bytes(), 4000u);
}

}  // namespace
}  // namespace vl3::serve
