// Requests as people and other programs write them: each form means what ours means, and nothing in one is
// passed over.

#include <functional>

#include "base/json.h"
#include "support/support.h"
#include "vl3/processor.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

std::string picture() { return test::data_path("../../examples/media/shapes.png").string(); }
std::string clip() { return test::data_path("../../examples/media/moving.mp4").string(); }

std::string base64(const std::string& bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kLetters[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

std::string percent(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("%{:02x}", static_cast<uint8_t>(c));
  return text;
}

class Messages : public ::testing::Test {
 protected:
  ProcessorOutput process(const Json& request) {
    return processor_.process(threads_, processor_.parse_request(request, "r"), limits_);
  }
  static Json user(const Json& part) {
    return Json::array(
        {{{"role", "user"}, {"content", Json::array({part, {{"type", "text"}, {"text", "?"}}})}}});
  }
  // Ids and pixels of a request with this part.
  std::pair<std::vector<int64_t>, std::vector<float>> seen(const Json& part) {
    const ProcessorOutput out = process({{"messages", user(part)}});
    const Tensor& pixels =
        out.images.pixel_values.defined() ? out.images.pixel_values : out.videos.pixel_values_videos;
    const auto values = pixels.span<float>();
    return {out.ids[0], {values.begin(), values.end()}};
  }
  std::string refusal(const Json& request) {
    try {
      process(request);
    } catch (const Error& error) {
      return error.what();
    }
    return "not refused";
  }
  void expect_refused(const Json& part, const std::string& told) {
    const std::string said = refusal({{"messages", user(part)}});
    EXPECT_NE(said.find(told), std::string::npos) << part.dump().substr(0, 200) << ": " << said;
    EXPECT_EQ(said.find("/proc/"), std::string::npos) << said;
  }

  const Processor processor_ = Processor::from_pretrained(test::data_path("../../models/tiny"));
  ThreadPool threads_{1};
  MediaLimits limits_;
};

// A body made for an HTTP API: the model is the one that is loaded.
TEST_F(Messages, WhatAnHttpBodyHasBesideItsMessagesChangesNothing) {
  const Json hi = Json::array({{{"role", "user"}, {"content", "Hi"}}});
  const Json body = {{"model", "another"},      {"messages", hi},
                     {"stream", true},          {"stream_options", {{"include_usage", true}}},
                     {"store", false},          {"user", "someone"},
                     {"metadata", {{"k", "v"}}}};
  EXPECT_EQ(process(body).ids, process({{"messages", hi}}).ids);
  EXPECT_NE(refusal({{"model", "another"}, {"messages", hi}, {"models", 1}}).find("\"models\""),
            std::string::npos);
}

TEST_F(Messages, EveryFormOfAPictureIsThePicture) {
  const auto wanted = seen({{"type", "image"}, {"image", picture()}});
  const std::string bytes = test::read_text(picture()), url = "data:image/png;base64," + base64(bytes);
  const Json forms[] = {
      {{"type", "image"}, {"image", {{"image_path", picture()}}}},
      {{"type", "image"}, {"path", picture()}},
      {{"type", "image"}, {"url", "file://" + picture()}},
      {{"type", "image"}, {"image", "file://localhost" + picture()}, {"video", nullptr}, {"text", nullptr}},
      {{"type", "image_url"}, {"image_url", {{"url", picture()}, {"detail", "auto"}}}},
      {{"type", "image_url"}, {"image_url", {{"url", url}, {"detail", "high"}}}},
      {{"type", "input_image"}, {"image_url", url}, {"detail", "auto"}},
      {{"type", "input_image"}, {"image_url", url}, {"detail", nullptr}, {"file_id", nullptr}},
      {{"image", picture()}},
      {{"image_url", url}},
      {{"type", "image"}, {"image", "data:," + percent(bytes)}},
      {{"type", "image"}, {"base64", base64(bytes)}},
  };
  for (const Json& form : forms) EXPECT_EQ(seen(form), wanted) << form.dump().substr(0, 120);
}

TEST_F(Messages, EveryFormOfAClipIsTheClip) {
  const auto wanted = seen({{"type", "video"}, {"video", clip()}, {"fps", 2}, {"max_frames", 5}});
  const std::string url = "data:video/mp4;base64," + base64(test::read_text(clip()));
  const Json forms[] = {
      {{"type", "video"}, {"video", {{"video_path", clip()}, {"fps", 2}, {"max_frames", 5}}}},
      {{"type", "video"}, {"video", {{"video_path", clip()}, {"max_frames", 5}}}, {"fps", 2}},
      {{"type", "video_url"}, {"video_url", {{"url", clip()}}}, {"fps", 2}, {"max_frames", 5}},
      {{"type", "input_video"},
       {"input_video", {{"data", base64(test::read_text(clip()))}}},
       {"fps", 2},
       {"max_frames", 5}},
      {{"type", "input_video"}, {"video_url", url}, {"fps", 2}, {"max_frames", 5}},
      {{"video", url}, {"fps", 2}, {"max_frames", 5}, {"image", nullptr}},
  };
  for (const Json& form : forms) EXPECT_EQ(seen(form), wanted) << form.dump().substr(0, 120);
  const auto part =
      seen({{"type", "video"}, {"video", clip()}, {"fps", 2}, {"start_time", 1}, {"end_time", 2}});
  EXPECT_NE(part, wanted);
  EXPECT_EQ(seen({{"type", "video"},
                  {"video", {{"video_path", clip()}, {"fps", 2}, {"start_time", 1}, {"end_time", 2}}}}),
            part);
  const std::string frame = base64(test::read_text(picture()));
  EXPECT_EQ(seen({{"type", "video_url"},
                  {"video_url", {{"url", "data:video/jpeg;base64," + frame + "," + frame}}}}),
            seen({{"type", "video"}, {"video", {picture(), picture()}}}));
}

TEST_F(Messages, EveryFormOfARequestIsTheConversation) {
  const Json messages = {
      {{"role", "system"}, {"content", "Be brief."}},
      {{"role", "user"}, {"content", {{{"type", "input_text"}, {"text", "Hi"}}}}},
      {{"role", "assistant"},
       {"content", {{{"type", "output_text"}, {"text", "Yes?"}, {"annotations", Json::array()}}}},
       {"refusal", nullptr}},
      {{"role", "user"}, {"content", {"What ", {{"text", "now?"}}}}}};
  const Json plain = {{{"role", "system"}, {"content", "Be brief."}},
                      {{"role", "user"}, {"content", "Hi"}},
                      {{"role", "assistant"}, {"content", "Yes?"}},
                      {{"role", "user"}, {"content", "What now?"}}};
  const auto wanted = process({{"conversations", {plain}}}).ids;
  for (const Json& request :
       {Json{{"conversations", {messages}}}, Json{{"conversations", messages}}, Json{{"messages", messages}},
        Json{{"messages", {messages}}}, Json{{"conversation", messages}}, messages, Json::array({messages})})
    EXPECT_EQ(process(request).ids, wanted) << request.dump();
  EXPECT_EQ(process(Json::array({messages, plain})).ids.size(), 2U);
}

TEST_F(Messages, APictureMayHaveAnAreaOfItsOwn) {
  Json request = {{"messages", user({{"type", "image"}, {"image", picture()}})},
                  {"images", {{"shortest_edge", 784}, {"longest_edge", 3136}}}};
  const auto of_request = process(request).ids;
  Json alone = {{"type", "image"}, {"image", picture()}, {"min_pixels", 784}, {"max_pixels", 3136}};
  EXPECT_EQ(process({{"messages", user(alone)}}).ids, of_request);
  EXPECT_LT(of_request[0].size(), seen({{"type", "image"}, {"image", picture()}}).first.size());
  // Beside one that has the whole area, and planned alike.
  const Json both = {{{"role", "user"}, {"content", {alone, {{"type", "image"}, {"image", picture()}}}}}};
  const ProcessorRequest parsed = processor_.parse_request({{"messages", both}}, "r");
  const ProcessorOutput out = processor_.process(threads_, parsed);
  const std::vector<MediaPlan> plans = processor_.plan(parsed);
  ASSERT_EQ(plans.size(), 2U);
  EXPECT_LT(plans[0].patches, plans[1].patches);
  EXPECT_EQ(plans[0].patches + plans[1].patches, out.images.pixel_values.dim(0));
}

TEST_F(Messages, BoundsThatContradictEachOtherAreRefused) {
  const Json image = {{"type", "image"}, {"image", picture()}},
             video = {{"type", "video"}, {"video", clip()}};
  const auto with = [](Json part, const Json& options) {
    part.update(options);
    return part;
  };
  const std::string areas = "\"min_pixels\" is 5000, which is more than \"max_pixels\", 4000";
  for (const Json& part : {image, video}) {
    expect_refused(with(part, {{"min_pixels", 5000}, {"max_pixels", 4000}}), areas);
    expect_refused(with(part, {{"size", {{"shortest_edge", 5000}, {"longest_edge", 4000}}}}),
                   "\"shortest_edge\" is 5000, which is more than \"longest_edge\", 4000");
  }
  expect_refused(with(video, {{"min_frames", 10}, {"max_frames", 2}}),
                 "\"min_frames\" is 10, which is more than");
  expect_refused(with(video, {{"num_frames", 2}, {"max_frames", 1}}), "more than \"max_frames\", 1");
  expect_refused(with(video, {{"num_frames", 2}, {"min_frames", 3}}), "more than \"num_frames\", 2");
  const Json messages = user(image);
  for (const Json& request :
       {Json{{"messages", messages}, {"min_pixels", 5000}, {"max_pixels", 4000}},
        Json{{"messages", messages}, {"images", {{"min_pixels", 5000}, {"max_pixels", 4000}}}},
        Json{{"messages", messages}, {"videos_kwargs", {{"min_pixels", 5000}, {"max_pixels", 4000}}}}})
    EXPECT_NE(refusal(request).find(areas), std::string::npos) << request.dump();
  // Equal ones leave something, and one alone goes with what the checkpoint says.
  seen(with(image, {{"min_pixels", 3136}, {"max_pixels", 3136}}));
  seen(with(image, {{"max_pixels", 784}}));
}

TEST_F(Messages, DetailLowHasAtMostASmallArea) {
  std::string pixels = "BM";  // 1024 x 1024, 24 bits, as a BMP: nothing of this size lies in the checkout
  const auto word = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) pixels += static_cast<char>(value >> (8 * i) & 0xff);
  };
  for (const uint32_t value :
       {54u + 3u * 1024 * 1024, 0u, 54u, 40u, 1024u, 1024u, 1u | 24u << 16, 0u, 0u, 0u, 0u, 0u, 0u})
    word(value);
  pixels += std::string(3 * 1024 * 1024, '\x40');
  const test::TemporaryFolder folder;
  test::write_text(folder / "large.bmp", pixels);
  const auto patches = [&](const char* detail) {
    const Json part = {{"type", "image_url"},
                       {"image_url", {{"url", (folder / "large.bmp").string()}, {"detail", detail}}}};
    Json request = {{"messages", user(part)},
                    {"images", {{"shortest_edge", 784}, {"longest_edge", 1 << 20}}}};
    return processor_.plan(processor_.parse_request(request, "r"))[0].patches;
  };
  EXPECT_LE(patches("low") * 14 * 14, 512 * 512);
  EXPECT_GT(patches("high") * 14 * 14, 512 * 512);
}

