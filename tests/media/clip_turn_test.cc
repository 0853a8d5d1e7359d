// Clips that lie on their side, and folders of frames.

#include "media/clip_turn.h"

#include <gtest/gtest.h>

#include "media/picture_frames.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

constexpr int32_t kOne = 1 << 16;
std::array<int32_t, 9> matrix_of(int a, int b, int c, int d) {
  return {a * kOne, b * kOne, 0, c * kOne, d * kOne, 0, 0, 0, 1 << 30};
}

struct Case {
  std::array<int32_t, 9> matrix;
  ClipTurn turn;
  std::string upright;  // of the rows "abc" and "def", rows with a blank between
};
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {matrix_of(1, 0, 0, 1), {false, 0}, "abc def"},   {matrix_of(0, 1, -1, 0), {false, 1}, "da eb fc"},
      {matrix_of(-1, 0, 0, -1), {false, 2}, "fed cba"}, {matrix_of(0, -1, 1, 0), {false, 3}, "cf be ad"},
      {matrix_of(-1, 0, 0, 1), {true, 0}, "cba fed"},   {matrix_of(0, -1, -1, 0), {true, 1}, "fc eb da"},
      {matrix_of(1, 0, 0, -1), {true, 2}, "def abc"},   {matrix_of(0, 1, 1, 0), {true, 3}, "ad be cf"},
  };
  return all;
}

Image letters() {
  Image image;
  image.width = 3;
  image.height = 2;
  for (const char c : std::string("abcdef")) image.rgb.insert(image.rgb.end(), 3, static_cast<uint8_t>(c));
  return image;
}

std::string rows_of(const Image& image) {
  std::string text;
  for (int64_t i = 0; i < image.width * image.height; ++i) {
    if (i > 0 && i % image.width == 0) text += ' ';
    text += static_cast<char>(image.rgb[static_cast<size_t>(3 * i)]);
  }
  return text;
}

TEST(ClipTurn, MatricesAreMirrorsAndQuarters) {
  for (const Case& of : cases()) {
    const ClipTurn found = clip_turn(of.matrix);
    EXPECT_EQ(found, of.turn) << of.upright;
    Image image = letters();
    turn(found, image);
    EXPECT_EQ(rows_of(image), of.upright);
  }
  EXPECT_FALSE(clip_turn(std::array<int32_t, 9>{}));
  // Ten degrees are nearer to no quarter than to one.
  EXPECT_FALSE(clip_turn(std::array<int32_t, 9>{64540, 11380, 0, -11380, 64540, 0, 0, 0, 1 << 30}));
}

// The example clip with another matrix in its track's header.
std::string turned_clip(const std::array<int32_t, 9>& matrix) {
  std::string movie = test::read_text(test::data_path("../../examples/media/moving.mp4"));
  constexpr size_t kMatrix = 4 + 40;  // behind the four letters
  const size_t at = movie.find("tkhd");
  EXPECT_NE(at, std::string::npos);
  for (size_t i = 0; i < 9; ++i) {
    for (size_t k = 0; k < 4; ++k)
      movie[at + kMatrix + 4 * i + k] = static_cast<char>(static_cast<uint32_t>(matrix[i]) >> (24 - 8 * k));
  }
  return movie;
}

TEST(ClipTurn, FramesStandUprightWhereThatIsAskedFor) {
  const test::TemporaryFolder folder;
  Image stored;
  const std::vector<int64_t> one = {7};
  for (const Case& of : cases()) {
    test::write_text(folder / "clip.mp4", turned_clip(of.matrix));
    const auto as_stored = VideoReader::open(folder / "clip.mp4");
    EXPECT_EQ(as_stored->info().turn, of.turn) << of.upright;
    EXPECT_EQ(as_stored->info().width, 224);
    as_stored->read(one, [&](size_t, const Image& frame) { stored = frame; });
    const auto upright = VideoReader::open(folder / "clip.mp4");
    upright->turn_upright();
    upright->turn_upright();  // once is enough
    turn(of.turn, stored);
    EXPECT_EQ(upright->info().width, stored.width);
    EXPECT_EQ(upright->info().height, stored.height);
    for (int again = 0; again < 2; ++again)
      upright->read(one, [&](size_t, const Image& frame) { EXPECT_EQ(frame.rgb, stored.rgb); });
  }
}

