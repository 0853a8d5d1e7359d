// Options of pictures and clips, of their parts and of whole requests; lists of frames and their times; which
// part an error names.

#include <fmt/format.h>

#include "serve/api_support.h"

namespace vl3::test {
namespace {

class Parts : public ApiTest {
 protected:
  static std::string frame(const std::string& file = "shapes.png") {
    return base64(read_text(project() / "examples/media/scenes" / file));
  }
  static std::string frame_url() { return "data:image/png;base64," + frame(); }
  static Json list_part(const Json& more = Json::object()) {
    Json part = {{"type", "video"}, {"video", {frame_url(), frame_url()}}};
    part.update(more);
    return part;
  }
  // The same in one URL.
  static Json joined_part(const Json& more = Json::object()) {
    Json part = {{"type", "video_url"},
                 {"video_url", {{"url", "data:video/jpeg;base64," + frame() + "," + frame()}}}};
    part.update(more);
    return part;
  }
  static Json recalled(const std::string& uuid, const Json& more = Json::object()) {
    Json part = {{"type", "video"}, {"uuid", uuid}};
    part.update(more);
    return part;
  }
  std::shared_ptr<CaughtExchange> show(const Json& part, Json more = Json::object()) {
    more["max_tokens"] = 1;
    more["media_report"] = true;
    return chat(Json::array({part, words("what?")}), more);
  }
  Json report(const Json& part, const Json& more = Json::object()) {
    const auto exchange = show(part, more);
    EXPECT_EQ(exchange->status(), 200) << exchange->body();
    return exchange->status() == 200 ? exchange->json()["media_report"]["videos"][0] : Json::object();
  }
  void expect_times(const Json& report, const std::vector<double>& times, bool assumed = false) {
    ASSERT_EQ(report["timestamps"].size(), times.size()) << report.dump();
    for (size_t i = 0; i < times.size(); ++i)
      EXPECT_NEAR(report["timestamps"][i].get<double>(), times[i], 1e-6) << i;
    EXPECT_EQ(report["fps_assumed"], assumed);
  }
  int64_t prompt_tokens(const Json& part, const Json& more = Json::object()) {
    const auto exchange = show(part, more);
    EXPECT_EQ(exchange->status(), 200) << exchange->body();
    return exchange->status() == 200 ? exchange->json()["usage"]["prompt_tokens"].get<int64_t>() : -1;
  }
};

TEST_F(Parts, FramesFollowEachOtherAsTheRequestSays) {
  for (const bool joined : {false, true}) {
    const auto part = [&](const Json& more) { return joined ? joined_part(more) : list_part(more); };
    const Json plain = part(Json::object());
    expect_times(report(plain), {0, 1}, true);
    expect_times(report(part({{"fps", 4}})), {0, 0.25});
    expect_times(report(part({{"timestamps", {0, 2}}})), {0, 2});
    expect_times(report(plain, {{"mm_processor_kwargs", {{"fps", 4}}}}), {0, 0.25});
    expect_times(report(plain, {{"media_io_kwargs", {{"video", {{"fps", 4}}}}}}), {0, 0.25});
    expect_times(report(part({{"fps", 2}}), {{"mm_processor_kwargs", {{"fps", 4}}}}), {0, 0.5});
    expect_times(report(part({{"timestamps", {0, 2}}}), {{"mm_processor_kwargs", {{"fps", 4}}}}), {0, 2});
    EXPECT_EQ(report(plain, {{"mm_processor_kwargs", {{"num_frames", 1}}}})["timestamps"].size(), 1u);
    const auto refused = show(part({{"timestamps", {0, 1, 2}}}));
    expect_error(*refused, 400, "messages[0].content[0].timestamps");
    EXPECT_NE(refused->body().find("3 times for 2 frames"), std::string::npos) << refused->body();
    expect_error(*show(part({{"fps", 5000}})), 400, "messages[0].content[0].fps");
    expect_error(*show(part({{"fps", 1}, {"timestamps", {0, 1}}})), 400, "messages[0].content[0].timestamps");
  }
  Json inner = joined_part();
  inner["video_url"]["fps"] = 4;
  expect_times(report(inner), {0, 0.25});
  const auto clip = show(clip_part({{"timestamps", {0, 1}}}));
  expect_error(*clip, 400, "messages[0].content[0].timestamps");
  EXPECT_NE(clip->body().find("list of frames"), std::string::npos) << clip->body();
}

TEST_F(Parts, WhatIsOfOneFrameIsRefused) {
  const auto with = [&](const Json& frame) {
    return show({{"type", "video"}, {"video", {frame, {{"url", frame_url()}}}}});
  };
  const std::string param = "messages[0].content[0].video[0]";
  for (const char* key : {"timestamp", "time", "fps", "max_tokens", "max_pixels", "uuid"}) {
    Json frame = {{"url", frame_url()}};
    frame[key] = key == std::string("uuid") ? Json("a") : Json(1);
    expect_error(*with(frame), 400, param + "." + key);
  }
  expect_error(*with({{"url", frame_url()}, {"data", frame()}}), 400, param);
  expect_error(*with({{"url", frame_url()}, {"file_id", "a"}}), 400, param + ".file_id", "unsupported");
  EXPECT_EQ(
      with({{"type", "image_url"}, {"image_url", {{"url", frame_url()}, {"detail", "auto"}}}})->status(),
      200);
}

TEST_F(Parts, AUuidStandsForFramesWithTheirTimes) {
  expect_times(report(list_part({{"fps", 4}, {"uuid", "rate"}})), {0, 0.25});
  expect_times(report(recalled("rate")), {0, 0.25});
  expect_times(report(recalled("rate", {{"fps", 2}})), {0, 0.5});
  expect_times(report(recalled("rate", {{"timestamps", {0, 7}}})), {0, 7});
  expect_times(report(recalled("rate")), {0, 0.25});
  expect_error(*show(recalled("rate", {{"timestamps", {0, 7, 8}}})), 400,
               "messages[0].content[0].timestamps");
  expect_times(report(joined_part({{"timestamps", {0, 3}}, {"uuid", "times"}})), {0, 3});
  expect_times(report(recalled("times")), {0, 3});
  expect_times(report(recalled("times", {{"fps", 2}})), {0, 0.5});
  expect_times(report(list_part({{"uuid", "neither"}})), {0, 1}, true);
  expect_times(report(recalled("neither", {{"fps", 4}})), {0, 0.25});
  EXPECT_EQ(show(clip_part({{"uuid", "clip"}}))->status(), 200);
  expect_error(*show(recalled("clip", {{"timestamps", {0, 7}}})), 400, "messages[0].content[0].timestamps");
}

// Every option counts for a part, and for all of a request.
TEST_F(Parts, OptionsOfTheRequestAreThoseOfParts) {
  const std::pair<const char*, Json> clips[] = {
      {"max_tokens", 40}, {"fps", 1},          {"num_frames", 2},  {"nframes", 2},
      {"max_frames", 2},  {"max_pixels", 3e4}, {"start_time", 1.}, {"use_token_compression", false}};
  const int64_t plain = prompt_tokens(clip_part());
  for (const auto& [key, given] : clips) {
    const Json value = given == 3e4 ? Json(30000) : given;
    const int64_t of_part = prompt_tokens(clip_part({{key, value}}));
    EXPECT_NE(of_part, plain) << key;
    EXPECT_EQ(prompt_tokens(clip_part(), {{"mm_processor_kwargs", {{key, value}}}}), of_part) << key;
    EXPECT_EQ(prompt_tokens(clip_part(), {{"media_io_kwargs", {{"video", {{key, value}}}}}}), of_part) << key;
  }
  const int64_t picture = prompt_tokens(picture_part());
  for (const auto& [key, value] : {std::pair("max_tokens", 9), std::pair("max_pixels", 9000)}) {
    const int64_t of_part = prompt_tokens(picture_part({{key, value}}));
    EXPECT_LT(of_part, picture) << key;
    EXPECT_EQ(prompt_tokens(picture_part(), {{"mm_processor_kwargs", {{key, value}}}}), of_part) << key;
    EXPECT_EQ(prompt_tokens(picture_part(), {{"media_io_kwargs", {{"image", {{key, value}}}}}}), of_part)
        << key;
    EXPECT_EQ(prompt_tokens(picture_part(), {{"media_io_kwargs", {{"video", {{key, value}}}}}}), picture)
        << key;
  }
  EXPECT_EQ(prompt_tokens(clip_part({{"max_tokens", 40}}), {{"mm_processor_kwargs", {{"max_tokens", 9}}}}),
            prompt_tokens(clip_part({{"max_tokens", 40}})));
  expect_error(*show(clip_part(), {{"mm_processor_kwargs", {{"max_tokens", 0}}}}), 400,
               "mm_processor_kwargs.max_tokens");
  expect_error(*show(picture_part(), {{"media_io_kwargs", {{"image", {{"detail", "huge"}}}}}}), 400,
               "media_io_kwargs.image.detail");
  expect_error(*show(clip_part(), {{"media_io_kwargs", {{"video", {{"detail", "low"}}}}}}), 400,
               "media_io_kwargs.video.detail");
}

TEST_F(Parts, DetailOfTheRequestIsThatOfItsPictures) {
  Json large = {{"type", "image_url"},
                {"image_url", {{"url", data_url("docs/images/page-answer.webp", "image/webp")}}}};
  // The demo's checkpoint allows less by itself.
  const Json high = {{"max_pixels", 600000}}, low = {{"max_pixels", 600000}, {"detail", "low"}};
  const int64_t whole = prompt_tokens(large, {{"mm_processor_kwargs", high}});
  const int64_t less = prompt_tokens(large, {{"mm_processor_kwargs", low}});
  EXPECT_LT(less, whole);
  EXPECT_EQ(prompt_tokens(large, {{"media_io_kwargs", {{"image", low}}}}), less);
  large["detail"] = "high";
  EXPECT_EQ(prompt_tokens(large, {{"mm_processor_kwargs", low}}), whole);
  large["detail"] = "low";
  EXPECT_EQ(prompt_tokens(large, {{"mm_processor_kwargs", high}}), less);
}

TEST_F(Parts, ErrorsNameThePart) {
  const std::string words_alone = base64("no picture at all, and more than a few words");
  const Json bad = {{"type", "image_url"}, {"image_url", {{"url", "data:image/png;base64," + words_alone}}}};
  Json unequal = list_part();
  unequal["video"][1] = data_url("examples/media/scenes/chart.png", "image/png");
  unequal["video"][0] = data_url("docs/images/page-answer.webp", "image/webp");
  Json late = list_part({{"start_time", 99}});
  const std::pair<Json, const char*> wrong[] = {
      {clip_part({{"start_time", 99}}), "video_url"},
      {late, "video"},
      {clip_part({{"num_frames", 3}, {"fps", 2}}), "num_frames"},
      {clip_part({{"detail", "low"}}), "detail"},
      {picture_part({{"min_pixels", 1000000000}, {"max_pixels", 1000000000}}), "image_url"},
      {unequal, "video[1]"},
      {bad, "image_url"}};
  for (const auto& [part, key] : wrong) {
    const Json content = {words("first"), part};
    expect_error(*chat(content), 400, fmt::format("messages[0].content[1].{}", key));
    expect_error(*ask("/tokenize", chat_body(content)), 400, fmt::format("messages[0].content[1].{}", key));
  }
}

}  // namespace
}  // namespace vl3::test