TEST_F(Messages, WhatIsUnknownOrTwofoldIsNamed) {
  const std::string png = "data:image/png;base64,";
  expect_refused({{"type", "audio"}, {"audio", "a.wav"}}, "\"audio\"");
  expect_refused({{"type", "input_audio"}, {"input_audio", {{"data", "AAAA"}}}}, "input_audio");
  expect_refused({{"type", "file"}, {"file", {{"file_id", "x"}}}}, "\"file\"");
  expect_refused({{"type", 5}, {"image", picture()}}, "5");
  expect_refused({{"tpye", "image"}}, "tpye");
  expect_refused({{"text", "a"}, {"image", picture()}}, "several");
  expect_refused({{"type", "text"}, {"text", "a"}, {"image", picture()}}, "\"image\"");
  expect_refused({{"type", "text"}, {"text", "a"}, {"cache_control", {{"type", "ephemeral"}}}},
                 "cache_control");
  expect_refused({{"type", "text"}}, "\"text\"");
  expect_refused({{"type", "text"}, {"text", 5}}, "\"text\"");
  expect_refused({{"type", "image"}, {"image", picture()}, {"text", "a"}}, "\"text\"");
  expect_refused({{"type", "image"}, {"image", picture()}, {"image_url", picture()}}, "twice");
  expect_refused({{"type", "image"}, {"image", {{"path", picture()}, {"url", picture()}}}}, "twice");
  expect_refused({{"type", "image"}, {"image", {{"image_path", picture()}, {"crop", 1}}}}, "\"crop\"");
  expect_refused({{"type", "image"}, {"image", picture()}, {"fps", 1}}, "\"fps\"");
  expect_refused({{"type", "image"}, {"image", picture()}, {"max_pixel", 1}}, "max_pixels");
  expect_refused({{"type", "image"}, {"image", picture()}, {"merge_size", 2}}, "all pictures");
  expect_refused({{"type", "image"}, {"image", picture()}, {"detail", "medium"}}, "medium");
  expect_refused({{"type", "image"}, {"image", {picture()}}}, "path");
  expect_refused({{"type", "image"}, {"video", clip()}}, "names no file");
  expect_refused({{"type", "input_image"}, {"file_id", "file-1"}}, "names no file");
  expect_refused({{"type", "video"}, {"video", {{"video_path", clip()}, {"fps", 1}}}, {"fps", 2}},
                 "\"fps\" twice");
  expect_refused({{"type", "video"}, {"video", clip()}, {"nframes", 2}}, "num_frames");
  expect_refused({{"type", "video"}, {"video", {{"video_path", clip()}, {"video_start", 2}}}}, "start_time");
  expect_refused({{"type", "video"}, {"video", {{"fps", 2}}}}, "path");
  expect_refused({{"type", "video"}, {"video", clip()}, {"detail", "low"}}, "detail");
  expect_refused({{"type", "video"}, {"video", Json::array({{{"path", picture()}, {"fps", 1}}})}}, "\"fps\"");
  expect_refused({{"type", "image"}, {"image", "HTTPS://example.org/a.png"}}, "address");
  expect_refused({{"type", "image"}, {"image", png + "AAAA"}}, "data:image/png (3 bytes)");
  expect_refused({{"type", "image"}, {"image", png + "A*AA"}}, "messages[0].content[0]");
  expect_refused({{"type", "image"}, {"image", png}}, "without data");
  expect_refused({{"type", "video"}, {"video", "data:video/mp4;base64,AAAAAAAA"}},
                 "data:video/mp4 (6 bytes)");
  expect_refused({{"type", "image"}, {"image", "data:video/jpeg;base64,AAAA,AAAA"}}, "2");
  expect_refused({{"type", "image"}, {"image", std::string("a\0b", 3)}}, "path");
  const std::string bare = base64(std::string(9000, 'x'));
  expect_refused({{"type", "image"}, {"image", bare}}, "12000 bytes where the path");
}

