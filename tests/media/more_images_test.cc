// The formats beside the web's against Pillow and its plugins: tests/data/media/more_pictures/images.json
// holds what tools/goldens/more_images.py saw. And what is said of files that are no pictures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "media/fnv.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/image.h"
#include "vl3/json.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
using test::fnv;

std::span<const std::byte> as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

fs::path folder() { return test::data_path("media/more_pictures"); }

// What this build lacks for a file; empty where it lacks nothing.
std::string lacks(const std::string& name) {
  const std::map<std::string, std::string> libraries = {
      {"avif", "libavif"}, {"heif", "libheif"}, {"jxl", "libjxl"}, {"jp2", "libopenjp2"}};
  const auto needed = libraries.find(name.substr(0, name.find('_')));
  if (needed == libraries.end()) return {};
  for (const PictureLibrary& row : picture_libraries())
    if (row.library == needed->second && row.version.empty()) return needed->second;
  return {};
}

std::string error_of(const std::string& bytes, const std::string& name, const MediaLimits& limits = {}) {
  try {
    decode_image(as_bytes(bytes), limits, name);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void expect_within(const Image& ours, const fs::path& pixels, int64_t bound) {
  const Image theirs = read_image(pixels);
  ASSERT_EQ(ours.rgb.size(), theirs.rgb.size());
  int64_t largest = 0;
  for (size_t i = 0; i < ours.rgb.size(); ++i)
    largest = std::max<int64_t>(largest, std::abs(ours.rgb[i] - theirs.rgb[i]));
  EXPECT_LE(largest, bound);
}

TEST(MoreImages, EqualPillow) {
  const Json rows = Json::parse(test::read_text(folder() / "images.json"));
  int64_t compared = 0, lacking = 0;
  for (const auto& [name, row] : rows.items()) {
    SCOPED_TRACE(name);
    if (const std::string library = lacks(name); !library.empty()) {
      EXPECT_NE(error_of(test::read_text(folder() / name), name).find("without " + library),
                std::string::npos);
      ++lacking;
      continue;
    }
    const Image stored = read_image(folder() / name, {}, false), upright = read_image(folder() / name);
    EXPECT_EQ(stored.mode, row.at("mode"));
    EXPECT_EQ(upright.width, row.at("size")[0]);
    EXPECT_EQ(upright.height, row.at("size")[1]);
    if (row.contains("within")) {
      expect_within(stored, folder() / (name + ".png"), row.at("within").get<int64_t>());
    } else {
      EXPECT_EQ(fnv(stored.rgb), row.at("fnv_stored"));
      EXPECT_EQ(fnv(upright.rgb), row.at("fnv"));
    }
    const ImageInfo info = probe_image(folder() / name);
    EXPECT_EQ(info.width, upright.width);
    EXPECT_EQ(info.height, upright.height);
    EXPECT_EQ(info.mode, upright.mode);
    EXPECT_EQ(info.frames, row.at("frames"));
    ++compared;
  }
  std::cout << compared << " pictures compared with Pillow's, " << lacking
            << " refused for want of a library\n";
  EXPECT_EQ(compared + lacking, 126);
}

// BC7 has three numbers of DXGI_FORMAT; BC6H without a word of its sign isn't read; one block less is an
// error.
TEST(MoreImages, DdsOfBptcBlocks) {
  constexpr size_t kNumber = 128;
  std::string bytes = test::read_text(folder() / "dds_dxgi98.dds");
  const Image known = decode_image(as_bytes(bytes), {}, "known.dds");
  for (const char number : {97, 99}) {
    bytes[kNumber] = number;
    EXPECT_EQ(decode_image(as_bytes(bytes), {}, "same.dds").rgb, known.rgb);
  }
  bytes[kNumber] = 94;
  EXPECT_NE(error_of(bytes, "x.dds").find("[x.dds] DDS of the DXGI format 0x5e is not supported"),
            std::string::npos);
  bytes = test::read_text(folder() / "dds_dxgi95.dds");
  bytes.resize(bytes.size() - 1);
  EXPECT_NE(error_of(bytes, "cut.dds").find("the pixels"), std::string::npos);
}

TEST(MoreImages, LimitsAreCheckedAndNamed) {
  const Json rows = Json::parse(test::read_text(folder() / "images.json"));
  for (const auto& [name, row] : rows.items()) {
    if (!lacks(name).empty()) continue;
    MediaLimits limits;
    limits.max_pixels = row.at("size")[0].get<int64_t>() * row.at("size")[1].get<int64_t>() - 1;
    const std::string bytes = test::read_text(folder() / name);
    EXPECT_NE(error_of(bytes, name, limits).find("max_pixels"), std::string::npos)
        << error_of(bytes, name, limits);
    limits = {};
    limits.max_allocation_bytes = 20;
    EXPECT_NE(error_of(bytes, name, limits).find("max_allocation_bytes"), std::string::npos)
        << error_of(bytes, name, limits);
  }
}

TEST(MoreImages, SharedPictures) {
  VL3_NEED_SHARED(cases, "cases");
  EXPECT_EQ(read_image(cases / "pic.ppm").width, 84);
  EXPECT_EQ(read_image(cases / "pic.ppm").height, 56);
  if (lacks("avif_").empty()) {
    EXPECT_EQ(read_image(cases / "pic.avif").width, 84);
    EXPECT_EQ(probe_image(cases / "pic.avif").height, 56);
  }
  const std::string pointer = test::read_text(cases / "lfs_pointer.jpg");
  EXPECT_NE(error_of(pointer, "x.jpg").find("is a Git LFS pointer"), std::string::npos)
      << error_of(pointer, "x.jpg");
}

TEST(MoreImages, OtherFilesAreNamed) {
  using namespace std::string_literals;
  const std::pair<std::string, const char*> files[] = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer"},
      {"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "an SVG drawing"},
      {"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- made -->\n<SVG width=\"4\">", "an SVG drawing"},
      {"\n<!DOCTYPE html>\n<title>404</title>", "an HTML page"},
      {"<html><head></head></html>", "an HTML page"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "an XML error message"},
      {"%PDF-1.7\n%\xe2\xe3", "a PDF document"},
      {"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript document"},
      {"8BPS\0\1"s, "a Photoshop document"},
      {"PK\3\4\x14\0\0\0"s, "a ZIP archive"},
      {"\x1f\x8b\x08\0"s, "gzip"},
      {"FUJIFILMCCD-RAW 0201", "a raw file of a camera"},
      {"\0\0\0\x18"
       "ftypcrx \0\0\0\1"s,
       "a raw file of a camera (CR3)"},
      {"\0\0\0\x18"
       "ftypisom\0\0\2\0isomiso2"s,
       "a clip (MP4): give it as a video"},
      {"\0\0\0\x14"
       "ftypqt  \0\0\2\0qt  "s,
       "a clip (QuickTime)"},
      {"\x1a\x45\xdf\xa3\x01\0\0"s, "a clip (Matroska or WebM)"},
      {"RIFF\x10\0\0\0AVI LIST"s, "a clip (AVI)"},
      {"RIFF\x10\0\0\0WAVEfmt "s, "a sound file"},
      {"ID3\4\0\0\0"s, "a sound file"},
      {"{\"error\": \"not found\"}", "a JSON text"},
      {"data:image/png;base64,iVBORw0KGgo=", "a data: URL"},
      {"https://example.com/cat.jpg\n", "a text with an address"},
      {"just words\n", "a text file"},
      {"P7\nWIDTH 4\n", "a PAM picture"},
      {"v/1\x01\2\0\0\0"s, "an OpenEXR picture"},
      {"\x89HDF\r\n\x1a\n"s, "an HDF5 file"},
      {std::string(128, '\0') + "DICM", "a DICOM picture"},
  };
  for (const auto& [bytes, words] : files) {
    const std::string message = error_of(bytes, "x.jpg");
    EXPECT_TRUE(message.starts_with("[x.jpg] is ")) << message;
    EXPECT_NE(message.find(words), std::string::npos) << message;
  }
  const std::string message = error_of("\1\2\3\4\5\6\7\x8e\x8f"s, "x.jpg");
  EXPECT_NE(message.find("does not begin like a picture"), std::string::npos) << message;
  EXPECT_NE(message.find("01 02 03 04"), std::string::npos) << message;
}

// Formats without a signature of their own give way to all others, and to clips.
TEST(MoreImages, WeakSignaturesTakeNothingElse) {
  using namespace std::string_literals;
  ImageFormat format{};
  for (const std::string& bytes :
       {"\0\0\1\xba\x44\0\4\0\4\1\0\0\x10\0\x10\0\x18\0\0\0\0\0\0\0"s,  // an MPEG program stream
        "\0\0\1\xb3\x14\0\xf0\x23\0\0\0\0\x10\0\x10\0\x18\0\0\0\0\0"s,  // an MPEG video
        "\0\0\0\1\x67\x42\0\x1e\0\0\0\0\x10\0\x10\0\x18\0\0\0\0\0\0"s,  // H.264
        "\x1f\7\0\x3f\x68\x78\x78\x78\x92\7\2\0\x10\0\x10\0\x18\0\0"s,  // DV
        "P3 is not P4, says the text"s, "Proper words"s, "(\0\0\0 is not a bitmap at all"s, "\x0a\x05 lines"s,
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s})
    EXPECT_FALSE(sniff_image(as_bytes(bytes), &format)) << to_string(format);
  // A TGA that begins as a cursor does.
  const std::string tga = "\0\0\2\0\0\0\0\0\0\0\0\0\2\0\1\0\x18\0"s + "\1\2\3\4\5\6";
  const Image image = decode_image(as_bytes(tga), {}, "x");
  EXPECT_EQ(image.rgb, (std::vector<uint8_t>{3, 2, 1, 6, 5, 4}));
}

// Sizes that the file cannot hold are refused before memory is taken for them.
TEST(MoreImages, AbsurdSizesAreRefused) {
  using namespace std::string_literals;
  const std::string headers[] = {
      "P6 12000 12000 255\n",
      "P3 12000 12000 255\n1 2 3",
      "P1 12000 12000 ",
      "Pf 12000 12000 1.0\n",
      "qoif\0\0\x2e\xe0\0\0\x2e\xe0\3\0"s,
      "\0\0\2\0\0\0\0\0\0\0\0\0\xe0\x2e\xe0\x2e\x18\0"s,
      "\0\0\x0a\0\0\0\0\0\0\0\0\0\xe0\x2e\xe0\x2e\x18\0"s,
      std::string("\x0a\5\1\x8\0\0\0\0\xdf\x2e\xdf\x2e", 12) + std::string(53, '\0') + "\3" +
          std::string(62, '\0'),
      std::string("\x01\xda\0\1\0\3\x2e\xe0\x2e\xe0\0\3", 12) + std::string(500, '\0'),
      std::string("\x01\xda\1\1\0\3\x2e\xe0\x2e\xe0\0\3", 12) + std::string(500, '\0')};
  for (const std::string& header : headers) {
    const std::string message = error_of(header, "x");
    EXPECT_NE(message.find("truncated"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace vl3
