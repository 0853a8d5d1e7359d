// Pictures decoded and resized several at a time against the same ones by one thread, one after the other.
#include "processor/process_pictures.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr ResizeBackend kBackend = ResizeBackend::kTorchvision;

Image noise(int64_t height, int64_t width) {
  Image image{height, width, {}, "RGB"};
  uint32_t state = static_cast<uint32_t>(height * 1000 + width);
  for (int64_t i = 0; i < height * width * 3; ++i) {
    state = state * 1664525 + 1013904223;
    image.rgb.push_back(static_cast<uint8_t>(state >> 24));
  }
  return image;
}

// A picture whose rows come a few at a time, each overwritten with what it is not until it is told of.
PictureInput slow_input(const Image& picture, int64_t step) {
  const auto decode = [&picture, step](Image* target, const RowsReady& ready) {
    *target = {picture.height, picture.width, std::vector<uint8_t>(picture.rgb.size(), 0xcc), "RGB"};
    const int64_t row = picture.width * 3;
    for (int64_t y = 0; y < picture.height; y += step) {
      const int64_t end = std::min(y + step, picture.height);
      std::copy(picture.rgb.begin() + y * row, picture.rgb.begin() + end * row,
                target->rgb.begin() + y * row);
      ready(end);
      std::this_thread::yield();
    }
  };
  return {"slow", {picture.height, picture.width}, nullptr, decode};
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

TEST(ProcessPictures, EqualsOneAfterTheOther) {
  // Made smaller, larger, in one direction only, left as they are, and of one band.
  std::vector<Image> pictures;
  for (const auto& [height, width] :
       {std::pair(1000, 1700), {30, 41}, {300, 280}, {280, 301}, {280, 280}, {14, 900}})
    pictures.push_back(noise(height, width));
  for (const int64_t merge : {1, 2}) {
    PixelOptions options;
    options.merge_size = merge;
    options.temporal_patch_size = merge;
    ThreadPool one(1);
    std::vector<PictureInput> inputs, slow;
    std::vector<float> expected;
    for (const Image& picture : pictures) {
      inputs.push_back(picture_input(picture));
      const Tensor alone = process_pictures(one, options, kBackend, {picture_input(picture)}).pixel_values;
      expected.insert(expected.end(), alone.data<float>(), alone.data<float>() + alone.numel());
    }
    for (const int count : {1, 2, 5}) {
      ThreadPool threads(count);
      const ImageFeatures together = process_pictures(threads, options, kBackend, inputs);
      ASSERT_EQ(together.pixel_values.numel(), static_cast<int64_t>(expected.size()));
      EXPECT_EQ(std::memcmp(together.pixel_values.raw(), expected.data(), together.pixel_values.bytes()), 0);
      for (const int64_t step : {1, 37, 100000}) {
        slow.clear();
        for (const Image& picture : pictures) slow.push_back(slow_input(picture, step));
        EXPECT_TRUE(
            same(process_pictures(threads, options, kBackend, slow).pixel_values, together.pixel_values));
      }
    }
  }
}

TEST(ProcessPictures, ReadsFilesAsItReadsTheirBytes) {
  const auto folder = test::data_path("media/pictures");
  ThreadPool threads(2);
  std::vector<PictureInput> files, bytes;
  std::vector<Image> pictures;
  std::vector<std::string> texts;
  const char* names[] = {"jpeg_420.jpg", "jpeg_orientation6.jpg", "webp_lossy.webp", "png_rgb.png",
                         "gif_local.gif"};
  for (const char* name : names) texts.push_back(test::read_text(folder / name));
  const MediaLimits limits;
  OpenMedia opened;
  for (size_t i = 0; i < std::size(names); ++i) {
    files.push_back(picture_input(opened.picture(folder / names[i], limits), limits));
    bytes.push_back(picture_input(opened.picture(MediaSource::bytes(texts[i], names[i]), limits), limits));
    pictures.push_back(read_image(folder / names[i]));
  }
  const Tensor expected = ImageProcessorFast().preprocess(threads, pictures).pixel_values;
  EXPECT_TRUE(same(process_pictures(threads, {}, kBackend, files).pixel_values, expected));
  EXPECT_TRUE(same(process_pictures(threads, {}, kBackend, bytes).pixel_values, expected));
}

// A HEIC whose box of the size (ispe) says two columns more than its picture has is told from a file that
// was replaced after its header was read.
TEST(ProcessPictures, AHeaderThatSaysAnotherSizeIsNamed) {
  for (const PictureLibrary& row : picture_libraries())
    if (std::string_view(row.library) == "libheif" && std::string_view(row.version).empty())
      GTEST_SKIP() << "this build has no libheif";
  const std::string good = test::read_text(test::data_path("media/more_pictures/heif_RGB420.heic"));
  std::string bytes = good;
  bytes.replace(bytes.find("clap"), 4, "skip");     // the coded picture, 64 x 64, is not cropped
  const size_t width_at = bytes.find("ispe") + 11;  // the last of four bytes
  ASSERT_EQ(bytes.at(width_at), 64);
  bytes[width_at] = 66;
  ThreadPool threads(2);
  const auto message_with = [&](const std::string& file, Size planned) -> std::string {
    OpenMedia opened;
    OpenPicture picture = opened.picture(MediaSource::bytes(file, "a.heic"), {});
    picture.height = planned.height;
    picture.width = planned.width;
    try {
      process_pictures(threads, {}, kBackend, std::vector{picture_input(picture, {})});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message_with(bytes, {64, 66}),
            "[a.heic] its header says 66 x 64 pixels and its picture has 64 x 64; write the file anew");
  EXPECT_EQ(message_with(good, {24, 34}),
            "[a.heic] changed while it was read: 34 x 22 pixels, 34 x 24 before");
}

TEST(ProcessPictures, TheFirstErrorEndsIt) {
  const Image good = noise(400, 400), small = noise(200, 100);
  ThreadPool threads(3);
  const auto code_with = [&](PictureInput bad, std::string* message) {
    std::vector<PictureInput> inputs(6, slow_input(good, 3));
    inputs.insert(inputs.begin() + 3, std::move(bad));
    try {
      process_pictures(threads, {}, kBackend, inputs);
    } catch (const Error& error) {
      *message = error.what();
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  std::string message;
  PictureInput broken = slow_input(good, 3);
  broken.decode = [&](Image* target, const RowsReady& ready) {
    *target = good;
    ready(200);  // others are at its bands when it breaks
    throw Error(ErrorCode::kIo, "[disk] gone");
  };
  EXPECT_EQ(code_with(broken, &message), ErrorCode::kIo);
  EXPECT_EQ(message, "[disk] gone");

  PictureInput other = slow_input(small, 3);  // the file is another one by the time it is decoded
  other.size = {good.height, good.width};
  other.decode = [&](Image* target, const RowsReady& ready) {
    *target = small;
    ready(100);  // before anyone reads rows that it does not have
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  EXPECT_EQ(code_with(other, &message), ErrorCode::kFormat);
  EXPECT_EQ(message, "[slow] changed while it was read: 100 x 200 pixels, 400 x 400 before");

  std::atomic<int> asked{0};
  EXPECT_THROW(process_pictures(threads, {}, kBackend, {slow_input(good, 3), slow_input(good, 3)},
                                [&] { return ++asked > 0; }),
               Error);
  // Nothing of that is left behind.
  EXPECT_EQ(process_pictures(threads, {}, kBackend, {slow_input(good, 3)}).image_grid_thw.dim(0), 1);
}

}  // namespace
}  // namespace vl3