TEST(ClipTurn, TheCaseFromTheFieldIs112Wide) {
  VL3_NEED_SHARED(clip, "cases/rot90.mp4");
  const auto reader = VideoReader::open(clip);
  EXPECT_TRUE(reader->info().turn);
  reader->turn_upright();
  EXPECT_EQ(reader->info().width, 112);
  EXPECT_EQ(reader->info().height, 168);
}

TEST(PictureFrames, NamesAreOrderedByTheirNumbers) {
  const std::vector<std::string> ordered = {
      "a",        "a1",       "a01",       "a2",        "a10",
      "a10b",     "b2_9.png", "b2_10.png", "b02_1.png", "b12345678901234567890123.png",
      "frame.png"};
  for (size_t i = 0; i < ordered.size(); ++i) {
    for (size_t j = 0; j < ordered.size(); ++j) {
      if (ordered[i].starts_with("b02") || ordered[j].starts_with("b02")) continue;
      EXPECT_EQ(in_natural_order(ordered[i], ordered[j]), i < j) << ordered[i] << " and " << ordered[j];
    }
  }
  EXPECT_TRUE(in_natural_order("b02_1.png", "b2_9.png"));  // two is two
}

void copy_picture(const std::filesystem::path& target) {
  std::filesystem::copy_file(test::data_path("../../examples/media/shapes.png"), target);
}

TEST(PictureFrames, ForeignFilesOfAFolderAreLeftOutWithAWord) {
  const test::TemporaryFolder folder;
  copy_picture(folder / "frame_10.png");
  copy_picture(folder / "frame_9");  // a picture by its content
  for (const char* name : {"Thumbs.db", ".DS_Store", "notes.txt", "meta.json"})
    test::write_text(folder / name, "x");
  const auto reader = VideoReader::open(folder.path(), {}, 12.5);
  EXPECT_EQ(reader->info().total_frames, 2);
  EXPECT_EQ(reader->info().fps, 12.5);
  EXPECT_DOUBLE_EQ(reader->info().duration_s, 2 / 12.5);
  ASSERT_EQ(reader->notes().size(), 1U);
  for (const char* part : {".DS_Store", "Thumbs.db", "meta.json", "1 more"})
    EXPECT_NE(reader->notes()[0].find(part), std::string::npos) << reader->notes()[0];
  // A frame that is broken is not foreign: leaving it out would move all that follow.
  test::write_text(folder / "frame_11.png", "");
  const auto broken = VideoReader::open(folder.path());
  EXPECT_EQ(broken->info().total_frames, 3);
  EXPECT_THROW(broken->read(std::vector<int64_t>{2}, [](size_t, const Image&) {}), Error);
  // Nor is one that is a link to a file that is gone.
  std::filesystem::remove(folder / "frame_11.png");
  std::filesystem::create_symlink("gone.png", folder / "frame_11.png");
  std::filesystem::create_symlink("gone", folder / "A_link");
  const auto gone = VideoReader::open(folder.path());
  EXPECT_EQ(gone->info().total_frames, 3);
  EXPECT_NE(gone->notes()[0].find("A_link"), std::string::npos) << gone->notes()[0];
  try {
    gone->read(std::vector<int64_t>{2}, [](size_t, const Image&) {});
    ADD_FAILURE() << "read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("frame_11.png"), std::string::npos) << error.what();
  }
  const test::TemporaryFolder none;
  test::write_text(none / "notes.txt", "x");
  try {
    VideoReader::open(none.path());
    ADD_FAILURE() << "opened";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("notes.txt"), std::string::npos) << error.what();
  }
}

TEST(PictureFrames, CasesFromTheField) {
  VL3_NEED_SHARED(cases, "cases");
  const auto numbered = VideoReader::open(cases / "frames_unpadded");
  ASSERT_EQ(numbered->info().total_frames, 12);
  std::vector<int64_t> all(12);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  numbered->read(all, [](size_t i, const Image& frame) {
    EXPECT_NEAR(frame.rgb[0], 20 * (static_cast<int>(i) + 1), 2) << "frame " << i;  // as JPEGs round
  });
  const auto with_thumbs = VideoReader::open(cases / "frames_with_thumbs");
  EXPECT_EQ(with_thumbs->info().total_frames, 2);
  ASSERT_EQ(with_thumbs->notes().size(), 1U);
  EXPECT_NE(with_thumbs->notes()[0].find("Thumbs.db"), std::string::npos);
}

}  // namespace
}  // namespace vl3
