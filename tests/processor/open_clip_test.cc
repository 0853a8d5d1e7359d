// How a clip is opened, and what its report says of it.

#include "processor/open_clip.h"

#include "base/json.h"
#include "support/support.h"
#include "vl3/processor.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

fs::path picture() { return test::data_path("../../examples/media/shapes.png"); }
fs::path clip() { return test::data_path("../../examples/media/moving.mp4"); }

VideoOptions options_of(const Json& json) {
  VideoOptions options;
  EXPECT_TRUE(options.merge(json, "test").empty());
  return options;
}

// The example clip, whose container now asks for a quarter to the right.
void write_lying_clip(const fs::path& path) {
  std::string movie = test::read_text(clip());
  const size_t at = movie.find("tkhd") + 44;
  const std::string one("\0\1\0\0", 4), minus_one("\xff\xff\0\0", 4), zero(4, '\0');
  movie.replace(at, 20, zero + one + zero + minus_one + zero);
  test::write_text(path, movie);
}

TEST(OpenClip, OptionsSayHow) {
  EXPECT_FALSE(options_of(Json::object()).rotate);
  EXPECT_TRUE(options_of({{"rotate", "auto"}}).rotate);
  EXPECT_FALSE(options_of({{"rotate", "off"}}).rotate);
  EXPECT_EQ(options_of({{"pictures_rate", 12.5}}).pictures_rate, 12.5);
  for (const Json& wrong : {Json{{"rotate", "left"}}, Json{{"pictures_rate", 0}}, Json{{"pictures_rate", -1}},
                            Json{{"pictures_rate", 1e9}}}) {
    EXPECT_THROW(options_of(wrong), Error) << wrong.dump();
  }
}

TEST(OpenClip, AnimatedPicturesAreClipsAndStillOnesOneFrame) {
  const auto frames = [](const fs::path& path) {
    return open_clip({path}, {}, options_of(Json::object()))->info().total_frames;
  };
  EXPECT_EQ(frames(test::data_path("media/formats/animated.png")), 3);
  EXPECT_EQ(frames(test::data_path("media/formats/animated.webp")), 4);
  EXPECT_EQ(frames(test::data_path("media/pictures/gif_animated_mixed.gif")) > 1, true);
  EXPECT_EQ(frames(test::data_path("media/pictures/webp_lossy.webp")), 1);
  EXPECT_EQ(frames(picture()), 1);
  EXPECT_EQ(frames(test::data_path("media/formats/animated.avif")), 4);
  // Cut within the chunk that would say so: a picture, and a broken one.
  const test::TemporaryFolder folder;
  test::write_text(folder / "cut.png",
                   test::read_text(test::data_path("media/formats/animated.png")).substr(0, 38));
  EXPECT_THROW(frames(folder / "cut.png"), Error);
}

TEST(OpenClip, OfSeveralPicturesInAFileTheFirstIsLookedAt) {
  const MediaSource pages(test::data_path("media/pictures/tiff_pages.tif"));
  const auto reader = open_clip({pages}, {}, options_of(Json::object()));
  EXPECT_EQ(reader->info().total_frames, 1);
  const auto notes = clip_notes(pages.name(), *reader, options_of(Json::object()));
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("the first one alone"), std::string::npos) << notes[0];
  EXPECT_TRUE(clip_notes("one", *open_clip({picture()}, {}, options_of(Json::object())), {}).empty());
}

