// Pictures by address through the C interface, from a host of this machine.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/support.h"
#include "support/web_host.h"
#include "vl3/vl3.h"

namespace vl3 {
namespace {

using test::WebHost;
using Json = nlohmann::json;

std::string of_project(const char* path) {
  return (test::data_path("").parent_path().parent_path().parent_path() / path).string();
}

std::string taken(char* string) {
  const std::string text = string != nullptr ? string : "";
  vl3_string_free(string);
  return text;
}

class CAddresses : public testing::Test {
 protected:
  ~CAddresses() override { vl3_engine_free(engine_); }

  void open(const char* options) {
    vl3_engine_free(std::exchange(engine_, nullptr));
    char* error = nullptr;
    const auto model = of_project("models/tiny");
    EXPECT_EQ(vl3_engine_open(model.c_str(), options, nullptr, nullptr, &engine_, &error), VL3_OK)
        << taken(error);
  }
  std::string refused(const char* options) {
    char* error = nullptr;
    vl3_engine* engine = nullptr;
    EXPECT_NE(vl3_engine_open(of_project("models/tiny").c_str(), options, nullptr, nullptr, &engine, &error),
              VL3_OK);
    return taken(error);
  }
  vl3_request* submit(const std::string& picture, const Json& more = Json::object()) {
    const Json part = {{"type", "image"}, {"image", picture}};
    const Json text = {{"type", "text"}, {"text", "What is this?"}};
    const Json message = {{"role", "user"}, {"content", Json::array({part, text})}};
    Json request = {{"messages", Json::array({message})}, {"generate", {{"max_new_tokens", 8}}}};
    request.update(more);
    vl3_request* handle = nullptr;
    char* error = nullptr;
    EXPECT_EQ(vl3_submit(engine_, request.dump().c_str(), &handle, &error), VL3_OK) << taken(error);
    return handle;
  }
  // How it ends: the ids of its answer, or what went wrong.
  struct End {
    vl3_status status;
    std::string ids, error;
  };
  static End end_of(vl3_request* request) {
    char *json = nullptr, *error = nullptr;
    End end{vl3_request_run(request, nullptr, nullptr, &error), "", ""};
    end.error = taken(error);
    if (end.status == VL3_OK && vl3_request_result(request, &json, nullptr) == VL3_OK)
      end.ids = Json::parse(taken(json))["answers"][0]["new_ids"].dump();
    vl3_request_free(request);
    return end;
  }

