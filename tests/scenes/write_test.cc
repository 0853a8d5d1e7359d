// Scenes as files: they decode, train reads them, and a folder is whole or not there.

#include "scenes/write.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/json.h"
#include "scenes/encode.h"
#include "support/support.h"
#include "train/data/batches.h"
#include "vl3/image.h"
#include "vl3/video.h"

namespace vl3::scenes {
namespace {

namespace fs = std::filesystem;

std::vector<Json> lines_of(const fs::path& path) {
  std::vector<Json> rows;
  std::istringstream lines(test::read_text(path));
  for (std::string line; std::getline(lines, line);) rows.push_back(parse_json(line, path.string()));
  return rows;
}

std::vector<std::string> entries(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(WrittenScenes, OfEveryKindDecodeAndTrain) {
  test::TemporaryFolder folder;
  ThreadPool threads(2);
  for (size_t kind = 0; kind < kind_names().size(); ++kind) {
    const fs::path out = folder / kind_names()[kind];
    Options options;
    options.kinds = {static_cast<Kind>(kind)};
    WriteOptions write;
    write.first = 995;
    write.count = 8;
    write_scenes(threads, options, write, out);
    const auto rows = lines_of(out / "scenes.jsonl");
    ASSERT_EQ(rows.size(), 8U);
    for (size_t i = 0; i < rows.size(); ++i) {
      const Scene scene = make_scene(options, 995 + i);
      EXPECT_EQ(rows[i]["conversations"].size(), 2 * scene.turns.size());
      if (rows[i].contains("image")) {
        EXPECT_EQ(read_image(out / rows[i]["image"].get<std::string>()).rgb, scene.frames[0].rgb);
      } else if (rows[i].contains("video")) {
        const auto reader = VideoReader::open(out / rows[i]["video"].get<std::string>());
        EXPECT_EQ(reader->info().total_frames, static_cast<int64_t>(scene.frames.size()));
        EXPECT_DOUBLE_EQ(reader->info().fps.value_or(0), scene.fps);
        EXPECT_EQ(reader->info().width, scene.frames[0].width);
      } else {
        EXPECT_TRUE(scene.frames.empty());
      }
    }
    TrainConfig config;
    config.model = "models/tiny";
    config.output = folder / "training";
    TrainSource source;
    source.rows = out / "scenes.jsonl";
    config.data = {source};
    config.batch = 8;
    const auto batches = row_batches(config, {});
    EXPECT_EQ(batches->steps_per_epoch(), 1);
    EXPECT_EQ(batches->at(0).samples, 8) << kind_names()[kind];
    EXPECT_FALSE(fs::exists(config.output / "quarantine.jsonl")) << kind_names()[kind];
  }
}

// Of any width: what converts frames works on several columns at once.
TEST(WrittenScenes, ClipsAreReadToTheirRightEdge) {
  const test::TemporaryFolder folder;
  std::vector<int> widths{850, 1366};
  for (int width = 16; width <= 130; width += 2) widths.push_back(width);
  for (const int width : widths) {
    const std::vector<uint8_t> colour{200, 120, 60};
    Image frame{.height = 16, .width = width};
    for (int i = 0; i < 16 * width; ++i) frame.rgb.insert(frame.rgb.end(), colour.begin(), colour.end());
    const std::vector<uint8_t> bytes = encode_mp4({frame, frame}, 2);
    test::write_text(folder / "clip.mp4", std::string(bytes.begin(), bytes.end()));
    const auto reader = VideoReader::open(folder / "clip.mp4");
    reader->read(std::vector<int64_t>{0, 1}, [&](size_t, const Image& image) {
      int off = 0;
      for (size_t i = 0; i < image.rgb.size(); ++i)
        off = std::max(off, std::abs(image.rgb[i] - colour[i % 3]));
      EXPECT_LE(off, 8) << width;
    });
  }
}

TEST(WrittenScenes, TasksSayHowTheyAreScored) {
  test::TemporaryFolder folder;
  ThreadPool threads(1);
  WriteOptions write;
  write.count = 30;
  write.tasks = true;
  write_scenes(threads, {}, write, folder / "out");
  for (const Json& row : lines_of(folder / "out/tasks.jsonl")) {
    const std::string score = row["score"];
    EXPECT_TRUE(score == "exact" || score == "number" || score == "mentions");
    EXPECT_EQ(row.contains("tolerance"), score == "number");
    EXPECT_EQ(row.contains("mentions"), score == "mentions");
  }
}

TEST(WrittenScenes, AToldSceneIsToldOnceAndBeforeEveryTask) {
  test::TemporaryFolder folder;
  ThreadPool threads(1);
  Options options;
  options.kinds = {Kind::kText};
  WriteOptions write;
  write.count = 40;
  write_scenes(threads, options, write, folder / "rows");
  write.tasks = true;
  write_scenes(threads, options, write, folder / "tasks");
  const auto tells = [](const Json& text) { return text.get<std::string>().find('\n') != std::string::npos; };
  size_t told = 0;
  for (const Json& row : lines_of(folder / "rows/scenes.jsonl"))
    for (size_t i = 0; i < row["conversations"].size(); i += 2)
      if (tells(row["conversations"][i]["value"])) {
        EXPECT_EQ(i, 0U);
        ++told;
      }
  EXPECT_GT(told, 10U);
  for (const Json& row : lines_of(folder / "tasks/tasks.jsonl"))
    EXPECT_EQ(tells(row["question"]), row["task"] == "text") << row["question"];
}

TEST(WrittenScenes, AskOnlyWhatIsAskedFor) {
  test::TemporaryFolder folder;
  ThreadPool threads(1);
  Options options;
  options.kinds = {Kind::kShapes, Kind::kWords};
  options.ask = {"place", "relation"};
  write_scenes(threads, options, {.count = 200}, folder / "scenes");
  int rows = 0;
  std::istringstream lines(test::read_text(folder / "scenes" / "scenes.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json turns = parse_json(line, "row")["conversations"];
    const auto about = [&](const char* phrase) {
      return turns[0]["value"].get<std::string>().find(phrase) != std::string::npos;
    };
    EXPECT_TRUE(about("where ") || about("which place") || about("is the ") || about("does the ")) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 200);
  options.ask = {"place", "plaec"};
  try {
    write_scenes(threads, options, {.count = 200}, folder / "misspelt");
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    for (const char* word : {"plaec", "place", "colour"})
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "misspelt"));
}

TEST(WrittenScenes, FolderIsWholeOrNotThere) {
  test::TemporaryFolder folder;
  ThreadPool threads(1);
  WriteOptions write;
  write.count = 20;
  write.cancelled = [] { return true; };
  EXPECT_THROW(write_scenes(threads, {}, write, folder / "out"), Error);
  EXPECT_TRUE(entries(folder.path()).empty()) << entries(folder.path())[0];
  write.cancelled = {};
  write.progress = [&](int64_t, int64_t) { EXPECT_FALSE(fs::exists(folder / "out")); };
  write_scenes(threads, {}, write, folder / "out");
  EXPECT_EQ(entries(folder.path()), std::vector<std::string>{"out"});
  test::write_text(folder / "out/mine", "kept");
  EXPECT_THROW(write_scenes(threads, {}, write, folder / "out"), Error);
  EXPECT_EQ(test::read_text(folder / "out/mine"), "kept");
  write.count = 0;
  EXPECT_THROW(write_scenes(threads, {}, write, folder / "none"), Error);
  EXPECT_FALSE(fs::exists(folder / "none"));
}

}  // namespace
}  // namespace vl3::scenes
