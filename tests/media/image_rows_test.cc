// Pictures whose rows are used while they are decoded, and PNGs whose pixels are inflated ahead.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "media/png_inflated.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/image.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::vector<fs::path> pictures() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(test::data_path("media/pictures")))
    if (entry.path().extension() != ".json") paths.push_back(entry.path());
  return paths;
}

// Rows that are told of are as they are in the end; there are more of them each time.
TEST(ImageRows, AreFinalWhenTheyAreReady) {
  std::map<std::string, int64_t> told;
  for (const fs::path& path : pictures()) {
    SCOPED_TRACE(path.filename().string());
    Image image;
    std::vector<std::vector<uint8_t>> seen;
    read_image(path, {}, false, &image, [&](int64_t rows) {
      ASSERT_LE(rows, image.height);
      ASSERT_TRUE(seen.empty() || static_cast<size_t>(rows * image.width * 3) >= seen.back().size());
      seen.emplace_back(image.rgb.begin(), image.rgb.begin() + rows * image.width * 3);
      told[path.extension().string()] += rows > 0;
    });
    EXPECT_EQ(image.rgb, read_image(path, {}, false).rgb);
    for (const auto& rows : seen) EXPECT_TRUE(std::equal(rows.begin(), rows.end(), image.rgb.begin()));
  }
  for (const char* format : {".jpg", ".png", ".webp"}) EXPECT_GT(told[format], 0) << format;
}

// A picture of 300 rows with the orientation of another one.
TEST(ImageRows, AreNotToldOfWhereThePictureIsTurned) {
  const std::string tall = test::read_text(test::data_path("media/pictures/jpeg_1x300.jpg"));
  const std::string turned = test::read_text(test::data_path("media/pictures/jpeg_orientation6.jpg"));
  const size_t exif = turned.find("\xff\xe1");
  ASSERT_NE(exif, std::string::npos);
  const auto* length = reinterpret_cast<const uint8_t*>(turned.data()) + exif + 2;
  const std::string bytes =
      tall.substr(0, 2) + turned.substr(exif, 2 + media::load_be16(length)) + tall.substr(2);
  for (const bool turn : {false, true}) {
    Image image;
    int64_t told = 0;
    decode_image(as_bytes(bytes), {}, "turned.jpg", turn, &image, [&](int64_t) { ++told; });
    EXPECT_EQ(image.height, turn ? 1 : 300);
    EXPECT_EQ(told > 0, !turn);
  }
}

