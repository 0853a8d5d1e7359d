#pragma once
// Rows of training data as conversations: the original release's format, and those of other programs.
// docs/training.md shows them all.

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vl3/export.h"
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
  Json template_arguments = {};    // {"tools": …} where the row has them, else null
};

// A row whose media paths begin at `media`. Its turns stand under one of
//   "conversations" or "messages": [{"from": "human" | "gpt" | "system", "value"} or {"role", "content"}]
//     ("conversation" where the row is no stream; also [{"human", "assistant"}]),
//   "instruction" with "input", "output" and "history"; "query" with "response" and "history".
// Its media stand in the parts of messages or in "image", "images", "video", "videos": a path or a list of
// them, of clips also the frames of one as a list in the list. The places "<image>" and "<video>" in user's
// turns, and parts without a file, take from these lists in turn, and nothing may be left over on either
// side; only of "image" and "video" what has no place comes in front of the first question, as the original
// release has it. "system", "tools", and "start_time", "end_time", "fps", "num_frames", "min_frames",
// "max_frames" for all clips. Of {"from", "value"} turns, those before the first human one are dropped, but
// for a system turn. Or {"stream": true, "video": path or [path], "conversation": [{"role", "content",
// "time"}]}: train/data/stream.h. Throws kFormat, naming origin and field; a key that is none of these, nor
// metadata (kMetadata in rows.cc), nor null or empty is refused by name.
VL3_API TrainRow parse_row(const Json& row, const std::string& origin, const std::filesystem::path& media);

// The rows of a JSON file (a list) or JSON lines, each handed to `row` with its origin; what does not parse
// is handed to `bad` with the reason. Throws kNotFound, kIo, kFormat where a JSON file is no list, or the
// text is not UTF-8.
VL3_API void read_rows(const std::filesystem::path& file,
                       const std::function<void(const Json& row, const std::string& origin)>& row,
                       const std::function<void(const std::string& origin, const std::string& why)>& bad);

}  // namespace vl3
