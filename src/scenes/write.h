#pragma once
// Scenes as files: training data as `videollama3 train` reads it, or tasks as `videollama3 eval` does.

#include <cstdint>
#include <filesystem>
#include <functional>

#include "scenes/scenes.h"
#include "vl3/thread_pool.h"

namespace vl3::scenes {

struct WriteOptions {
  uint64_t first = 0, count = 0;  // indices of scenes
  bool tasks = false;
  std::function<void(int64_t done, int64_t total)> progress;
  std::function<bool()> cancelled;
};

// Makes the folder out with media/000/000000.png or .mp4 and so on, and scenes.jsonl, a row of
// "conversations" for every scene, or tasks.jsonl, a row for every question. The folder appears whole or not
// at all. Throws kInvalidArgument where it exists, kIo (a full disk), kCancelled.
void write_scenes(ThreadPool& threads, const Options& options, const WriteOptions& write,
                  const std::filesystem::path& out);

}  // namespace vl3::scenes