uint32_t crc32(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

std::string be32(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& data) {
  return be32(static_cast<uint32_t>(data.size())) + type + data + be32(crc32(type + data));
}

struct Chunk {
  std::string type, data;
};

std::vector<Chunk> chunks_of(const std::string& png) {
  std::vector<Chunk> chunks;
  for (size_t at = 8; at < png.size();) {
    const size_t size = media::load_be32(reinterpret_cast<const uint8_t*>(png.data()) + at);
    chunks.push_back({png.substr(at + 4, 4), png.substr(at + 8, size)});
    at += size + 12;
  }
  return chunks;
}

std::string png_of(const std::vector<Chunk>& chunks) {
  std::string png = "\x89PNG\r\n\x1a\n";
  for (const Chunk& c : chunks) png += chunk(c.type, c.data);
  return png;
}

bool inflated(const std::string& png) {
  const MediaLimits limits;
  const media::Source source{
      {reinterpret_cast<const uint8_t*>(png.data()), png.size()}, limits, "test.png", nullptr};
  return media::InflatedPng::make(source).has_value();
}

// Every committed PNG with its pixels in one chunk and in many.
TEST(InflatedPng, TakesPixelsFromAnyNumberOfChunks) {
  int64_t ahead = 0;
  for (const fs::path& path : pictures()) {
    if (path.extension() != ".png") continue;
    SCOPED_TRACE(path.filename().string());
    const std::string bytes = test::read_text(path);
    const bool interlaced = bytes[28] != 0;
    EXPECT_EQ(inflated(bytes), !interlaced);
    ahead += !interlaced;
    for (const size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
      std::string pixels;
      std::vector<Chunk> before, after;
      for (const Chunk& c : chunks_of(bytes)) {
        if (c.type == "IDAT") {
          pixels += c.data;
        } else {
          (pixels.empty() ? before : after).push_back(c);
        }
      }
      for (size_t at = 0; at < pixels.size(); at += piece)
        before.push_back({"IDAT", pixels.substr(at, piece)});
      before.push_back({"IDAT", ""});
      before.insert(before.end(), after.begin(), after.end());
      const std::string cut = png_of(before);
      EXPECT_EQ(inflated(cut), !interlaced);
      EXPECT_EQ(decode_image(as_bytes(cut), {}, "cut.png").rgb, read_image(path).rgb);
    }
  }
  EXPECT_GT(ahead, 10);
}

// A grey picture of any rows, stored without compression.
std::string grey_png(uint32_t width, uint32_t height, char filter) {
  std::string rows;
  for (uint32_t y = 0; y < height; ++y) {
    rows += filter;
    for (uint32_t x = 0; x < width; ++x) rows += static_cast<char>(x * 7 + y * 3);
  }
  uint32_t a = 1, b = 0;
  for (const char c : rows) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  std::string stream = "\x78\x01";
  for (size_t at = 0; at < rows.size(); at += 50000) {
    const std::string block = rows.substr(at, 50000);
    const size_t length = block.size();
    stream += static_cast<char>(at + length == rows.size());
    for (const size_t n : {length, ~length}) stream += {static_cast<char>(n), static_cast<char>(n >> 8)};
    stream += block;
  }
  stream += be32(b << 16 | a);
  std::string header = be32(width) + be32(height) + std::string("\x08\0\0\0\0", 5);
  return png_of({{"IHDR", header}, {"IDAT", stream}, {"IEND", ""}});
}

// More than one stored block, ending with a full one and not.
TEST(InflatedPng, HoldsPixelsOfAnySize) {
  for (const auto& [width, height] : {std::pair(65534u, 1u), {65535u, 1u}, {65534u, 2u}, {999u, 700u}}) {
    const std::string png = grey_png(width, height, 0);
    EXPECT_TRUE(inflated(png));
    const Image image = decode_image(as_bytes(png), {}, "grey.png");
    ASSERT_EQ(image.rgb.size(), size_t{3} * width * height);
    for (uint32_t y = 0; y < height; ++y)
      for (uint32_t x = 0; x < width; x += 13)
        ASSERT_EQ(image.rgb[3 * (size_t{y} * width + x)], static_cast<uint8_t>(x * 7 + y * 3))
            << x << " " << y;
  }
}

std::string message_of(const std::string& png) {
  try {
    decode_image(as_bytes(png), {}, "test.png");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFormat);
    return error.what();
  }
  return "no error";
}

TEST(InflatedPng, SaysWhatIsBroken) {
  const std::string good = grey_png(100, 100, 0);
  const size_t pixels = good.find("IDAT");
  EXPECT_NE(message_of(grey_png(100, 100, 9)).find("row 0: bad adaptive filter value"), std::string::npos);

  std::string checksum = good;
  checksum[good.size() - 16] ^= 1;  // of the chunk of pixels, which stands before the last chunk's 12 bytes
  EXPECT_FALSE(inflated(checksum));
  EXPECT_NE(message_of(checksum).find("[test.png] broken PNG at byte"), std::string::npos)
      << message_of(checksum);

  std::string stream = good;
  stream[pixels + 6] = 7;  // no kind of block
  EXPECT_FALSE(inflated(stream));
  EXPECT_NE(message_of(stream).find("broken PNG"), std::string::npos) << message_of(stream);

  const std::string cut = good.substr(0, pixels + 500);
  EXPECT_FALSE(inflated(cut));
  EXPECT_NE(message_of(cut).find("truncated"), std::string::npos) << message_of(cut);
}

}  // namespace
}  // namespace vl3
