// Clips whose container shows parts of what they hold: MP4 and QuickTime with edit lists.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "media/made_clip.h"
#include "support/support.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

using test::ClipRecipe;
using test::make_clip;

uint32_t number_at(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

std::string number(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

std::string box(const std::string& type, const std::string& content) {
  return number(static_cast<uint32_t>(content.size() + 8)) + type + content;
}

// Where a box begins among those from `at` on; its end where there is none.
size_t find_box(const std::string& bytes, size_t at, const std::string& type) {
  while (at + 8 <= bytes.size() && bytes.compare(at + 4, 4, type) != 0) at += number_at(bytes, at);
  return at;
}

struct Edit {
  uint32_t frames, first;  // of 1/25 s
};

// The same clip with those edits in place of its own; its index lies behind its frames.
std::string with_edits(std::string bytes, const std::vector<Edit>& edits) {
  const size_t moov = find_box(bytes, 0, "moov"), trak = find_box(bytes, moov + 8, "trak");
  const size_t old = find_box(bytes, trak + 8, "edts"), size = number_at(bytes, old);
  const size_t mdhd = find_box(bytes, find_box(bytes, trak + 8, "mdia") + 8, "mdhd");
  const uint32_t frame_ticks = number_at(bytes, mdhd + 20) / 25;
  std::string list = number(0) + number(static_cast<uint32_t>(edits.size()));
  for (const Edit& edit : edits)
    list += number(edit.frames * 40) + number(edit.first * frame_ticks) + number(1 << 16);
  const std::string edts = box("edts", box("elst", list));
  bytes.replace(old, size, edts);
  const auto grown = static_cast<uint32_t>(edts.size() - size);
  bytes.replace(moov, 4, number(number_at(bytes, moov) + grown));
  bytes.replace(trak, 4, number(number_at(bytes, trak) + grown));
  return bytes;
}

std::vector<ClipRecipe> recipes() {
  return {{.encoder = "mpeg4", .container = "mov"},
          {.encoder = "mpeg4", .container = "mov", .b_frames = 2},
          {.encoder = "mjpeg", .container = "mov", .options = {{"strict", "unofficial"}}},
          {.encoder = "libx264", .container = "mov", .b_frames = 2, .options = {{"preset", "veryfast"}}},
          {.encoder = "libx265",
           .container = "mov",
           .b_frames = 3,
           .options = {{"x265-params", "log-level=none"}, {"preset", "veryfast"}}},
          {.encoder = "libaom-av1", .container = "mp4", .options = {{"cpu-used", "8"}}}};
}

// Where its own list has the first frame: behind 0 where frames wait for others.
uint32_t first_frame(const std::string& bytes) {
  return number_at(bytes, bytes.find("elst") + 16) * 25 / number_at(bytes, bytes.find("mdhd") + 16);
}

// What those edits of each clip show, of its 160 frames.
void check_edits(const std::vector<Edit>& edits) {
  int made = 0;
  for (const ClipRecipe& recipe : recipes()) {
    SCOPED_TRACE(fmt::format("{} {}", recipe.encoder, recipe.b_frames));
    const test::TemporaryFolder folder;
    if (!make_clip(folder / "whole", recipe)) continue;
    ++made;
    const std::vector<std::string> all = test::hashes_of(*VideoReader::open(folder / "whole"));
    ASSERT_EQ(all.size(), 160U);
    const std::string bytes = test::read_text(folder / "whole");
    ASSERT_NE(bytes.find("elst"), std::string::npos);
    std::vector<std::string> shown;
    std::vector<Edit> shifted = edits;
    for (Edit& edit : shifted) {
      shown.insert(shown.end(), all.begin() + edit.first, all.begin() + edit.first + edit.frames);
      edit.first += first_frame(bytes);
    }
    test::write_text(folder / "edited", with_edits(bytes, shifted));
    const auto reader = VideoReader::open(folder / "edited");
    EXPECT_EQ(test::hashes_of(*reader), shown);
    EXPECT_NEAR(reader->info().fps.value_or(0), 25, 1e-6);
    EXPECT_NEAR(reader->info().duration_s, static_cast<double>(shown.size()) / 25, 0.1);
  }
  EXPECT_GE(made, 3);
}

// Frames that decoding only passes are not shown, whichever decoder it is.
TEST(EditList, APartOfAClipIsThatPart) { check_edits({{50, 33}}); }

// Nor do they count as a clock that was set back, or as damage.
TEST(EditList, TwoPartsFollowEachOther) {
  check_edits({{50, 0}, {35, 122}});
  check_edits({{50, 0}, {55, 90}});  // the second one is decoded from a group on that the first one had
}

}  // namespace
}  // namespace vl3
