// Every option of the picture processors, and masks on the edge of the threshold, against the project's own
// goldens.

#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "support/support.h"
#include "vl3/image_processor.h"
#include "vl3/safetensors.h"
#include "vl3/thread_pool.h"
#include "vl3/video_processor.h"

namespace vl3 {
namespace {

Image picture_of(const Json& golden) {
  Image image{golden["size"][0], golden["size"][1], {}, "RGB"};
  const std::string hex = golden["pixels"];
  for (size_t i = 0; i < hex.size(); i += 2) {
    image.rgb.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return image;
}

TEST(ImageProcessor, EveryOptionGivesWhatTheReferenceGives) {
  const Json golden = parse_json(test::read_text(test::data_path("processor/options.json")), "options.json");
  const Image image = picture_of(golden);
  ThreadPool threads(2);
  int settings = 0;
  for (const Json& row : golden["rows"]) {
    for (const auto& [backend, name] :
         {std::pair(ResizeBackend::kPil, "pil"), {ResizeBackend::kTorchvision, "torchvision"}}) {
      PixelOptions options;
      options.shortest_edge = 784;
      options.longest_edge = 2500;
      EXPECT_TRUE(options.merge(row["options"], "golden").empty());
      const ImageProcessor processor(options, backend);
      if (!row.contains(name)) {
        EXPECT_THROW(processor.preprocess(threads, std::span(&image, 1)), Error) << row["options"].dump();
        continue;
      }
      const Json& wanted = row[name];
      const ImageFeatures got = processor.preprocess(threads, std::span(&image, 1));
      ASSERT_EQ(got.pixel_values.shape(), wanted["shape"].get<Shape>()) << row["options"].dump();
      for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(got.image_grid_thw.data<int64_t>()[i], wanted["grid_thw"][i].get<int64_t>());
      double sum = 0, abs_sum = 0, weighted = 0;
      int64_t index = 0;
      for (const float value : got.pixel_values.span<float>()) {
        sum += value;
        abs_sum += std::abs(value);
        weighted += value * static_cast<double>(index++ % 97);
      }
      const double scale = wanted["abs_sum"];
      EXPECT_NEAR(sum, wanted["sum"].get<double>(), 1e-7 * scale) << row["options"].dump() << name;
      EXPECT_NEAR(abs_sum, scale, 1e-7 * scale) << row["options"].dump() << name;
      EXPECT_NEAR(weighted, wanted["weighted"].get<double>(), 1e-7 * 97 * scale)
          << row["options"].dump() << name;
      ++settings;
    }
  }
  std::printf("%d settings equal\n", settings);
}

// A clip whose frames lie in memory.
class FramesInMemory final : public VideoReader {
 public:
  explicit FramesInMemory(std::vector<Image> frames) : frames_(std::move(frames)) {
    info_.height = frames_[0].height;
    info_.width = frames_[0].width;
    info_.total_frames = static_cast<int64_t>(frames_.size());
  }
  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>&) override {
    for (size_t i = 0; i < indices.size(); ++i) sink(i, frames_[static_cast<size_t>(indices[i])]);
  }

 private:
  std::vector<Image> frames_;
};

TEST(VideoProcessor, MasksOnTheEdgeOfTheThresholdEqualTheReference) {
  const auto tensors = SafetensorsFile::open(test::data_path("processor/masks.safetensors"));
  const Json rows = parse_json(test::read_text(test::data_path("processor/masks.json")), "masks.json");
  ThreadPool threads(2);
  int64_t tokens = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    const Tensor frames = tensors.get(std::to_string(r) + ".frames"),
                 mask = tensors.get(std::to_string(r) + ".mask");
    std::vector<Image> images;
    for (int64_t i = 0; i < frames.dim(0); ++i) {
      const auto pixels = frames.rows(i, i + 1).span<uint8_t>();
      images.push_back({frames.dim(1), frames.dim(2), {pixels.begin(), pixels.end()}, "RGB"});
    }
    FramesInMemory reader(std::move(images));
    VideoOptions options;
    options.do_resize = false;
    options.merge_size = rows[r]["merge_size"];
    options.image_std.fill(rows[r]["image_std"]);
    const ClipInput clip{"frames", &reader, options};
    const VideoFeatures got = VideoProcessor().preprocess(threads, std::span(&clip, 1));
    const auto ours = got.video_compression_mask.span<uint8_t>(), theirs = mask.span<uint8_t>();
    EXPECT_EQ(std::vector<uint8_t>(ours.begin(), ours.end()),
              std::vector<uint8_t>(theirs.begin(), theirs.end()))
        << r;
    tokens += mask.numel();
  }
  std::printf("%lld tokens on the edge equal\n", static_cast<long long>(tokens));
}

// A clip that says it has more frames than come.
class ShorterThanSaid final : public VideoReader {
 public:
  ShorterThanSaid(int64_t said, int64_t there) : there_(there) {
    info_.height = info_.width = 56;
    info_.total_frames = said;
    info_.fps = 10;
  }
  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>&) override {
    const Image grey{56, 56, std::vector<uint8_t>(56 * 56 * 3, 100), "RGB"};
    for (size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] >= there_) {
        info_.total_frames = there_;
        throw ClipEnded("[clip] ends after " + std::to_string(there_) + " frames");
      }
      sink(i, grey);
    }
    if (skip_broken_) notes_ = {"[clip] 1 frame is concealed"};
  }

 private:
  int64_t there_;
};

