// Which addresses messages name, in all the forms that messages have.

#include <gtest/gtest.h>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/media_fetch.h"

namespace vl3 {
namespace {

// "image ADDRESS" or "video ADDRESS" of every call.
std::vector<std::string> opened(const Json& content, ProcessorRequest* request = nullptr) {
  ProcessorRequest asked;
  asked.conversations = {Json::array({{{"role", "user"}, {"content", content}}})};
  if (request != nullptr) asked.media = request->media;
  std::vector<std::string> calls;
  open_addresses(asked, [&](const std::string& address, bool video) {
    calls.push_back((video ? "video " : "image ") + address);
    return MediaSource::bytes("x", address);
  });
  if (request != nullptr) *request = asked;
  return calls;
}

TEST(OpenAddresses, AreFoundWhereverAPartNamesItsMedium) {
  const std::string a = "https://example.com/a";
  const std::vector<std::string> image = {"image " + a}, video = {"video " + a};
  const Json images[] = {{{"type", "image"}, {"image", a}},
                         {{"type", "image"}, {"url", a}},
                         {{"type", "image"}, {"path", a}},
                         {{"type", "image"}, {"image", {{"image_path", a}}}},
                         {{"type", "image_url"}, {"image_url", {{"url", a}, {"detail", "low"}}}},
                         {{"type", "input_image"}, {"image_url", a}},
                         {{"image", a}}};
  for (const Json& part : images) EXPECT_EQ(opened(Json::array({part})), image) << part;
  const Json videos[] = {{{"type", "video"}, {"video", a}, {"fps", 1}},
                         {{"type", "video"}, {"video", {{"video_path", a}, {"fps", 1}, {"max_frames", 180}}}},
                         {{"type", "video_url"}, {"video_url", {{"url", a}}}},
                         {{"video", a}}};
  for (const Json& part : videos) EXPECT_EQ(opened(Json::array({part})), video) << part;
}

TEST(OpenAddresses, FramesOfAClipArePictures) {
  const Json part = {{"type", "video"}, {"video", {"http://a/1", "frames/2.png", {{"url", "http://a/3"}}}}};
  EXPECT_EQ(opened(Json::array({part})), (std::vector<std::string>{"image http://a/1", "image http://a/3"}));
}

TEST(OpenAddresses, NothingElseIsOne) {
  const Json parts = Json::array({"http://a/1",
                                  {{"type", "text"}, {"text", "http://a/1"}},
                                  {{"type", "image"}, {"image", "photo.png"}},
                                  {{"type", "image"}, {"image", "file:///http://a"}},
                                  {{"type", "image"}, {"image", "data:,http://a"}},
                                  {{"type", "image"}, {"base64", "http://a/1"}},
                                  {{"type", "image"}, {"image", {1, 2}}},
                                  {{"type", "image"}, {"caption", "http://a/1"}},
                                  {{"type", 7}, {"name", "http://a/1"}},
                                  7,
                                  nullptr});
  EXPECT_TRUE(opened(parts).empty());
  ProcessorRequest odd;
  odd.conversations = {Json("http://a"),
                       Json::array({Json("http://a"), Json(7), Json{{"content", "http://a"}}})};
  open_addresses(odd, [](const std::string& address, bool) -> MediaSource {
    ADD_FAILURE() << address;
    return MediaSource::bytes("x", address);
  });
}

TEST(OpenAddresses, EachIsOpenedOnceAndGivenUnderItsText) {
  ProcessorRequest request;
  request.media.emplace("http://a/known", MediaSource::bytes("k", "known"));
  const Json parts = Json::array({{{"type", "image"}, {"image", "http://a/1?key=s3cret"}},
                                  {{"type", "image"}, {"image", "http://a/known"}},
                                  {{"type", "image"}, {"image", "http://a/1?key=s3cret"}}});
  EXPECT_EQ(opened(parts, &request), (std::vector<std::string>{"image http://a/1?key=s3cret"}));
  EXPECT_EQ(request.media.size(), 2u);
  EXPECT_EQ(request.media.at("http://a/known").name(), "known");
}

TEST(OpenAddresses, WhatOpenThrowsComesOut) {
  ProcessorRequest request;
  request.conversations = {
      Json::array({{{"role", "user"}, {"content", Json::array({{{"image", "http://a/1"}}})}}})};
  const OpenAddress open = [](const std::string&, bool) -> MediaSource {
    throw Error(ErrorCode::kIo, "[http://a/1] is gone");
  };
  EXPECT_THROW(open_addresses(request, open), Error);
  EXPECT_TRUE(request.media.empty());
}

// The request as the checkpoint's page has it, with an address in place of its file.
TEST(OpenAddresses, ThePublishedRequestReachesItsMedium) {
  VL3_NEED_SHARED(path, "cases/vl3_model_card_request.json");
  Json request = Json::parse(test::read_text(path));
  Json& video = request["conversations"][0][0]["content"][0]["video"];
  video["video_path"] = "https://example.com/cat_and_chicken.mp4";
  EXPECT_EQ(opened(request["conversations"][0][0]["content"]),
            std::vector<std::string>{"video https://example.com/cat_and_chicken.mp4"});
}

}  // namespace
}  // namespace vl3
