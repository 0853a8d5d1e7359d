// What clients and the log are told of failures.

#include "serve/api_support.h"
#include "vl3/error.h"

namespace vl3::test {
namespace {

using Failures = ApiTest;

TEST_F(Failures, OfTheInsideAreToldToTheLogAlone) {
  std::vector<std::pair<std::string, std::string>> told;
  options_.failed = [&](const std::string& id, std::string_view what) { told.emplace_back(id, what); };
  const auto refusal = [&](ErrorCode code, const char* what) {
    return api().service().refusal(std::make_exception_ptr(Error(code, what)), "req-7", "messages");
  };
  const serve::ApiError inside = refusal(ErrorCode::kIo, "[/srv/model/x] cannot be read");
  EXPECT_EQ(inside.status, 500);
  EXPECT_EQ(std::string(inside.what()).find("/srv"), std::string::npos);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0], std::pair(std::string("req-7"), std::string("[/srv/model/x] cannot be read")));
  EXPECT_EQ(refusal(ErrorCode::kFormat, "[a.png] is no picture").status, 400);
  EXPECT_STREQ(refusal(ErrorCode::kFormat, "[/srv/model/chat_template.jinja:3] no").what(),
               "[chat_template.jinja:3] no");
  EXPECT_EQ(refusal(ErrorCode::kCancelled, "[a.mp4] was cut off").status, 503);
  EXPECT_EQ(told.size(), 1u);
}

}  // namespace
}  // namespace vl3::test
