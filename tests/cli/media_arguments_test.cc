#include "cli/media_arguments.h"

#include <gtest/gtest.h>

#include "cli/media_files.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3::cli {
namespace {

using Words = std::vector<std::string>;

std::string shapes() { return test::data_path("../../examples/media/shapes.png").string(); }
std::string moving() { return test::data_path("../../examples/media/moving.mp4").string(); }
std::string tiny() { return test::data_path("../../models/tiny").string(); }

// The words as they are spread for a command with the options of run.
Words spread(const Words& words) {
  CLI::App app("test");
  CLI::App* command = app.add_subcommand("run", "");
  Words images, videos;
  std::string model, prompt, system;
  bool json = false;
  command->add_option("model", model);
  command->add_option("prompt", prompt);
  command->add_option("--image", images)->allow_extra_args(false);
  command->add_option("--video", videos)->allow_extra_args(false);
  command->add_option("--system", system);
  command->add_flag("--json", json);
  app.add_subcommand("inspect", "");
  return spread_media(app, words);
}

TEST(MediaArguments, FilesThatFollowAFileBelongToItsOption) {
  const std::string a = shapes(), b = moving(), m = tiny();
  const std::pair<Words, Words> cases[] = {
      {{"run", m, "--image", a, a, "What?"}, {"run", m, "--image", a, "--image", a, "What?"}},
      {{"run", m, "--image=" + a, a, "What?"}, {"run", m, "--image=" + a, "--image", a, "What?"}},
      {{"run", "--image", a, m, "What?"}, {"run", "--image", a, m, "What?"}},
      {{"run", "--image", a, m + "/model.safetensors", "What?"},
       {"run", "--image", a, m + "/model.safetensors", "What?"}},
      {{"run", "--image", a, "/no/model", "What?"}, {"run", "--image", a, "/no/model", "What?"}},
      {{"run", m, "--video", b, b, "--image", a, "is this a.png?"},
       {"run", m, "--video", b, "--video", b, "--image", a, "is this a.png?"}},
      {{"run", m, "--image", a, "absent.png", "What?"},
       {"run", m, "--image", a, "--image", "absent.png", "What?"}},
      {{"run", m, "--image", a, "--json", "What?"}, {"run", m, "--image", a, "--json", "What?"}},
      {{"run", m, "--image", a, "--", a}, {"run", m, "--image", a, "--", a}},
      {{"run", m, "--system", "--image", a, a}, {"run", m, "--system", "--image", a, a}},
      {{"run", m, "--image", "-", "What?"}, {"run", m, "--image", "-", "What?"}},
      {{"run", m, "--image", a, "Describe"}, {"run", m, "--image", a, "Describe"}},
      {{"run", m, "--image"}, {"run", m, "--image"}},
      {{"inspect", "--image", a, a}, {"inspect", "--image", a, a}},
      {{}, {}},
  };
  for (const auto& [given, wanted] : cases) EXPECT_EQ(spread(given), wanted);
}

TEST(MediaArguments, AWordIsAFileOnlyWhereItCanBeNothingElse) {
  for (const char* word : {"a.png", "a.JPG", "x/y.mp4", "/tmp/x", "./x", "../x", "~/x", "file:///x"})
    EXPECT_TRUE(looks_like_file(word)) << word;
  for (const char* word : {"", "What?", "and/or", "a.b.c", "3.5", "What is a.png", ".png", "/", "e.g."})
    EXPECT_FALSE(looks_like_file(word)) << word;
}

TEST(MediaFiles, KindsAreToldByContent) {
  const test::TemporaryFolder folder;
  std::filesystem::copy_file(shapes(), folder / "clip.mp4");
  std::filesystem::copy_file(moving(), folder / "picture.png");
  test::write_text(folder / "text.png", "nothing");
  EXPECT_EQ(media_kind(folder / "clip.mp4", {}), MediaKind::kPicture);
  EXPECT_EQ(media_kind(folder / "picture.png", {}), MediaKind::kClip);
  EXPECT_EQ(media_kind(folder / "text.png", {}), MediaKind::kNone);
  EXPECT_EQ(media_kind(folder / "absent", {}), MediaKind::kNone);
  std::filesystem::create_directory(folder / "empty");
  EXPECT_EQ(media_kind(folder / "empty", {}), MediaKind::kNone);
  std::filesystem::create_directory(folder / "frames");
  std::filesystem::copy_file(shapes(), folder / "frames/1.png");
  EXPECT_EQ(media_kind(folder / "frames", {}), MediaKind::kClip);
}

TEST(MediaFiles, AWrongOptionIsToldTheRightOne) {
  const auto error = [](const Words& images, const Words& videos) -> std::string {
    try {
      check_media_options(images, videos, {});
    } catch (const Error& failure) {
      return failure.what();
    }
    return "";
  };
  EXPECT_EQ(error({shapes()}, {moving()}), "");
  EXPECT_NE(error({moving()}, {}).find("give it as --video"), std::string::npos);
  EXPECT_NE(error({}, {shapes()}).find("give it as --image"), std::string::npos);
  EXPECT_EQ(error({"/absent.png"}, {"/absent.mp4"}), "");  // decoding says so
}

TEST(MediaFiles, AFileOfACheckpointStandsForItsFolder) {
  const test::TemporaryFolder folder;
  for (const char* name : {"model.safetensors", "model-00001-of-00002.safetensors",
                           "model.safetensors.index.json", "config.json", "notes.txt"})
    test::write_text(folder / name, "x");
  const std::string path = folder.path().string();
  for (const char* name : {"/model.safetensors", "/model-00001-of-00002.safetensors",
                           "/model.safetensors.index.json", "/config.json"})
    EXPECT_EQ(checkpoint_folder(path + name), path);
  for (const std::string& other : {path, path + "/notes.txt", path + "/absent.safetensors", std::string("x")})
    EXPECT_EQ(checkpoint_folder(other), other);
}

}  // namespace
}  // namespace vl3::cli
