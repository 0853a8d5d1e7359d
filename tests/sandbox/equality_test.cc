// What a sandboxed decoder gives is what decoding here gives: pixels, facts, notes and errors.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "processor/open_clip.h"
#include "sandbox/sandboxed_decoder.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/processor.h"
#include "vl3/thread_pool.h"

namespace vl3::sandbox {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<SandboxedDecoder> new_decoder() {
  SandboxOptions options;
  options.command = {"/proc/self/exe", "decode-worker"};
  options.answer_timeout = options.total_timeout = std::chrono::hours(1);  // also of a slow machine
  return std::make_shared<SandboxedDecoder>(options);
}

// What f gives, or how it is refused.
template <class F>
std::string told(F f) {
  try {
    return f();
  } catch (const Error& error) {
    return std::string(to_string(error.code())) + ": " + error.what();
  }
}

std::string words_of(const ImageInfo& info) {
  return fmt::format("{} x {} {} {} orientation {} frames {}", info.width, info.height,
                     to_string(info.format), info.mode, info.orientation, info.frames);
}
std::string words_of(const Image& image) {
  return fmt::format("{} x {} {} ", image.width, image.height, image.mode) +
         std::string(image.rgb.begin(), image.rgb.end());
}

std::vector<fs::path> files_in(const char* folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(test::data_path("media") / folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(SandboxEquality, Pictures) {
  const auto decoder = new_decoder();
  size_t decoded = 0;
  for (const char* folder : {"pictures", "more_pictures"}) {
    for (const fs::path& path : files_in(folder)) {
      const std::string bytes = test::read_text(path);
      if (bytes.empty()) continue;
      const auto span = std::as_bytes(std::span(bytes));
      const MediaSource source = MediaSource::bytes(bytes, "picture");
      EXPECT_EQ(told([&] { return words_of(decoder->probe_picture(source, {})); }),
                told([&] { return words_of(probe_image(span, {}, "picture")); }))
          << path;
      const auto there = told([&] {
        Image image;
        decoder->decode_picture(source, {}, &image, nullptr);
        ++decoded;
        return words_of(image);
      });
      EXPECT_TRUE(there == told([&] { return words_of(decode_image(span, {}, "picture")); }))
          << path << ": " << there.substr(0, 100);
    }
  }
  EXPECT_GT(decoded, 100u);
}

TEST(SandboxEquality, RowsComeAsTheyAreDecoded) {
  const auto decoder = new_decoder();
  const MediaSource file(test::data_path("../../examples/media/shapes.png"));
  Image here, there;
  std::vector<int64_t> rows_here, rows_there;
  read_image(file.path(), {}, true, &here, [&](int64_t rows) { rows_here.push_back(rows); });
  decoder->decode_picture(file, {}, &there, [&](int64_t rows) {
    rows_there.push_back(rows);
    const auto bytes = static_cast<ptrdiff_t>(rows * there.width * 3);
    EXPECT_TRUE(std::equal(there.rgb.begin(), there.rgb.begin() + bytes, here.rgb.begin()));
  });
  EXPECT_EQ(rows_there, rows_here);
  EXPECT_EQ(there.rgb, here.rgb);
}

std::string words_of(const VideoReader& reader) {
  const VideoInfo& info = reader.info();
  std::string words = fmt::format("{} x {} turn {} {} upright {} frames {} fps {} s {} {}\n", info.width,
                                  info.height, info.turn.mirrored, info.turn.quarters, info.upright,
                                  info.total_frames, info.fps.value_or(-1), info.duration_s, info.format);
  for (const double time_s : info.times_s) words += fmt::format("{} ", time_s);
  for (const std::string& note : reader.notes()) words += note + "\n";
  return words + fmt::format("decoded {}", reader.frames_decoded());
}

// Opened, read in whole and in part, with damage refused and passed over.
void expect_same_clip(SandboxedDecoder& decoder, const std::vector<MediaSource>& sources, bool upright,
                      const std::string& what, const std::vector<int64_t>& picked = {}) {
  VideoOptions options;
  options.rotate = upright;
  std::unique_ptr<VideoReader> here, there;
  const std::string opened_here = told([&] {
    here = open_clip(sources, {}, options);
    return words_of(*here);
  });
  const std::string opened_there = told([&] {
    there = decoder.open_clip(sources, {}, upright, {});
    return words_of(*there);
  });
  ASSERT_EQ(opened_there, opened_here) << what;
  if (here == nullptr) return;
  std::vector<int64_t> all;
  for (int64_t i = 0; i < here->info().total_frames; ++i) all.push_back(i);
  const auto read = [](VideoReader& reader, const std::vector<int64_t>& indices, bool skip) {
    std::string frames;
    reader.skip_broken_frames(skip);
    const std::string end = told([&] {
      reader.read(indices,
                  [&](size_t i, const Image& frame) { frames += fmt::format("{}: ", i) + words_of(frame); });
      return std::string("read");
    });
    return frames + end + words_of(reader);
  };
  std::vector<std::vector<int64_t>> readings = {picked};
  if (picked.empty()) readings = {all, {0, all.back(), all.back()}};
  for (const bool skip : {false, true}) {
    for (const auto& indices : readings)
      EXPECT_TRUE(read(*there, indices, skip) == read(*here, indices, skip))
          << what << (skip ? ", broken passed" : "");
  }
}

TEST(SandboxEquality, ClipsOfManyFormats) {
  const auto decoder = new_decoder();
  for (const fs::path& path : files_in("formats"))
    expect_same_clip(*decoder, {MediaSource(path)}, false, path.string());
  for (const char* name : {"moving.mp4", "shapes.png"}) {
    const fs::path path = test::data_path("../../examples/media") / name;
    if (fs::exists(path)) expect_same_clip(*decoder, {MediaSource(path)}, true, name);
  }
}

TEST(SandboxEquality, FramesArePickedByLeaps) {
  const auto decoder = new_decoder();
  for (const char* name : {"long_h264.mp4", "long_open_gop.mkv", "long_uneven.mp4"}) {
    const fs::path path = test::data_path("media") / name;
    const int64_t frames = VideoReader::open(path)->info().total_frames;
    expect_same_clip(*decoder, {MediaSource::bytes(test::read_text(path), "clip")}, false, name,
                     {0, frames / 3, frames / 3, frames / 2, frames - 1});
  }
}

TEST(SandboxEquality, DamagedClips) {
  const auto decoder = new_decoder();
  const std::string whole = test::read_text(test::data_path("../../examples/media/moving.mp4"));
  std::string broken = whole;
  for (size_t i = broken.size() / 2; i < broken.size() / 2 + 400; ++i) broken[i] = static_cast<char>(i * 31);
  for (const std::string& bytes :
       {whole.substr(0, 400), whole.substr(0, whole.size() * 2 / 3), broken, std::string("x")})
    expect_same_clip(*decoder, {MediaSource::bytes(bytes, "clip")}, false,
                     fmt::format("{} bytes", bytes.size()));
  const std::string nut = test::read_text(test::data_path("media/formats/interlaced.ts"));
  expect_same_clip(*decoder, {MediaSource::bytes(nut.substr(0, nut.size() / 2), "clip")}, false,
                   "half of a stream");
}

TEST(SandboxEquality, PicturesThatAreFrames) {
  const auto decoder = new_decoder();
  const fs::path folder = test::data_path("media/pictures");
  std::vector<MediaSource> frames;
  for (const char* name : {"bmp_RGB.bmp", "bmp_P.bmp", "bmp_L.bmp"}) {
    frames.push_back(MediaSource::bytes(test::read_text(folder / name), name));
    frames.push_back(MediaSource(folder / name));
  }
  expect_same_clip(*decoder, frames, false, "frames");
  frames.push_back(MediaSource::bytes("no picture", "none"));
  expect_same_clip(*decoder, frames, false, "frames and none");
}

// Through all of the processor, where sources say who decodes them.
TEST(SandboxEquality, Requests) {
  const auto decoder = new_decoder();
  const Processor processor = Processor::from_pretrained(test::data_path("../../models/tiny"));
  const fs::path media = test::data_path("../../examples/media");
  Json messages = Json::array();
  messages.push_back({{"role", "user"},
                      {"content", Json::array({{{"type", "image"}, {"image", "a"}},
                                               {{"type", "video"}, {"video", "b"}, {"fps", 2}},
                                               {{"type", "text"}, {"text", "what?"}}})}});
  const auto run = [&](std::shared_ptr<MediaDecoder> by) {
    ProcessorRequest request = processor.request_for(messages);
    const fs::path picture = test::data_path("media/pictures/bmp_RGB.bmp");
    request.media.emplace("a", MediaSource::bytes(test::read_text(picture), "a").decoded_by(by));
    request.media.emplace("b", MediaSource(media / "moving.mp4").decoded_by(by));
    ThreadPool threads(2);
    return processor.process(threads, request);
  };
  const ProcessorOutput here = run(nullptr), there = run(decoder);
  EXPECT_EQ(there.ids, here.ids);
  const auto same = [](const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
  };
  EXPECT_TRUE(same(there.images.pixel_values, here.images.pixel_values));
  EXPECT_TRUE(same(there.videos.pixel_values_videos, here.videos.pixel_values_videos));
  EXPECT_EQ(to_json(there.videos.clips), to_json(here.videos.clips));
  EXPECT_GE(decoder->stats().jobs, 3);
}

}  // namespace
}  // namespace vl3::sandbox
