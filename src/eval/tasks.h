#pragma once
// Questions with known answers, as tasks.jsonl holds them. docs/evaluation.md shows the format.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "eval/score.h"
#include "vl3/json.h"

namespace vl3::eval {

struct Sample {
  std::string set;     // the name of its file
  std::string id;      // no other of the set has it
  std::string origin;  // "file:line"
  std::string task;
  std::string question;
  Json media;  // what its row says of pictures and clips, for the record: {} where it has none. Of addresses
               // without their queries, a hash of which is behind them
  Json message;  // of the user: pictures, then clips, then the question, or the parts of "content"; paths
                 // resolved
  Expected expected;
  Json answer;        // as the row has it
  std::string pair;   // empty: none; others of its set have it, too
  std::string group;  // of pairs: what points are added up under; empty: nothing
  Json labels;        // for servers of answers: "question_id", "video_id" and "question_type", as far as told
};

// The samples of a file of JSON lines, or of tasks.jsonl in a folder. The set is called like the folder, or,
// for a file of another name, like the file without its extension. Throws kNotFound where the file or a
// picture or clip is missing, and kFormat, naming file, line, field and value, for rows that cannot be asked
// or scored.
std::vector<Sample> read_tasks(const std::filesystem::path& path);

// The samples of several files. Throws kInvalidArgument where two sets have the same name.
std::vector<Sample> read_tasks(const std::vector<std::filesystem::path>& paths);

// Those of the tasks named (all, where none is), at most `limit` of each task of a set (all, for 0). Throws
// kInvalidArgument for a task that no sample has.
std::vector<Sample> choose(std::vector<Sample> samples, const std::vector<std::string>& tasks, int64_t limit);

}  // namespace vl3::eval
