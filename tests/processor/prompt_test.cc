// Placeholders become ids, and these are those of the prompt with every token spelt out.

#include "processor/prompt.h"

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/processor.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

class Prompts : public ::testing::Test {
 protected:
  Placeholders placeholders(std::vector<Replacement> images, std::vector<Replacement> videos) const {
    return {tokens_,
            *tokenizer_.token_to_id(tokens_.image),
            *tokenizer_.token_to_id(tokens_.video),
            std::move(images),
            std::move(videos),
            {}};
  }

  const Tokenizer tokenizer_ = Tokenizer::from_pretrained(test::data_path("../../models/tiny"));
  const MediaTokens tokens_ = {};
};

TEST_F(Prompts, IdsAreThoseOfTheSpeltOutText) {
  const std::string image = tokens_.image, video = tokens_.video;
  const std::vector<ChatTemplate::Piece> texts[] = {
      {{"<|im_start|>user\n" + image + "\n", false},
       {"what is it?", true},
       {"<|im_end|>" + video + "!", false}},
      {{"a" + image + "b" + video + "c", false}},
      {{image + video, false}},
      {{"Time is up: ", true}, {video, false}, {" 1.0s,", true}, {image, false}},
      {{"<|image_pad|> typed ", true}, {image + " " + video, false}, {"<|video_pad|>", true}}};
  int compared = 0;
  for (const auto& pieces : texts) {
    for (const bool too : {false, true}) {
      if (too && pieces[0].from_message && pieces[0].text.starts_with(image)) continue;  // two more of them
      const Placeholders given = placeholders({{{"", 3}}}, {clip_runs({0, 1.25, 2.55}, {2, 0, 4})});
      PromptOptions options;
      options.messages_too = too;
      options.with_text = true;
      const ExpandedPrompt prompt = expand_prompt(tokenizer_, pieces, given, options);
      EXPECT_NE(prompt.text.find("Time 0.0s:" + video + video + ",Time 1.2s:,Time 2.5s:"), std::string::npos)
          << prompt.text;
      std::vector<TextSpan> spans;
      std::vector<std::string> spelt;
      for (const auto& piece : pieces) {
        std::string text = piece.text;
        const auto put = [&](const std::string& token, const std::string& by) {
          const size_t at = text.find(token);
          if (at != std::string::npos && !piece.from_message) text.replace(at, token.size(), by);
        };
        put(video, "Time 0.0s:" + video + video + ",Time 1.2s:,Time 2.5s:" + video + video + video + video);
        const size_t at = text.find(image);
        if (at != std::string::npos && !piece.from_message)
          text.replace(at, image.size(), image + image + image);
        spelt.push_back(text);
      }
      for (size_t i = 0; i < spelt.size(); ++i) spans.push_back({spelt[i], too || !pieces[i].from_message});
      EXPECT_EQ(prompt.ids, tokenizer_.encode(spans));
      EXPECT_EQ(prompt.labels, std::vector<int64_t>(prompt.ids.size(), -100));
      options.with_text = false;
      EXPECT_EQ(expand_prompt(tokenizer_, pieces, given, options).text, "");
      ++compared;
    }
  }
  EXPECT_EQ(compared, 9);
}

TEST_F(Prompts, TheModelsIdsStandForThem) {
  Placeholders given = placeholders({{{"", 2}}}, {});
  given.image_id = 77;
  const ExpandedPrompt prompt = expand_prompt(tokenizer_, {{tokens_.image, false}}, given);
  EXPECT_EQ(prompt.ids, (std::vector<int64_t>{77, 77}));
}

TEST_F(Prompts, OneTokenForBothKindsGoesByTheirOrder) {
  Placeholders given = placeholders({{{"", 2}}, {{"", 1}}}, {clip_runs({0}, {3})});
  given.tokens.video = given.tokens.image;
  given.video_id = 99;
  given.is_video = {false, true, false};
  const int64_t image = given.image_id;
  const ExpandedPrompt prompt = expand_prompt(
      tokenizer_, {{tokens_.image + tokens_.image + tokens_.image, false}}, given, {.with_text = true});
  std::vector<int64_t> visual;
  for (const int64_t id : prompt.ids) {
    if (id == image || id == 99) visual.push_back(id);
  }
  EXPECT_EQ(visual, (std::vector<int64_t>{image, image, 99, 99, 99, image}));
  EXPECT_TRUE(prompt.text.find("Time 0.0s:") != std::string::npos);
}

