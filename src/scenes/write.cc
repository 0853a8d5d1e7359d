#include "scenes/write.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "scenes/encode.h"

namespace vl3::scenes {
namespace {

namespace fs = std::filesystem;

// Plainly: the folder is renamed when all of it is there.
void write_file(const fs::path& path, std::span<const uint8_t> bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const bool closed = file != nullptr && std::fclose(file) == 0;
  const int error = errno;
  require(written && closed, ErrorCode::kIo, "[{}] cannot be written: {}", path.string(),
          std::generic_category().message(error));
}

// A question that can be asked first: what the scene tells stands before it.
std::string opening(const Scene& scene, const Turn& turn) {
  return scene.told.empty() ? turn.question : scene.told + "\n" + turn.question;
}

Json conversation_row(const Scene& scene, const std::string& id, const std::string& media) {
  Json row = {{"id", id}};
  const bool clip = scene.frames.size() > 1;
  if (!media.empty()) row[clip ? "video" : "image"] = media;
  const std::string mark = media.empty() ? "" : clip ? "<video>\n" : "<image>\n";
  Json turns = Json::array();
  for (const Turn& turn : scene.turns) {
    turns.push_back(
        {{"from", "human"}, {"value", turns.empty() ? mark + opening(scene, turn) : turn.question}});
    turns.push_back({{"from", "gpt"}, {"value", turn.answer}});
  }
  row["conversations"] = std::move(turns);
  return row;
}

Json task_row(const Scene& scene, const Turn& turn, const std::string& id, const std::string& media) {
  constexpr const char* kScores[] = {"exact", "number", "mentions"};
  Json row = {{"id", id}, {"task", turn.task}};
  if (!media.empty()) row[scene.frames.size() > 1 ? "video" : "image"] = media;
  row["question"] = opening(scene, turn);
  row["answer"] = turn.answer;
  row["score"] = kScores[static_cast<size_t>(turn.score)];
  if (turn.score == Score::kNumber) row["tolerance"] = turn.tolerance;
  if (turn.score == Score::kMentions) row["mentions"] = turn.mentions;
  return row;
}

// Writes the scene's media; its rows.
std::string write_scene(const Options& options, bool tasks, uint64_t index, const fs::path& folder) {
  const Scene scene = make_scene(options, index);
  std::string media;
  if (!scene.frames.empty()) {
    const bool clip = scene.frames.size() > 1;
    media = fmt::format("media/{:03}/{:06}.{}", index / 1000, index, clip ? "mp4" : "png");
    write_file(folder / media, clip ? encode_mp4(scene.frames, scene.fps) : encode_png(scene.frames[0]));
  }
  const std::string id = fmt::format("{:06}", index);
  if (!tasks) return conversation_row(scene, id, media).dump() + "\n";
  std::string rows;
  for (size_t i = 0; i < scene.turns.size(); ++i)
    rows += task_row(scene, scene.turns[i], fmt::format("{}-{}", id, i), media).dump() + "\n";
  return rows;
}

}  // namespace

void write_scenes(ThreadPool& threads, const Options& options, const WriteOptions& write,
                  const fs::path& out) {
  require(!fs::exists(out), ErrorCode::kInvalidArgument, "[{}] exists already", out.string());
  require(write.count > 0, ErrorCode::kInvalidArgument, "[scenes] count is 0, at least 1");
  check_asked(options);
  NewFolder folder(out);
  for (uint64_t thousand = write.first / 1000; thousand <= (write.first + write.count - 1) / 1000; ++thousand)
    fs::create_directories(folder.path() / fmt::format("media/{:03}", thousand));
  AtomicFile rows(folder.path() / (write.tasks ? "tasks.jsonl" : "scenes.jsonl"));
  constexpr int64_t kAtOnce = 1024;
  const auto total = static_cast<int64_t>(write.count);
  for (int64_t begin = 0; begin < total; begin += kAtOnce) {
    std::vector<std::string> written(static_cast<size_t>(std::min(kAtOnce, total - begin)));
    threads.parallel_for(static_cast<int64_t>(written.size()), 8, [&](int64_t from, int64_t to, int) {
      for (int64_t i = from; i < to; ++i)
        written[static_cast<size_t>(i)] =
            write_scene(options, write.tasks, write.first + static_cast<uint64_t>(begin + i), folder.path());
    });
    for (const std::string& lines : written) rows.write(lines);
    if (write.progress) write.progress(begin + static_cast<int64_t>(written.size()), total);
    require(!write.cancelled || !write.cancelled(), ErrorCode::kCancelled, "[scenes] cancelled");
  }
  rows.commit();
  folder.commit();
}

}  // namespace vl3::scenes
