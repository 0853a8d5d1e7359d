// Media that come over as many requests as it takes.

#include "fetch/web_transfer.h"

#include <unistd.h>

#include "fetch/fetch_host.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using namespace std::chrono_literals;
using download::DownloadError;
using download::Failure;
using test::FetchHost;
using test::field_of;
using test::WebHost;

std::string bytes_of(PartFile& content) {
  const download::OpenFile file = content.take_readable();
  std::string bytes(content.size(), '\0');
  EXPECT_EQ(::pread(file.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

std::string many_bytes(size_t count, unsigned seed = 1) {
  std::string bytes(count, '\0');
  for (char& c : bytes) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return bytes;
}

WebHost::Say::result_type redirect(const WebHost::Say& say, const std::string& to) {
  return say(WebHost::reply("", "Location: " + to + "\r\n", "302 Found"));
}

class Transfer : public testing::Test {
 protected:
  TransferOptions options() const {
    TransferOptions options;
    options.first_pause = 1ms;
    options.stall_timeout = 600s;  // a slow machine is no stall
    return options;
  }
  TransferRequest request(const std::string& target) const {
    TransferRequest request;
    request.address = host.url(target);
    request.trusted = true;
    request.max_bytes = 1 << 20;
    request.timeout = 600s;
    return request;
  }
  std::string get(const TransferRequest& asked, TransferReply* reply = nullptr) {
    PartFile content = PartFile::unnamed({});
    const TransferReply got = WebTransfer(options()).get(asked, content);
    if (reply != nullptr) *reply = got;
    return bytes_of(content);
  }
  std::string get(const std::string& target, TransferReply* reply = nullptr) {
    return get(request(target), reply);
  }
  Failure failure(const TransferRequest& asked, const TransferOptions& how, std::string* words = nullptr) {
    PartFile content = PartFile::unnamed({});
    try {
      WebTransfer(how).get(asked, content);
      ADD_FAILURE() << asked.address << " was fetched";
      return {};
    } catch (const DownloadError& error) {
      if (words != nullptr) *words = error.what();
      return error.failure();
    }
  }
  Failure failure(const std::string& target, std::string* words = nullptr) {
    return failure(request(target), options(), words);
  }

  FetchHost host;
  const std::string bytes = many_bytes(20'000);
};

TEST(ValidatorsForRange, AreStrong) {
  EXPECT_EQ((Validators{"\"a\"", "then"}).for_range(), "\"a\"");
  EXPECT_EQ((Validators{"W/\"a\"", "then"}).for_range(), "then");
  EXPECT_EQ((Validators{"W/\"a\"", ""}).for_range(), "");
}

TEST_F(Transfer, ContentComes) {
  host.put("/a", {bytes, "\"one\"", "Mon, 30 Nov 2026 02:00:00 GMT", ""});
  TransferReply reply;
  uint64_t received = 0, all = 0;
  TransferRequest asked = request("/a");
  asked.progress = [&](uint64_t now, uint64_t total) {
    EXPECT_GT(now, received);
    received = now;
    all = total;
  };
  EXPECT_EQ(get(asked, &reply), bytes);
  EXPECT_EQ(reply.validators, (Validators{"\"one\"", "Mon, 30 Nov 2026 02:00:00 GMT"}));
  EXPECT_TRUE(reply.may_be_kept);
  EXPECT_EQ(received, bytes.size());
  EXPECT_EQ(all, bytes.size());
  const std::string head = host.last_request();
  for (const char* name : {"Range", "If-None-Match", "Cookie", "Authorization", "Referer"})
    EXPECT_EQ(field_of(head, name), "") << name;
}

TEST_F(Transfer, WhatIsCutOffGoesOnWhereItStopped) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  for (const size_t count : {7000u, 5000u, 0u, 3000u}) host.fail_next(host.cut_after("/a", count));
  EXPECT_EQ(get("/a"), bytes);
  const auto requests = host.requests();
  ASSERT_EQ(requests.size(), 5u);
  EXPECT_EQ(field_of(requests[0], "Range"), "");
  EXPECT_EQ(field_of(requests[1], "Range"), "bytes=7000-");
  EXPECT_EQ(field_of(requests[1], "If-Range"), "\"one\"");
  EXPECT_EQ(field_of(requests[2], "Range"), "bytes=12000-");
  EXPECT_EQ(field_of(requests[3], "Range"), "bytes=12000-");
  EXPECT_EQ(field_of(requests[4], "Range"), "bytes=15000-");
}

TEST_F(Transfer, ATimeOfChangeWillDoWhereTheETagIsWeak) {
  host.put("/a", {bytes, "W/\"one\"", "Mon, 30 Nov 2026 02:00:00 GMT", ""});
  host.fail_next(host.cut_after("/a", 9000));
  EXPECT_EQ(get("/a"), bytes);
  EXPECT_EQ(field_of(host.last_request(), "If-Range"), "Mon, 30 Nov 2026 02:00:00 GMT");
}

TEST_F(Transfer, WhatCannotBeToldFromOtherContentBeginsAgain) {
  host.put("/a", {bytes, "", "", ""});
  host.fail_next(host.cut_after("/a", 9000));
  EXPECT_EQ(get("/a"), bytes);
  EXPECT_EQ(field_of(host.last_request(), "Range"), "");
}

TEST_F(Transfer, WhatChangedMeanwhileComesWholeAndNew) {
  const std::string other = many_bytes(15'000, 2);
  host.put("/a", {bytes, "\"one\"", "", ""});
  host.fail_next([&](const std::string& head, const WebHost::Say& say) {
    host.cut_after("/a", 9000)(head, say);
    host.put("/a", {other, "\"two\"", "", ""});
    return true;
  });
  TransferReply reply;
  EXPECT_EQ(get("/a", &reply), other);
  EXPECT_EQ(reply.validators.etag, "\"two\"");
}

TEST_F(Transfer, APieceThatIsNotWhatWasAskedForIsNotTaken) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  const std::string wrong[] = {
      "Content-Range: bytes 8000-19999/20000\r\nETag: \"one\"\r\n",  // another place
      "Content-Range: bytes 9000-19999/30000\r\nETag: \"one\"\r\n",  // another size
      "Content-Range: bytes 9000-19999/20000\r\nETag: \"two\"\r\n",  // another file
      "ETag: \"one\"\r\n",                                           // nobody knows
  };
  for (const std::string& fields : wrong) {
    host.fail_next(host.cut_after("/a", 9000));
    host.fail_next([&](const std::string&, const WebHost::Say& say) {
      return say(WebHost::reply(std::string(11'000, 'x'), fields, "206 Partial Content"));
    });
    EXPECT_EQ(get("/a"), bytes) << fields;
    EXPECT_EQ(field_of(host.last_request(), "Range"), "");
  }
  host.fail_next([&](const std::string&, const WebHost::Say& say) {  // that nobody asked for
    return say(WebHost::reply("x", "Content-Range: bytes 0-0/1\r\n", "206 Partial Content"));
  });
  EXPECT_EQ(get("/a"), bytes);
}

TEST_F(Transfer, AStallIsAnotherRequest) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  std::string range;
  // On a slow machine all may seem to stall: then with more patience.
  for (const std::chrono::seconds patience : {1s, 10s, 60s}) {
    host.fail_next(host.stall_after("/a", 9000));
    TransferOptions how = options();
    how.stall_timeout = patience;
    PartFile content = PartFile::unnamed({});
    WebTransfer(how).get(request("/a"), content);
    EXPECT_EQ(bytes_of(content), bytes);
    range = field_of(host.last_request(), "Range");
    if (range == "bytes=9000-") break;
  }
  host.release();
  EXPECT_EQ(range, "bytes=9000-");
}

TEST_F(Transfer, WhatMayPassIsTriedAgainAndTheRestIsNot) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  for (const char* status : {"503 Busy", "429 Slowly", "500 Broken", "408 Late"})
    host.fail_next([status](const std::string&, const WebHost::Say& say) {
      return say(WebHost::reply("", "Retry-After: 0\r\n", status));
    });
  EXPECT_EQ(get("/a"), bytes);
  std::string words;
  EXPECT_EQ(failure("/nothing", &words), Failure::kRefused);
  EXPECT_NE(words.find("404"), std::string::npos) << words;
  const size_t before = host.requests().size();
  host.fail_next([](const std::string&, const WebHost::Say& say) {
    return say(WebHost::reply("secret words", "", "403 Forbidden"));
  });
  EXPECT_EQ(failure("/a", &words), Failure::kRefused);
  EXPECT_NE(words.find("403"), std::string::npos) << words;
  EXPECT_EQ(words.find("secret"), std::string::npos) << words;
  EXPECT_EQ(host.requests().size(), before + 1);
}

TEST_F(Transfer, ItGivesUpWhereAttemptsBringNothing) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  host.fail_next(host.cut_after("/a", 9000));
  for (int i = 0; i < 5; ++i) host.fail_next(host.cut_after("/a", 0));
  std::string words;
  EXPECT_EQ(failure("/a", &words), Failure::kUpstream);
  EXPECT_NE(words.find("9000 of its 20000 bytes"), std::string::npos) << words;
  EXPECT_EQ(host.requests().size(), 6u);
}

TEST_F(Transfer, TheLimitOfTimeIsOfAllAttempts) {
  for (int i = 0; i < 20; ++i)
    host.fail_next([](const std::string&, const WebHost::Say& say) {
      return say(WebHost::reply("", "Retry-After: 3600\r\n", "503 Busy"));
    });
  TransferRequest asked = request("/a");
  asked.timeout = 2s;
  std::string words;
  EXPECT_EQ(failure(asked, options(), &words), Failure::kTimeout);
  EXPECT_NE(words.find("2 s"), std::string::npos) << words;
}

TEST_F(Transfer, MoreThanTheLimitIsRefusedWhereverItShows) {
  TransferRequest asked = request("/a");
  asked.max_bytes = 10'000;
  host.put("/a", {bytes, "\"one\"", "", ""});
  EXPECT_EQ(failure(asked, options()), Failure::kTooLarge);
  host.fail_next([&](const std::string&, const WebHost::Say& say) {  // without a length
    return say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes);
  });
  EXPECT_EQ(failure(asked, options()), Failure::kTooLarge);
  asked.max_bytes = bytes.size();
  EXPECT_EQ(get(asked), bytes);
}

TEST_F(Transfer, CompressedAndEmptyContentIsTold) {
  host.put("/packed", {bytes, "", "", "Content-Encoding: gzip\r\n"});
  host.put("/empty", {"", "", "", ""});
  EXPECT_EQ(failure("/packed"), Failure::kUnusable);
  EXPECT_EQ(failure("/empty"), Failure::kUnusable);
}

TEST_F(Transfer, WhatIsAtHandNeedNotCome) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  TransferRequest asked = request("/a");
  asked.known = {"\"one\"", ""};
  TransferReply reply;
  EXPECT_EQ(get(asked, &reply), "");
  EXPECT_TRUE(reply.unchanged);
  asked.known.etag = "\"zero\"";
  EXPECT_EQ(get(asked, &reply), bytes);
  EXPECT_FALSE(reply.unchanged);
  host.put("/a", {bytes, "\"one\"", "", "Cache-Control: private, No-Store\r\n"});
  get("/a", &reply);
  EXPECT_FALSE(reply.may_be_kept);
}

TEST_F(Transfer, InnerAddressesAreForThoseWhoAskedForThem) {
  host.put("/a", {bytes, "", "", ""});
  TransferRequest asked = request("/a");
  asked.trusted = false;
  EXPECT_EQ(failure(asked, options()), Failure::kForbiddenAddress);
  EXPECT_TRUE(host.requests().empty());
  TransferOptions allowed = options();
  allowed.allow_addresses = {"127.0.0.0/8"};
  PartFile content = PartFile::unnamed({});
  WebTransfer(allowed).get(asked, content);
  EXPECT_EQ(bytes_of(content), bytes);
}

TEST_F(Transfer, FromAnInnerAddressARedirectMayLeadToAnother) {
  host.put("/a", {bytes, "", "", ""});
  host.fail_next([](const std::string&, const WebHost::Say& say) { return redirect(say, "/b?x"); });
  host.fail_next([&](const std::string&, const WebHost::Say& say) { return redirect(say, host.url("/a")); });
  EXPECT_EQ(get("/from"), bytes);
  for (int i = 0; i < 6; ++i)
    host.fail_next([](const std::string&, const WebHost::Say& say) { return redirect(say, "/again"); });
  EXPECT_EQ(failure("/from"), Failure::kTooManyRedirects);
}

TEST_F(Transfer, APublicAddressLeadsToNoInnerOne) {
  // A name whose address was told counts as one of the web.
  TransferOptions pinned = options();
  pinned.connect_to = {"pictures.example:80:127.0.0.1:" + std::to_string(host.port())};
  host.put("/a", {bytes, "", "", ""});
  TransferRequest asked = request("/a");
  asked.address = "http://pictures.example/a";
  PartFile content = PartFile::unnamed({});
  WebTransfer(pinned).get(asked, content);
  EXPECT_EQ(bytes_of(content), bytes);
  EXPECT_EQ(field_of(host.last_request(), "Host"), "pictures.example");
  for (const char* to :
       {"http://127.0.0.9/a", "http://169.254.169.254/latest", "http://[::1]/a", "file:///etc/passwd"}) {
    host.fail_next([to](const std::string&, const WebHost::Say& say) { return redirect(say, to); });
    const Failure expected =
        std::string(to).starts_with("file") ? Failure::kUnusable : Failure::kForbiddenAddress;
    EXPECT_EQ(failure(asked, pinned), expected) << to;
  }
}

TEST_F(Transfer, ItEndsWhenItIsCancelled) {
  host.put("/a", {bytes, "\"one\"", "", ""});
  host.fail_next(host.stall_after("/a", 9000));
  TransferRequest asked = request("/a");
  std::atomic<bool> began = false;
  asked.progress = [&](uint64_t, uint64_t) { began = true; };
  asked.cancelled = [&] { return began.load(); };
  PartFile content = PartFile::unnamed({});
  try {
    WebTransfer(options()).get(asked, content);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  host.release();
  // Also between two attempts.
  began = false;
  host.fail_next([&](const std::string&, const WebHost::Say& say) {
    began = true;
    return say(WebHost::reply("", "Retry-After: 20\r\n", "503 Busy"));
  });
  try {
    WebTransfer(options()).get(asked, content);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
}

TEST(TransferOptions, WrongOnesAreRefused) {
  for (const char* entry : {"", "a", "a:80", "a:80:", "a:80:127.0.0.1", ":80:127.0.0.1:80",
                            "a:0:127.0.0.1:80", "a:x:127.0.0.1:80", "a:80:b:80", "a:80:127.0.0.1:",
                            "a:80:127.0.0.1:99999", "a:80:::1:80", "a:80:[127.0.0.1]:80"}) {
    TransferOptions options;
    options.connect_to = {entry};
    EXPECT_THROW(WebTransfer{options}, Error) << entry;
  }
  TransferOptions options;
  options.connect_to = {"a.example:80:[::1]:8080", "b.example:443:10.0.0.1:443"};
  EXPECT_NO_THROW(WebTransfer{options});
  options.allow_addresses = {"10.0.0.0/33"};
  EXPECT_THROW(WebTransfer{options}, Error);
}

}  // namespace
}  // namespace vl3
