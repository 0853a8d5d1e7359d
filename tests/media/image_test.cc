// Pictures against Pillow: tests/data/media/pictures/images.json holds what tools/goldens/images.py saw.
#include "vl3/image.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "media/fnv.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/json.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
using test::fnv;

Json load_table(const fs::path& folder) { return Json::parse(test::read_text(folder / "images.json")); }

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

void expect_equal(const fs::path& path, const Json& row) {
  SCOPED_TRACE(path.filename().string());
  const Image upright = read_image(path);
  EXPECT_EQ(upright.mode, row.at("mode"));
  EXPECT_EQ(upright.width, row.at("size")[0]);
  EXPECT_EQ(upright.height, row.at("size")[1]);
  EXPECT_EQ(fnv(upright.rgb), row.at("fnv"));
  EXPECT_EQ(fnv(read_image(path, {}, false).rgb), row.at("fnv_stored"));
  const ImageInfo info = probe_image(path);
  EXPECT_EQ(info.width, upright.width);
  EXPECT_EQ(info.height, upright.height);
  EXPECT_EQ(info.mode, upright.mode);
  EXPECT_EQ(info.frames, row.at("frames"));
}

void expect_equal_animation(const fs::path& path, const Json& animation) {
  SCOPED_TRACE(path.filename().string());
  const std::string bytes = test::read_text(path);
  GifReader reader(as_bytes(bytes), {}, path.string());
  const Json& hashes = animation.at("fnv");
  ASSERT_EQ(reader.total_frames(), static_cast<int64_t>(hashes.size()));
  for (int round = 0; round < 2; ++round, reader.rewind()) {
    Image frame;
    int64_t time_ms = 0;
    for (size_t i = 0; i < hashes.size(); ++i) {
      ASSERT_TRUE(reader.next(&frame));
      EXPECT_EQ(fnv(frame.rgb), hashes[i]) << "frame " << i;
      EXPECT_EQ(reader.timestamps_ms()[i], time_ms);
      time_ms += animation.at("durations_ms")[i].get<int64_t>();
    }
    EXPECT_FALSE(reader.next(&frame));
    EXPECT_EQ(reader.timestamps_ms().back(), time_ms);
  }
}

void compare_folder(const fs::path& folder, const Json& rows, size_t at_least) {
  size_t pictures = 0, frames = 0;
  for (const auto& [name, row] : rows.items()) {
    expect_equal(folder / name, row);
    ++pictures;
    if (!row.contains("animation")) continue;
    expect_equal_animation(folder / name, row.at("animation"));
    frames += row.at("animation").at("fnv").size();
  }
  EXPECT_GE(pictures, at_least);
  std::cout << pictures << " pictures and " << frames << " animation frames compared with Pillow's bytes\n";
}

TEST(Image, EqualsPillow) {
  const fs::path folder = test::data_path("media/pictures");
  compare_folder(folder, load_table(folder).at("pictures"), 190);
}

TEST(Image, EqualsPillowOnSharedPictures) {
  VL3_NEED_SHARED(media, "media");
  compare_folder(media, load_table(test::data_path("media/pictures")).at("shared"), 5);
}

// A folder made by `images.py FOLDER --many N`, named in VL3_PICTURES.
TEST(Image, EqualsPillowOnGivenFolder) {
  const char* folder = std::getenv("VL3_PICTURES");
  if (folder == nullptr) GTEST_SKIP() << "VL3_PICTURES names no folder";
  compare_folder(folder, load_table(folder).at("pictures"), 1);
}

TEST(Image, FormatComesFromContent) {
  const fs::path path = test::data_path("media/pictures/png_misnamed.jpg");
  EXPECT_EQ(probe_image(path).format, ImageFormat::kPng);
  EXPECT_STREQ(to_string(probe_image(test::data_path("media/pictures/tiff_big.tif")).format), "tiff");
  ImageFormat format{};
  const std::string text = "not a picture";
  EXPECT_FALSE(sniff_image(as_bytes(text), &format));
}

TEST(Image, OrientationIsReportedAndOptional) {
  const fs::path path = test::data_path("media/pictures/jpeg_orientation6.jpg");
  const ImageInfo upright = probe_image(path), stored = probe_image(path, {}, false);
  EXPECT_EQ(upright.orientation, 6);
  EXPECT_EQ(upright.width, stored.height);
  EXPECT_EQ(upright.height, stored.width);
  EXPECT_EQ(read_image(path, {}, false).width, stored.width);
}