  void answer(const std::string& target, const WebHost::Say& say) {
    if (target == "/a.png") say(WebHost::reply(test::read_text(of_project(kPicture))));
    if (target == "/page") say(WebHost::reply("<!doctype html><html></html>"));
    if (target == "/endless") {
      say("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nx");
      while (!host_.stopping()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  static constexpr const char* kPicture = "examples/media/shapes.png";
  static constexpr const char* kLocal =
      R"({"fetch": {"allow_addresses": ["127.0.0.1"], "image_timeout_s": 3600}})";
  vl3_engine* engine_ = nullptr;
  WebHost host_{[this](const std::string& target, const WebHost::Say& say) { answer(target, say); }};
};

TEST_F(CAddresses, AreAnsweredLikeTheirFiles) {
  open(kLocal);
  const End file = end_of(submit(of_project(kPicture))), web = end_of(submit(host_.url("/a.png")));
  EXPECT_EQ(file.status, VL3_OK) << file.error;
  EXPECT_EQ(web.status, VL3_OK) << web.error;
  EXPECT_NE(file.ids, "");
  EXPECT_EQ(web.ids, file.ids);
  EXPECT_EQ(host_.requests().size(), 1u);
  const End page = end_of(submit(host_.url("/page?key=s3cret"))), gone = end_of(submit(host_.url("/page")));
  EXPECT_EQ(gone.status, VL3_FORMAT) << gone.error;
  EXPECT_NE(gone.error.find("an HTML page"), std::string::npos) << gone.error;
  EXPECT_NE(page.status, VL3_OK);
  EXPECT_EQ(page.error.find("s3cret"), std::string::npos) << page.error;
}

TEST_F(CAddresses, AreFetchedWhereThatIsAskedForAlone) {
  for (const char* options : {"{}", R"({"fetch": false})", R"({"fetch": null})"}) {
    open(options);
    EXPECT_EQ(end_of(submit(host_.url("/a.png"))).status, VL3_UNSUPPORTED) << options;
  }
  open(R"({"fetch": true})");
  const End inner = end_of(submit(host_.url("/a.png")));
  EXPECT_EQ(inner.status, VL3_INVALID_ARGUMENT) << inner.error;
  EXPECT_NE(inner.error.find("not public"), std::string::npos) << inner.error;
  EXPECT_TRUE(host_.requests().empty());
}

TEST_F(CAddresses, OptionsThatAreNoneAreNamed) {
  EXPECT_NE(refused(R"({"fetch": {"allow_adresses": []}})").find("allow_addresses"), std::string::npos);
  for (const char* fetch : {R"({"allow_addresses": "127.0.0.1"})", R"({"allow_addresses": ["10.0.0.0/33"]})",
                            R"({"image_timeout_s": 0})", R"({"max_image_bytes": -1})",
                            R"({"certificates": "/nonexistent"})", "1"})
    EXPECT_NE(refused((std::string(R"({"fetch": )") + fetch + "}").c_str()), "") << fetch;
}

TEST_F(CAddresses, ADownloadIsCancelledAlsoWhereItWaitsForOthers) {
  open(kLocal);
  std::vector<vl3_request*> requests;
  for (int i = 0; i < 6; ++i) requests.push_back(submit(host_.url("/endless")));
  EXPECT_EQ(end_of(submit(of_project(kPicture))).status, VL3_OK);  // which waits for none of them
  char* error = nullptr;
  EXPECT_EQ(vl3_request_poll(requests[5], 0, nullptr, nullptr, &error), VL3_PENDING);
  for (const int i : {5, 0}) {
    vl3_request_cancel(requests[static_cast<size_t>(i)]);
    EXPECT_EQ(end_of(requests[static_cast<size_t>(i)]).status, VL3_CANCELLED) << i;
  }
  vl3_engine_free(std::exchange(engine_, nullptr));  // ends the others
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(end_of(requests[i]).status, VL3_CANCELLED) << i;
}

TEST_F(CAddresses, ADeadlineHoldsWhileTheyAreFetched) {
  open(kLocal);
  const End late = end_of(submit(host_.url("/endless"), {{"deadline_s", 0.2}}));
  EXPECT_EQ(late.status, VL3_CANCELLED);
  EXPECT_NE(late.error.find("deadline of 0.2 s"), std::string::npos) << late.error;
  EXPECT_EQ(end_of(submit(host_.url("/a.png"), {{"deadline_s", 600}})).status, VL3_OK);
}

TEST_F(CAddresses, ADeadlineThatIsNoneIsRefusedBeforeAnythingIsFetched) {
  open(kLocal);
  for (const double deadline_s : {-1.0, 0.0}) {
    for (const std::string& picture : {host_.url("/a.png"), of_project(kPicture)}) {
      const Json part = {{"type", "image"}, {"image", picture}};
      const Json message = {{"role", "user"}, {"content", Json::array({part})}};
      const Json request = {{"messages", Json::array({message})}, {"deadline_s", deadline_s}};
      vl3_request* handle = nullptr;
      char* error = nullptr;
      EXPECT_EQ(vl3_submit(engine_, request.dump().c_str(), &handle, &error), VL3_INVALID_ARGUMENT)
          << picture;
      EXPECT_EQ(taken(error), std::string("[request] deadline_s is ") + (deadline_s < 0 ? "-1" : "0") +
                                  ", it should be above 0")
          << picture;
      EXPECT_EQ(handle, nullptr);
      vl3_request_free(handle);
    }
  }
  EXPECT_TRUE(host_.requests().empty());
}

}  // namespace
}  // namespace vl3