TEST(OpenClip, RowsOfJpegsAreClips) {
  const test::TemporaryFolder folder;
  const auto frames = [&](const std::string& bytes) {
    test::write_text(folder / "row", bytes);
    const fs::path path = folder / "row";
    const int64_t in_file = open_clip({path}, {}, options_of(Json::object()))->info().total_frames;
    const int64_t in_memory =
        open_clip({MediaSource::bytes(bytes, "row")}, {}, options_of(Json::object()))->info().total_frames;
    EXPECT_EQ(in_file, in_memory);
    return in_file;
  };
  const std::string one = test::read_text(test::data_path("media/pictures/jpeg_420.jpg")),
                    progressive = test::read_text(test::data_path("media/pictures/jpeg_420p.jpg"));
  EXPECT_EQ(frames(one), 1);
  EXPECT_EQ(frames(one + one + one), 3);
  EXPECT_EQ(frames(progressive + progressive), 2);
  EXPECT_EQ(frames(one + std::string("\0\0\0\x18"
                                     "ftypmp42",
                                     12)),
            1);  // a phone's moving picture
  // Filled up in front of a marker; cut off in the middle; two versions of one picture.
  EXPECT_EQ(frames("\xff\xd8\xff" + one.substr(2) + one), 2);
  EXPECT_THROW(frames(one.substr(0, one.size() / 2) + one), Error);
  EXPECT_EQ(frames(one.substr(0, 2) + std::string("\xff\xe2\0\x08MPF\0\0\0", 10) + one.substr(2) + one), 1);
  const auto reader =
      open_clip({MediaSource::bytes(one + progressive + one, "row")}, {}, options_of(Json::object()));
  EXPECT_EQ(reader->info().fps, 25.0);
  std::vector<std::vector<uint8_t>> seen;
  reader->read(std::vector<int64_t>{0, 1, 2}, [&](size_t, const Image& frame) {
    seen.emplace_back(frame.pixels().begin(), frame.pixels().end());
  });
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0], seen[2]);
}

TEST(OpenClip, PicturesHaveTheRateThatIsGiven) {
  const auto reader = open_clip({picture(), picture(), picture()}, {}, options_of({{"pictures_rate", 4}}));
  const SampledFrames frames = sample_frames(reader->info(), FrameSampling{});
  EXPECT_FALSE(frames.fps_assumed);
  EXPECT_EQ(frames.timestamps, (std::vector<double>{0, 0.25, 0.5}));
}

TEST(OpenClip, NotesAreInReportsAndPlans) {
  const test::TemporaryFolder folder;
  write_lying_clip(folder / "lying.mp4");
  fs::create_directory(folder / "frames");
  fs::copy_file(picture(), folder / "frames/a.png");
  test::write_text(folder / "frames/Thumbs.db", "x");
  const Processor processor = Processor::from_pretrained(test::data_path("../../models/tiny"));
  const std::string lying = (folder / "lying.mp4").string();
  const Json content = {
      {{"type", "video"}, {"video", lying}, {"num_frames", 4}},
      {{"type", "video"}, {"video", lying}, {"num_frames", 4}, {"rotate", "auto"}},
      {{"type", "video"}, {"video", (folder / "frames").string()}},
      {{"type", "video"}, {"video", clip().string()}, {"num_frames", 4}, {"pictures_rate", 5}},
      {{"type", "video"}, {"video", clip().string()}, {"num_frames", 4}}};
  const ProcessorRequest request =
      processor.request_for(Json::array({{{"role", "user"}, {"content", content}}}));
  ThreadPool threads(2);
  const std::vector<MediaPlan> plans = processor.plan(request);
  const std::vector<ClipReport> reports = processor.process(threads, request).videos.clips;
  const char* const words[] = {"as stored", "as its container says", "Thumbs.db", "rate of its own", nullptr};
  ASSERT_EQ(plans.size(), 5U);
  ASSERT_EQ(reports.size(), 5U);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(plans[i].notes, reports[i].notes);
    EXPECT_EQ(to_json(reports)[i]["notes"], Json(reports[i].notes));
    ASSERT_EQ(reports[i].notes.size(), words[i] != nullptr ? 1U : 0U) << i;
    if (words[i] != nullptr) {
      EXPECT_NE(reports[i].notes[0].find(words[i]), std::string::npos) << reports[i].notes[0];
    }
  }
  EXPECT_EQ(reports[0].info.width, 224);
  EXPECT_EQ(reports[1].info.width, 168);
  EXPECT_EQ(plans[1].width, 168);
  EXPECT_EQ(plans[1].tokens, reports[1].tokens_per_frame * 4);
}

}  // namespace
}  // namespace vl3
