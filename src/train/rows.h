#pragma once
// Rows of training data as conversations: the original release's format, and "messages" as other programs
// write them. docs/training.md shows both.

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/json.h"

namespace vl3 {

// A turn of a conversation beside a running clip.
struct StreamTurn {
  std::string role, text;
  double time_s = 0;
};

struct TrainRow {
  std::string origin;              // "file:line"
  Json messages;                   // as ProcessorRequest::conversations wants them, paths resolved
  std::vector<StreamTurn> stream;  // of a row of a stream, whose one message is the clip alone
};

// A row whose media paths begin at `media`. {"conversations": [{"from": "human" | "gpt" | "system",
// "value"}]} with "image" or "video" beside it (a path or a list of paths; of "video" one path, or the frames
// of one clip as a list in the list), whose places "<image>" and "<video>" mark; marks that are missing are
// put in front of the first turn, and turns before the first human one are dropped, but for a system turn. Or
// {"messages": […]} as parse_request takes them. Or {"stream": true, "video": path or [path], "start_time",
// "end_time", "conversation": [{"role", "content", "time"}]}: train/stream.h. Throws kFormat, naming origin
// and field.
TrainRow parse_row(const Json& row, const std::string& origin, const std::filesystem::path& media);

// The rows of a JSON file (a list) or JSON lines, each handed to `row` with its origin; what does not parse
// is handed to `bad` with the reason. Throws kNotFound, kIo, kFormat where a JSON file is no list.
void read_rows(const std::filesystem::path& file,
               const std::function<void(const Json& row, const std::string& origin)>& row,
               const std::function<void(const std::string& origin, const std::string& why)>& bad);

}  // namespace vl3