TEST_F(Messages, LimitsHoldForWhatARequestBrings) {
  limits_.max_file_bytes = 100;
  expect_refused({{"type", "image"}, {"image", "data:;base64," + std::string(400, 'A')}},
                 "max_file_bytes, 100");
  expect_refused({{"type", "video"}, {"video", "data:," + std::string(400, 'A')}}, "max_file_bytes, 100");
  limits_.max_frames = 2;
  expect_refused({{"type", "video"}, {"video", "data:video/jpeg;base64,AA,AA,AA"}}, "max_frames, 2");
}

TEST_F(Messages, KeysOfRequestsAndMessagesAreNamedWithWhatWasMeant) {
  const Json hi = Json::array({{{"role", "user"}, {"content", "Hi"}}});
  const std::pair<Json, const char*> bad[] = {
      {{{"messages", hi}, {"max_tokens", 5}}, "\"generate\": {\"max_new_tokens\""},
      {{{"messages", hi}, {"max_completion_tokens", 5}}, "max_new_tokens"},
      {{{"messages", hi}, {"temperature", 0.5}}, "\"generate\""},
      {{{"messages", hi}, {"stop", "x"}}, "stop_strings"},
      {{{"messages", hi}, {"prompt", "gpt"}}, "\"prompt\""},
      {{{"messages", hi}, {"conversations", {hi}}}, "twice"},
      {{{"massages", hi}}, "conversations"},
      {{{"input", hi}, {"max_output_tokens", 3}}, "\"conversations\", but \"input\""},
      {{{"messages", Json::array()}}, "\"messages\" should be a list of at least one"},
      {{{"conversations", Json::array({Json::array()})}}, "without messages"},
      {{{"messages", hi}, {"generation", 1}}, "\"generation\""},
      {{{"messages", hi}, {"videos", {{"nframes", 2}}}}, "num_frames"},
      {{{"messages", hi}, {"tools", {{{"type", "function"}}}}}, "\"tools\""},
      {{{"messages", hi}, {"chat_template_kwargs", {{"enable_thinking", false}}}}, "enable_thinking"},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"name", "Bob"}}}}}, "\"name\""},
      // Words of the template that are no keys of a message.
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"message", "X"}}}}}, "\"message\""},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"assistant", "X"}}}}}, "\"assistant\""},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"if", 1}}}}}, "\"if\""},
      {{{"messages", hi}, {"chat_template_kwargs", {{"message", 1}}}}, "\"message\""},
      {{{"messages", hi}, {"videos", {{"fps", 1}}}, {"videos_kwargs", {{"fps", 5}}}},
       "\"fps\" is given twice"},
      {{{"messages", hi}, {"images", {{"max_pixels", 5000}}}, {"images_kwargs", {{"max_pixels", 6000}}}},
       "\"max_pixels\" is given twice"},
      {{{"messages", {{{"role", "user"}, {"content", nullptr}}}}}, "content"},
      {{{"messages", {{{"role", "user"}, {"content", {{"type", "text"}}}}}}}, "content"},
      {{{"messages", {{{"role", 5}, {"content", "Hi"}}}}}, "role"},
      {{{"messages", {{{"role", "user"}, {"content", {5}}}}}}, "5"},
      {{{"messages", hi}, {"response_format", {{"type", "json_object"}}}}, "write \"structured\""},
      {{{"messages", hi}, {"max_token", 5}}, "did you mean \"max_tokens\""},
      {{{"messages", hi}, {"temperatur", 1}}, "did you mean \"temperature\""},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"image", picture()}}}}}, "\"image\" beside"},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"images", {picture()}}}}}}, "\"images\" beside"},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"video", clip()}}}}}, "\"video\" beside"},
      {{{"messages", {{{"role", "user"}, {"content", "Hi"}, {"text", "you"}}}}}, "\"text\" beside"},
      {Json("hi"), "list of messages"},
  };
  for (const auto& [request, told] : bad) {
    const std::string said = refusal(request);
    EXPECT_NE(said.find(told), std::string::npos) << request.dump() << ": " << said;
  }
}

TEST_F(Messages, TheFormOfTheModelCardIsRead) {
  VL3_NEED_SHARED(shared, "cases/vl3_model_card_request.json");
  Json request = parse_json(test::read_text(shared), "case");
  Json& path = request["conversations"][0][0]["content"][0]["video"]["video_path"];
  path = test::shared_path("cases/vfr.mkv").string();  // this clip is read by any build
  const ProcessorOutput out = process(request);
  ASSERT_EQ(out.videos.clips.size(), 1U);
  EXPECT_FALSE(out.videos.clips[0].frames.indices.empty());
}

}  // namespace
}  // namespace vl3