TEST(VideoProcessor, AClipThatEndsEarlyIsSampledAgainFromWhatThereIs) {
  ThreadPool threads(1);
  ShorterThanSaid reader(80, 40);
  VideoOptions options;
  options.merge(Json{{"fps", 2}, {"skip_broken_frames", true}}, "test");
  const ClipInput clip{"clip", &reader, options};
  const VideoFeatures got = VideoProcessor().preprocess(threads, std::span(&clip, 1));
  const ClipReport& report = got.clips[0];
  EXPECT_EQ(report.info.total_frames, 40);
  EXPECT_EQ(report.frames.indices, (std::vector<int64_t>{0, 5, 10, 15, 20, 25, 30, 35}));
  EXPECT_EQ(got.video_grid_thw.data<int64_t>()[0], 8);
  ASSERT_EQ(report.notes.size(), 2U);
  EXPECT_NE(report.notes[0].find("ends after 40 frames"), std::string::npos);
  EXPECT_EQ(report.notes[1], "[clip] 1 frame is concealed");
  options.merge(Json{{"num_frames", 60}}, "test");  // no longer so many
  ShorterThanSaid again(80, 40);
  const ClipInput wanting{"clip", &again, options};
  EXPECT_THROW(VideoProcessor().preprocess(threads, std::span(&wanting, 1)), Error);
}

TEST(VideoProcessor, TimesAreChosenByName) {
  VideoOptions options;
  EXPECT_EQ(options.times, ClipTimes::kTimestamps);
  EXPECT_TRUE(options.merge(Json{{"times", "frames"}}, "test").empty());
  EXPECT_EQ(options.times, ClipTimes::kFrames);
  options.merge(Json{{"times", "timestamps"}}, "test");
  EXPECT_EQ(options.times, ClipTimes::kTimestamps);
  EXPECT_THROW(options.merge(Json{{"times", "seconds"}}, "test"), Error);
  VideoInfo info;
  info.total_frames = 4;
  info.fps = 4;
  info.times_s = {0, 0.1, 0.2, 1};
  info.duration_s = 1.1;
  EXPECT_EQ(sample_frames(info, options).timestamps, info.times_s);
  options.times = ClipTimes::kFrames;
  EXPECT_EQ(sample_frames(info, options).timestamps, (std::vector<double>{0, 0.25, 0.5, 0.75}));
}

TEST(VideoProcessor, FramesOfDifferentSizesAreRefused) {
  const auto grey = [](int64_t height, int64_t width) {
    return Image{height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3), 100), "RGB"};
  };
  ThreadPool threads(1);
  Image cut = grey(56, 56);
  cut.rgb.pop_back();
  for (const Image& second : {grey(56, 84), grey(84, 56), grey(560, 560), cut}) {
    FramesInMemory reader({grey(56, 56), second});
    const ClipInput clip{"frames", &reader, {}};
    EXPECT_THROW(VideoProcessor().preprocess(threads, std::span(&clip, 1)), Error);
  }
}

// What becomes of frames of one value each, options.temporal_patch_size of them in a patch.
VideoFeatures features_of(const std::vector<uint8_t>& values, int64_t height, int64_t width,
                          const VideoOptions& options) {
  std::vector<Image> frames;
  for (const uint8_t value : values)
    frames.push_back(
        {height, width, std::vector<uint8_t>(static_cast<size_t>(height * width * 3), value), "RGB"});
  ThreadPool threads(2);
  FramesInMemory reader(frames);
  const ClipInput clip{"frames", &reader, options};
  return VideoProcessor().preprocess(threads, std::span(&clip, 1));
}

VideoOptions patches_of(int64_t frames) {
  VideoOptions options;
  options.temporal_patch_size = frames;
  options.shortest_edge = 784;
  return options;
}

TEST(VideoProcessor, PatchesOfTwoFramesEachHoldBoth) {
  const VideoOptions options = patches_of(2);
  const VideoFeatures got = features_of({10, 20, 30, 40}, 56, 56, options);
  ASSERT_EQ(got.pixel_values_videos.shape(), (Shape{32, 1176}));
  EXPECT_EQ(VideoProcessor::get_num_of_video_patches(options, 4, 56, 56), 32);
  EXPECT_EQ(VideoProcessor::get_num_of_video_patches(options, 3, 56, 56), 32);
  const float* last = got.pixel_values_videos.rows(31, 32).data<float>();
  EXPECT_NEAR(last[0], 30 / 127.5 - 1, 1e-6);
  EXPECT_NEAR(last[196], 40 / 127.5 - 1, 1e-6);
  // The prompt cannot share 8 visual tokens out among 3 frames.
  EXPECT_THROW(features_of({10, 20, 30}, 56, 56, options), Error);
}

// Where the tokens do divide, a last patch that is not full holds its last frame again.
TEST(VideoProcessor, TheLastPatchRepeatsItsLastFrame) {
  const VideoFeatures got = features_of({10, 20, 30, 40}, 56, 84, patches_of(3));
  ASSERT_EQ(got.pixel_values_videos.shape(), (Shape{48, 1764}));
  const int values[2][3] = {{10, 20, 30}, {40, 40, 40}};
  for (int64_t row = 0; row < 48; ++row)
    for (int64_t i = 0; i < 1764; ++i)
      ASSERT_NEAR(got.pixel_values_videos.data<float>()[row * 1764 + i],
                  values[row / 24][i / 196 % 3] / 127.5 - 1, 1e-6)
          << row << " " << i;
}

}  // namespace
}  // namespace vl3
