// Clips against the reference's video processor: sampling, pixels, compression mask.

#include "vl3/video_processor.h"

#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "support/support.h"
#include "vl3/safetensors.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// Frames that lie in a tensor [T, H, W, 3], under the name of the clip they were taken from.
class StoredFrames final : public VideoReader {
 public:
  StoredFrames(Tensor frames, VideoInfo info, std::vector<int64_t> indices)
      : frames_(std::move(frames)), indices_(std::move(indices)) {
    info_ = std::move(info);
    info_.height = frames_.dim(1);
    info_.width = frames_.dim(2);
  }
  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>&) override {
    EXPECT_EQ(std::vector<int64_t>(indices.begin(), indices.end()), indices_);
    for (size_t i = 0; i < indices.size(); ++i) {
      const int64_t row = static_cast<int64_t>(i);
      const Tensor frame = frames_.rows(row, row + 1);
      sink(
          i,
          {info_.height, info_.width, {frame.data<uint8_t>(), frame.data<uint8_t>() + frame.numel()}, "RGB"});
    }
  }

 private:
  Tensor frames_;
  std::vector<int64_t> indices_;
};

VideoOptions checkpoint_options(const std::filesystem::path& shared, const Json& settings) {
  VideoOptions options = VideoProcessor::from_pretrained(shared / "tokenizer").options();
  EXPECT_TRUE(options.merge(settings, "settings").empty());
  return options;
}

void compare(const Json& row, const SafetensorsFile& tensors, VideoReader& reader,
             const VideoOptions& options, double bound) {
  const std::string key = row["key"];
  ThreadPool threads(2);
  const ClipInput clip{key, &reader, options};
  const VideoFeatures got = VideoProcessor().preprocess(threads, std::span(&clip, 1));
  EXPECT_EQ(got.clips[0].frames.indices, row["frames_indices"].get<std::vector<int64_t>>()) << key;
  EXPECT_EQ(got.clips[0].frames.timestamps, row["timestamps"].get<std::vector<double>>()) << key;
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(got.video_grid_thw.data<int64_t>()[i], row["grid_thw"][i].get<int64_t>()) << key;
  const Tensor mask = tensors.get(key + ".mask");
  ASSERT_EQ(got.video_compression_mask.numel(), mask.numel()) << key;
  int64_t differing = 0;
  for (int64_t i = 0; i < mask.numel(); ++i)
    differing += got.video_compression_mask.data<uint8_t>()[i] != mask.data<uint8_t>()[i];
  EXPECT_EQ(differing, 0) << key;
  const Tensor rows = tensors.get(key + ".rows");
  const std::vector<int64_t> picked = row["rows"];
  double largest = 0;
  for (size_t r = 0; r < picked.size(); ++r) {
    const float* ours = got.pixel_values_videos.rows(picked[r], picked[r] + 1).data<float>();
    for (int64_t i = 0; i < rows.dim(1); ++i) {
      largest = std::max(
          largest,
          std::abs(double{ours[i]} - double{rows.data<float>()[static_cast<int64_t>(r) * rows.dim(1) + i]}));
    }
  }
  EXPECT_LE(largest, bound) << key;
}

TEST(VideoProcessor, FromStoredFramesEqualsTheReference) {
  VL3_NEED_SHARED(goldens, "goldens");
  const SafetensorsFile tensors = SafetensorsFile::open(goldens / "videos.safetensors");
  int clips = 0;
  for (const Json& row : parse_json(test::read_text(goldens / "videos.json"), "videos.json")) {
    const std::string key = row["key"];
    if (!tensors.contains(key + ".frames")) continue;
    VideoInfo info;
    info.total_frames = row["total_num_frames"];
    info.fps = row["fps"].get<double>();
    StoredFrames frames(tensors.get(key + ".frames"), info, row["frames_indices"]);
    compare(row, tensors, frames, checkpoint_options(goldens.parent_path(), row["settings"]), 1e-6);
    ++clips;
  }
  std::printf("%d clips equal\n", clips);
}

TEST(VideoProcessor, FromFilesEqualsTheReference) {
  VL3_NEED_SHARED(goldens, "goldens");
  const SafetensorsFile tensors = SafetensorsFile::open(goldens / "videos.safetensors");
  int clips = 0;
  for (const Json& row : parse_json(test::read_text(goldens / "videos.json"), "videos.json")) {
    const std::string file = row["file"];
    if (file == "noise") continue;
    const auto reader = VideoReader::open(goldens.parent_path() / "media" / file);
    EXPECT_EQ(reader->info().total_frames, row["total_num_frames"].get<int64_t>()) << file;
    EXPECT_EQ(*reader->info().fps, row["fps"].get<double>()) << file;
    compare(row, tensors, *reader, checkpoint_options(goldens.parent_path(), row["settings"]), 1e-6);
    ++clips;
  }
  std::printf("%d clips equal\n", clips);
}

TEST(FrameSampling, SettingsThatContradictAreRefused) {
  VideoInfo info;
  info.total_frames = 100;
  info.fps = 25.0;
  EXPECT_EQ(sample_frames(info, FrameSampling{.fps = 1.0}).indices, (std::vector<int64_t>{0, 25, 50, 75}));
  EXPECT_EQ(sample_frames(info, FrameSampling{}).indices.size(), 100U);
  EXPECT_EQ(
      sample_frames(info, FrameSampling{.fps = 1.0, .min_frames = 1, .start_time = 1.0, .end_time = 3.0})
          .indices,
      (std::vector<int64_t>{25, 50}));
  EXPECT_THROW(sample_frames(info, FrameSampling{.fps = 1.0, .num_frames = 3}), Error);
  EXPECT_THROW(sample_frames(info, FrameSampling{.fps = 0.0}), Error);
  EXPECT_THROW(sample_frames(info, FrameSampling{.num_frames = 101}), Error);
  EXPECT_THROW(sample_frames(info, FrameSampling{.start_time = 4.5}), Error);
  EXPECT_THROW(sample_frames(info, FrameSampling{.start_time = 2.0, .end_time = 1.0}), Error);
}

TEST(CompressionMask, KeepsTheFirstFrameWhatChangesAndOneTokenOfEveryFrame) {
  Tensor patches =
      Tensor::zeros({3 * 8, 12}, DType::kF32);  // three frames of 2 x 4 patches, merged by 2: two tokens each
  patches.mutable_data<float>()[(8 + 4) * 12] =
      1.0f;  // the second token of the second frame changes, and back
  EXPECT_EQ(compression_mask(patches, 3, 2, 4, 2), (std::vector<uint8_t>{1, 1, 0, 1, 0, 1}));
  patches.mutable_data<float>()[(8 + 4) * 12] = 0.0f;
  EXPECT_EQ(compression_mask(patches, 3, 2, 4, 2), (std::vector<uint8_t>{1, 1, 1, 0, 1, 0}));
}

}  // namespace
}  // namespace vl3