ErrorCode code_of(const std::function<void()>& action, std::string* message) {
  try {
    action();
  } catch (const Error& error) {
    *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

TEST(Image, LimitsAreCheckedAndNamed) {
  const Json rows = load_table(test::data_path("media/pictures")).at("pictures");
  std::string message;
  for (const auto& [name, row] : rows.items()) {
    const fs::path path = test::data_path("media/pictures") / name;
    MediaLimits limits;
    limits.max_pixels = row.at("size")[0].get<int64_t>() * row.at("size")[1].get<int64_t>() - 1;
    for (const bool probe : {false, true}) {
      const auto action = [&] { probe ? (void)probe_image(path, limits) : (void)read_image(path, limits); };
      EXPECT_EQ(code_of(action, &message), ErrorCode::kLimitExceeded) << name << ": " << message;
      EXPECT_NE(message.find("max_pixels"), std::string::npos) << message;
      EXPECT_NE(message.find(name), std::string::npos) << message;
    }
  }
  MediaLimits limits;
  limits.max_file_bytes = 50;
  const fs::path path = test::data_path("media/pictures/gif_random1.gif");
  EXPECT_EQ(code_of([&] { read_image(path, limits); }, &message), ErrorCode::kLimitExceeded);
  limits = {};
  limits.max_allocation_bytes = 100;
  EXPECT_EQ(code_of([&] { read_image(path, limits); }, &message), ErrorCode::kLimitExceeded);
  EXPECT_NE(message.find("max_allocation_bytes"), std::string::npos) << message;
  limits = {};
  limits.max_frames = 1;
  const std::string bytes = test::read_text(test::data_path("media/pictures/gif_animated_mixed.gif"));
  EXPECT_EQ(code_of([&] { GifReader(as_bytes(bytes), limits, "x.gif"); }, &message),
            ErrorCode::kLimitExceeded);
  EXPECT_EQ(code_of([&] { read_image("/nowhere/x.png"); }, &message), ErrorCode::kNotFound);
}

// The header of a picture of the given size and no pixels.
std::string bmp_header(uint32_t width, uint32_t height) {
  std::string bytes("BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 18);
  for (const uint32_t size : {width, height})
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(size >> (8 * i) & 255);
  return bytes + std::string("\1\0\x18\0", 4) + std::string(24, '\0');
}

TEST(Image, AbsurdSizesAreRefused) {
  std::string message;
  const auto decode = [&](const std::string& bytes) {
    return code_of([&] { decode_image(as_bytes(bytes), {}, "x.bmp"); }, &message);
  };
  EXPECT_EQ(decode(bmp_header(0, 5)), ErrorCode::kFormat);
  EXPECT_EQ(decode(bmp_header(5, 0)), ErrorCode::kFormat);
  EXPECT_EQ(decode(bmp_header(0xFFFFFFFF, 0x7FFFFFFF)), ErrorCode::kLimitExceeded);
  EXPECT_EQ(decode(bmp_header(1, 0x7FFFFFFF)), ErrorCode::kLimitExceeded);
  EXPECT_EQ(decode(bmp_header(10000, 10000)), ErrorCode::kFormat);  // allowed, but the pixels are not there
  EXPECT_NE(message.find("truncated"), std::string::npos) << message;
  EXPECT_EQ(decode(""), ErrorCode::kFormat);
  EXPECT_EQ(decode("BM"), ErrorCode::kFormat);
}

TEST(Image, TwelveBitJpegIsRefusedByName) {
  std::string bytes = test::read_text(test::data_path("media/pictures/jpeg_444.jpg"));
  const size_t frame = bytes.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  bytes[frame + 4] = 12;
  std::string message;
  EXPECT_EQ(code_of([&] { decode_image(as_bytes(bytes), {}, "x.jpg"); }, &message), ErrorCode::kUnsupported);
  EXPECT_NE(message.find("12 bits"), std::string::npos) << message;
}

TEST(Image, ThinAndTall) {
  const int64_t height = 100000;
  std::string bytes = bmp_header(1, static_cast<uint32_t>(height));
  for (int64_t row = 0; row < height; ++row) bytes += {char(row), char(row >> 8), char(row >> 16), 0};
  const Image image = decode_image(as_bytes(bytes), {}, "tall.bmp");
  ASSERT_EQ(image.height, height);
  EXPECT_EQ(image.rgb[0], (height - 1) >> 16);
  EXPECT_EQ(image.rgb[2], (height - 1) & 255);
}

}  // namespace
}  // namespace vl3
