// Statuses and fields of replies: what is read of others' words, and how long is waited.

#include "download/reply_fields.h"

#include <gtest/gtest.h>

#include "download/retry.h"
#include "vl3/error.h"

namespace vl3::download {
namespace {

using namespace std::chrono_literals;

TEST(ReplyFields, RangesAreReadOrRefused) {
  const auto range = parse_content_range("bytes 100-199/1000");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 100u);
  EXPECT_EQ(range->last, 199u);
  EXPECT_EQ(range->total, 1000u);
  EXPECT_TRUE(parse_content_range("Bytes 0-0/*"));
  EXPECT_FALSE(parse_content_range("bytes 0-0/*")->total);
  for (const char* text :
       {"", "bytes", "bytes */1000", "bytes 5-4/10", "bytes 0-10/10", "bytes 1-2", "bytes -1-2/3",
        "items 0-1/2", "bytes 0-1/99999999999999999999999", "bytes 0x1-2/3", "bytes 1 -2/3", "bytes 1/2-3"})
    EXPECT_FALSE(parse_content_range(text)) << text;
}

TEST(ReplyFields, AreReadAsServersWriteThem) {
  EXPECT_EQ(entity_tag("\"abc\""), "abc");
  EXPECT_EQ(entity_tag(" W/\"abc\" "), "abc");
  EXPECT_EQ(entity_tag("abc"), "abc");
  EXPECT_EQ(entity_tag("\""), "\"");
  EXPECT_EQ(byte_count("12"), 12u);
  EXPECT_EQ(byte_count("9223372036854775807"), uint64_t{INT64_MAX});
  EXPECT_FALSE(byte_count("9223372036854775808").has_value());
  EXPECT_FALSE(byte_count("").has_value());
  EXPECT_FALSE(byte_count(" 12").has_value());
  EXPECT_FALSE(byte_count("-1").has_value());
  EXPECT_FALSE(byte_count("12x").has_value());
  EXPECT_FALSE(byte_count("99999999999999999999").has_value());
  EXPECT_EQ(next_link("<http://a/x>; rel=\"prev\", <http://a/y?b=c>; rel=\"next\""), "http://a/y?b=c");
  EXPECT_EQ(next_link("<http://a/x>; rel=\"prev\""), "");
  EXPECT_EQ(next_link("<"), "");
  EXPECT_EQ(next_link(">; rel=next"), "");
  EXPECT_EQ(next_link("<http://a/<http://a/y>; rel=next"), "http://a/y");
}

TEST(Retry, TheReplySaysHowLongToWait) {
  const auto wait = [](long status, std::vector<std::pair<std::string, std::string>> fields) {
    return asked_wait({status, std::move(fields)});
  };
  EXPECT_EQ(wait(503, {{"retry-after", "7"}}), 7s);
  EXPECT_EQ(wait(429, {{"ratelimit", "\"resolvers\";r=0;t=55"}}), 55s);
  EXPECT_FALSE(wait(429, {{"ratelimit", "\"resolvers\";r=3;t=55"}}).has_value());
  EXPECT_FALSE(wait(503, {{"ratelimit", "\"resolvers\";r=0;t=55"}}).has_value());
  EXPECT_FALSE(wait(503, {}).has_value());
  EXPECT_FALSE(wait(503, {{"retry-after", "soon"}}).has_value());
  EXPECT_FALSE(wait(503, {{"retry-after", "-5"}}).has_value());
  EXPECT_EQ(wait(503, {{"retry-after", "9223372036854775807"}}), 24h);
  // A time counts from the reply's own, whatever the clock of this machine says, and in all of HTTP's forms.
  const std::string date = "Wed, 21 Oct 2015 07:27:30 GMT";
  for (const char* until :
       {"Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-15 07:28:00 GMT", "Wed Oct 21 07:28:00 2015"})
    EXPECT_EQ(wait(503, {{"date", date}, {"retry-after", until}}), 30s) << until;
  EXPECT_EQ(wait(503, {{"date", date}, {"retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"}}), 0s);
  EXPECT_EQ(wait(503, {{"date", date}, {"retry-after", "Thu, 21 Oct 2038 07:00:00 GMT"}}), 24h);
  const auto now = std::chrono::system_clock::from_time_t(1445412450);  // the same time
  EXPECT_EQ(asked_wait({503, {{"retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"}}}, now), 30s);
}

TEST(Retry, EveryPauseIsTwiceTheOneBefore) {
  EXPECT_EQ(pause_after(0, 250ms, {}), 250ms);
  EXPECT_EQ(pause_after(1, 250ms, {}), 250ms);
  EXPECT_EQ(pause_after(3, 250ms, {}), 1s);
  EXPECT_EQ(pause_after(1'000, 250ms, {}), 4s);
  EXPECT_EQ(pause_after(1, 250ms, {503, {{"retry-after", "7"}}}), 7s);
  EXPECT_EQ(pause_after(3, 1s, {503, {{"retry-after", "0"}}}), 4s);
}

TEST(Retry, ASleepEndsWhenItIsCancelled) {
  int asked = 0;
  try {
    sleep_unless(1h, [&] { return ++asked > 2; });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  sleep_unless(1ms, nullptr);
}

TEST(Retry, StatusesThatMayChange) {
  for (const long status : {408, 429, 500, 502, 503, 504, 522}) EXPECT_TRUE(may_change(status)) << status;
  for (const long status : {0, 200, 206, 304, 400, 401, 403, 404, 416}) EXPECT_FALSE(may_change(status));
}

}  // namespace
}  // namespace vl3::download