TEST_F(Prompts, CountsThatDisagreeAreRefused) {
  const auto refused = [&](const std::string& text, const Placeholders& given, ErrorCode code) {
    try {
      expand_prompt(tokenizer_, {{text, false}}, given);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  };
  refused("none", placeholders({{{"", 1}}}, {}), ErrorCode::kInvalidArgument);
  refused(tokens_.image + tokens_.image, placeholders({{{"", 1}}}, {}), ErrorCode::kInvalidArgument);
  refused(tokens_.video, placeholders({{{"", 1}}}, {}), ErrorCode::kInvalidArgument);
  // A placeholder that the tokenizer takes apart.
  Placeholders odd = placeholders({{{"", 1}}}, {});
  odd.tokens.image = "a b";
  refused("a b", odd, ErrorCode::kFormat);
}

TEST_F(Prompts, AnswersAreLabelledWithWhatTheyShow) {
  PromptOptions options;
  options.answers = {{2, 4 + tokens_.image.size()}};
  const ExpandedPrompt prompt = expand_prompt(tokenizer_, {{"ab" + ("cd" + tokens_.image) + "e", false}},
                                              placeholders({{{"", 2}}}, {}), options);
  int64_t labelled = 0;
  for (size_t i = 0; i < prompt.ids.size(); ++i) {
    EXPECT_TRUE(prompt.labels[i] == -100 || prompt.labels[i] == prompt.ids[i]);
    labelled += prompt.labels[i] == placeholders({}, {}).image_id;
  }
  EXPECT_EQ(labelled, 2);
}

TEST(Processor, BytesAndFramesStandInARequest) {
  const Processor processor = Processor::from_pretrained(test::data_path("../../models/tiny"));
  const auto media = test::data_path("../../examples/media");
  ThreadPool threads(1);
  const auto ask = [](const Json& part) {
    return Json::array(
        {{{"role", "user"}, {"content", Json::array({part, {{"type", "text"}, {"text", "?"}}})}}});
  };
  const auto shown = [&](const ProcessorRequest& request) {
    const ProcessorOutput out = processor.process(threads, request);
    const Tensor& pixels =
        out.images.pixel_values.defined() ? out.images.pixel_values : out.videos.pixel_values_videos;
    const auto values = pixels.span<float>();
    return std::pair(out.ids, std::vector<float>(values.begin(), values.end()));
  };
  const Image picture = read_image(media / "shapes.png");
  const auto wanted =
      shown(processor.request_for(ask({{"type", "image"}, {"image", (media / "shapes.png").string()}})));
  for (const MediaSource& source : {MediaSource::bytes(test::read_text(media / "shapes.png"), "a picture"),
                                    MediaSource::frames({picture})}) {
    ProcessorRequest request = processor.request_for(ask({{"type", "image"}, {"image", "photo"}}));
    request.media.emplace("photo", source);
    EXPECT_EQ(shown(request), wanted);
  }
  const auto reader = VideoReader::open(media / "moving.mp4");
  std::vector<Image> frames;
  std::vector<int64_t> all;
  for (int64_t i = 0; i < reader->info().total_frames; ++i) all.push_back(i);
  reader->read(all, [&](size_t, const Image& frame) { frames.push_back(frame); });
  std::vector<double> times;
  for (const int64_t i : all) times.push_back(static_cast<double>(i) / *reader->info().fps);
  const auto clip = shown(processor.request_for(
      ask({{"type", "video"}, {"video", (media / "moving.mp4").string()}, {"fps", 2}})));
  for (const MediaSource& source : {MediaSource::bytes(test::read_text(media / "moving.mp4"), "a clip"),
                                    MediaSource::frames(frames, times)}) {
    ProcessorRequest request = processor.request_for(ask({{"type", "video"}, {"video", "clip"}, {"fps", 2}}));
    request.media.emplace("clip", source);
    EXPECT_EQ(shown(request), clip);
    EXPECT_EQ(processor.plan(request)[0].patches * 588, static_cast<int64_t>(clip.second.size()));
  }
  // One picture after the other, each a source of its own.
  ProcessorRequest list = processor.request_for(ask({{"type", "video"}, {"video", {"a", "b"}}}));
  list.media.emplace("a", MediaSource::frames({frames[0]}));
  list.media.emplace("b", MediaSource::frames({frames[1]}));
  ProcessorRequest both = processor.request_for(ask({{"type", "video"}, {"video", "ab"}}));
  both.media.emplace("ab", MediaSource::frames({frames[0], frames[1]}));
  EXPECT_EQ(shown(list), shown(both));
}

// An original checkpoint has one id for both, whatever the tokenizer's own tokens for them are.
TEST(Processor, PromptsHoldTheModelsIds) {
  const test::TemporaryFolder folder;
  const auto tiny = test::data_path("../../models/tiny");
  for (const auto& entry : std::filesystem::directory_iterator(tiny)) {
    if (entry.path().extension() != ".safetensors")
      std::filesystem::copy_file(entry.path(), folder / entry.path().filename().string());
  }
  const auto ids_with = [&](const Json& config) {
    test::write_text(folder / "config.json", config.dump());
    const Processor processor = Processor::from_pretrained(folder.path());
    return std::pair(processor.image_token_id(), processor.video_token_id());
  };
  const Processor own = Processor::from_pretrained(tiny);
  const std::pair tokens(*own.tokenizer().token_to_id("<|image_pad|>"),
                         *own.tokenizer().token_to_id("<|video_pad|>"));
  EXPECT_EQ(std::pair(own.image_token_id(), own.video_token_id()), tokens);
  EXPECT_EQ(ids_with({{"image_token_index", 500}}), std::pair(int64_t{500}, int64_t{500}));
  EXPECT_EQ(ids_with({{"image_token_id", 7}}), std::pair(int64_t{7}, int64_t{151656}));
  EXPECT_EQ(ids_with({{"model_type", "qwen2"}}), tokens);
  std::filesystem::remove(folder / "config.json");
  EXPECT_EQ(Processor::from_pretrained(folder.path()).image_token_id(), tokens.first);
  EXPECT_THROW(ids_with({{"image_token_index", "x"}}), Error);
  EXPECT_THROW(ids_with({{"image_token_index", -1}}), Error);
  ids_with({{"image_token_index", 500}});
  const Processor original = Processor::from_pretrained(folder.path());
  const auto media = test::data_path("../../examples/media");
  const Json content =
      Json::array({{{"type", "video"}, {"video", (media / "moving.mp4").string()}, {"fps", 1}}});
  const Json messages = Json::array({{{"role", "user"}, {"content", content}}});
  ThreadPool threads(1);
  std::vector<int64_t> expected = own.process(threads, own.request_for(messages)).ids[0];
  std::replace(expected.begin(), expected.end(), tokens.second, int64_t{500});
  EXPECT_EQ(original.process(threads, original.request_for(messages)).ids[0], expected);
}

TEST(Processor, MediaThatNobodyShowsOrThatAreNoPictureAreRefused) {
  const Processor processor = Processor::from_pretrained(test::data_path("../../models/tiny"));
  const Image frame{28, 28, std::vector<uint8_t>(28 * 28 * 3, 9), "RGB"};
  const auto refused = [&](const Json& content, const MediaSource& source, const std::string& word) {
    ProcessorRequest request = processor.request_for(Json::array({{{"role", "user"}, {"content", content}}}));
    request.media.emplace("it", source);
    try {
      processor.plan(request);
      ADD_FAILURE() << word;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  refused("text", MediaSource::frames({frame}), "\"it\" is given and no message shows it");
  refused(Json::array({{{"type", "image"}, {"image", "it"}}}), MediaSource::frames({frame, frame}),
          "2 frames");
  refused(Json::array({{{"type", "image"}, {"image", "it"}}}), MediaSource::bytes("no picture", "odd"),
          "[odd]");
  refused(Json::array({{{"type", "video"}, {"video", {"it", "it"}}}}), MediaSource::frames({frame, frame}),
          "2 frames");
}

}  // namespace
}  // namespace vl3
