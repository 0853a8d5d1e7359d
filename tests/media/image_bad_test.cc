// Broken pictures: every committed one cut short at many places and with bits flipped. Each gives an Error
// that names the file, or an image of a sane size; under the sanitizers this is the proof that nothing else
// happens.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>
#include <random>

#include "support/support.h"
#include "vl3/error.h"
#include "vl3/image.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

struct Count {
  int64_t errors = 0, images = 0;
};

MediaLimits small_limits() {
  MediaLimits limits;
  limits.max_pixels = 1 << 22;
  limits.max_allocation_bytes = 1 << 26;
  limits.max_frames = 1000;
  return limits;
}

// Decodes every way there is; counts how it ended.
void decode_all(const std::string& bytes, const std::string& name, Count* count) {
  const auto span = std::as_bytes(std::span(bytes));
  const auto attempt = [&](auto action) {
    try {
      action();
      ++count->images;
    } catch (const Error& error) {
      ++count->errors;
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
      EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
    }
  };
  attempt([&] {
    const Image image = decode_image(span, small_limits(), name);
    EXPECT_EQ(static_cast<int64_t>(image.rgb.size()), image.width * image.height * 3);
    EXPECT_LE(image.width * image.height, small_limits().max_pixels);
  });
  attempt([&] { probe_image(span, small_limits(), name); });
  ImageFormat format{};
  if (!sniff_image(span, &format) || format != ImageFormat::kGif) return;
  attempt([&] {
    GifReader reader(span, small_limits(), name);
    Image image;
    while (reader.next(&image))
      EXPECT_EQ(static_cast<int64_t>(image.rgb.size()), image.width * image.height * 3);
  });
}

std::vector<fs::path> pictures() {
  std::vector<fs::path> paths;
  for (const char* folder : {"media/pictures", "media/more_pictures"})
    for (const auto& entry : fs::directory_iterator(test::data_path(folder)))
      if (entry.path().extension() != ".json") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(BadImage, Truncated) {
  Count count;
  int64_t cuts = 0;
  for (const fs::path& path : pictures()) {
    const std::string bytes = test::read_text(path);
    const std::string name = path.filename().string();
    // Every length of the header, then about sixty more.
    const size_t step = std::max<size_t>(1, bytes.size() / 60);
    for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : step, ++cuts)
      decode_all(bytes.substr(0, size), name, &count);
  }
  std::cout << cuts << " cuts: " << count.errors << " errors, " << count.images << " images\n";
  EXPECT_GT(count.errors, count.images);
}

// Cut in the middle of its pixels, no format gives an image.
TEST(BadImage, HalfIsAnError) {
  int64_t tried = 0;
  for (const fs::path& path : pictures()) {
    const std::string bytes = test::read_text(path);
    const auto name = path.filename().string();
    // A first frame or page may well lie within the first half.
    if (name.find("animated") != std::string::npos || name.find("random") != std::string::npos ||
        name.find("pages") != std::string::npos)
      continue;
    const std::string half = bytes.substr(0, bytes.size() / 2);
    EXPECT_THROW(decode_image(std::as_bytes(std::span(half)), {}, name), Error) << name;
    ++tried;
  }
  std::cout << tried << " pictures cut in half, as many errors\n";
}

TEST(BadImage, BitsFlipped) {
  constexpr int kFlips = 200;
  Count count;
  const auto begin = std::chrono::steady_clock::now();
  double slowest_s = 0;
  std::string slowest;
  uint32_t seed = 20;
  for (const fs::path& path : pictures()) {
    const std::string bytes = test::read_text(path);
    std::mt19937 random(++seed);
    for (int i = 0; i < kFlips; ++i) {
      std::string broken = bytes;
      // Half of the flips in the first 128 bytes, where the headers are; one to four bits at a time.
      for (uint32_t flips = 1 + random() % 4; flips > 0; --flips) {
        const size_t range = i % 2 == 0 ? std::min<size_t>(bytes.size(), 128) : bytes.size();
        broken[random() % range] ^= static_cast<char>(1u << random() % 8);
      }
      const std::clock_t start = std::clock();
      decode_all(broken, path.filename().string(), &count);
      // Of the processor: what else the machine does is not the picture's fault.
      const double took_s = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      if (took_s > slowest_s) {
        slowest_s = took_s;
        slowest = path.filename().string();
      }
    }
  }
  const std::chrono::duration<double> total = std::chrono::steady_clock::now() - begin;
  std::cout << pictures().size() * kFlips << " broken pictures: " << count.errors << " errors, "
            << count.images << " images in " << total.count() << " s, the slowest " << slowest_s << " s ("
            << slowest << ")\n";
  EXPECT_LT(slowest_s, 60) << "hundreds of times what a picture takes, also with sanitizers";
  EXPECT_GT(count.errors, 0);
}

TEST(BadImage, ColoursThatAreNotReadAreNamed) {
  std::string bytes = test::read_text(test::data_path("media/pictures/tiff_RGB_raw.tif"));
  const size_t tag = bytes.find(std::string("\x06\x01\x03\0\1\0\0\0\2\0", 10));  // photometric: RGB
  ASSERT_NE(tag, std::string::npos);
  bytes[tag + 8] = 8;
  try {
    decode_image(std::as_bytes(std::span(bytes)), {}, "lab.tif");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    for (const char* words : {"[lab.tif]", "photometric 8 (CIE L*a*b*)", "convert it to PNG first"})
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

// Frame grabbers and cut streams leave it out. Pillow has all rows by then and does not look for it; of a
// progressive picture it does.
TEST(BadImage, ABaselineJpegNeedsNoEndMarker) {
  const auto decode = [](const std::string& bytes) {
    return decode_image(std::as_bytes(std::span(bytes)), small_limits(), "test.jpg").rgb;
  };
  for (const char* name : {"jpeg_420.jpg", "jpeg_444.jpg", "jpeg_grey.jpg", "jpeg_cmyk.jpg"}) {
    const std::string whole = test::read_text(test::data_path("media/pictures") / name);
    ASSERT_TRUE(whole.ends_with("\xff\xd9")) << name;
    const std::string padded = whole.substr(0, whole.size() - 2) + std::string(100, '\0');
    EXPECT_EQ(decode(padded), decode(whole)) << name;
    EXPECT_THROW(decode(whole.substr(0, whole.size() - 40)), Error) << name;
  }
  const std::string progressive = test::read_text(test::data_path("media/pictures/jpeg_420p.jpg"));
  EXPECT_THROW(decode(progressive.substr(0, progressive.size() - 2) + std::string(100, '\0')), Error);
}

}  // namespace
}  // namespace vl3
