#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_once.h"
#include "base/text_file.h"
#include "train/data/row_forms.h"
#include "train/data/row_media.h"
#include "vl3/training_rows.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{4} << 30;

// Keys that say something of a row and nothing to the model.
const std::vector<std::string_view> kMetadata = {
    "id",         "idx",         "index",         "uid",       "uuid",   "sample_id", "row_id",   "source",
    "dataset",    "data_source", "dataset_name",  "subset",    "split",  "origin",    "category", "task",
    "task_type",  "question_id", "question_type", "type",      "topic",  "domain",    "tag",      "tags",
    "language",   "lang",        "license",       "model",     "score",  "scores",    "quality",  "rating",
    "difficulty", "metadata",    "meta",          "meta_info", "author", "version",   "comment",  "note",
    "notes",      "num_turns",   "date",          "num_tokens"};
// Those that say something of its pictures or clips, where it has some: they cannot stand for one.
const std::vector<std::string_view> kMediaMetadata = {
    "width",      "height",     "width_list", "height_list", "image_id", "video_id",
    "image_size", "resolution", "num_images", "image_count", "modality"};
const std::vector<std::string_view> kKnown = {
    "conversations", "messages", "image",    "images",     "video",      "videos",     "system",
    "tools",         "history",  "fps",      "start_time", "end_time",   "num_frames", "min_frames",
    "max_frames",    "output",   "response", "query",      "instruction"};

// Options for all clips of a row.
Json clip_options_of(RowKeys& row) {
  Json options = Json::object();
  for (const char* key : {"start_time", "end_time", "fps"}) {
    if (row.take(key) != nullptr) options[key] = row.view().number(key, 0);
  }
  for (const char* key : {"num_frames", "min_frames", "max_frames"}) {
    if (row.take(key) != nullptr) options[key] = row.view().integer(key, 0, 0, 1 << 24);
  }
  for (const char* key : {"times", "rotate", "skip_broken_frames", "pictures_rate"}) {
    if (const Json* value = row.take(key)) options[key] = *value;  // checked where the clip is read
  }
  return options;
}

void require_all_read(const RowKeys& row, bool has_media) {
  std::vector<std::string_view> metadata = kMetadata;
  if (has_media) metadata.insert(metadata.end(), kMediaMetadata.begin(), kMediaMetadata.end());
  row.require_all_read(metadata, kKnown);
}

// Text of a turn: a string, or parts of text.
std::string text_of(const Json& content, const std::string& origin) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  require(content.is_array(), ErrorCode::kFormat, "[{}] a turn's \"content\" is {}, not text", origin,
          shown(content));
  for (const Json& json : content) {
    RowKeys part(json, origin);
    const Json *type = part.take("type"), *words = part.take("text");
    require((type == nullptr || *type == "text") && words != nullptr && words->is_string(),
            ErrorCode::kFormat,
            "[{}] a turn of a stream has {}; its pictures are the clip's frames, the rest is text", origin,
            shown(json));
    part.require_all_read({}, {"type", "text"});
    text += words->get<std::string>();
  }
  return text;
}

StreamTurn stream_turn(const Json& json, const std::string& origin) {
  require(json.is_object(), ErrorCode::kFormat, "[{}] a turn is {}", origin, shown(json));
  RowKeys turn(json, origin);
  const Json *role = turn.take("role"), *content = turn.view().find("content");
  turn.take("content");
  require(role != nullptr && (*role == "user" || *role == "assistant" || *role == "system"),
          ErrorCode::kFormat, "[{}] a turn has the role {}; it should be user, assistant or system", origin,
          role == nullptr ? "\"\"" : shown(*role));
  require(content != nullptr && turn.take("time") != nullptr, ErrorCode::kFormat,
          "[{}] a turn of a stream should have \"content\" and \"time\", not {}", origin, shown(json));
  turn.require_all_read({"id"}, {"role", "content", "time"});
  std::string text = text_of(*content, origin);
  for (const char* mark : {"<image>", "<video>"})
    require(text.find(mark) == std::string::npos, ErrorCode::kFormat,
            "[{}] a turn of a stream has \"{}\"; its pictures are the clip's frames", origin, mark);
  if (*role == "user") require_no_foreign_marks(text, origin);
  return {role->get<std::string>(), std::move(text), turn.view().number("time", 0)};
}

TrainRow from_stream(RowKeys& row, const fs::path& media) {
  const std::string& origin = row.origin();
  TrainRow result{origin, {}, {}};
  RowMedia clips = listed_media(row, "video", media);
  require(clips.parts.size() == 1, ErrorCode::kFormat, "[{}] a stream has one \"video\", not {}", origin,
          clips.parts.size());
  const Json& paths = clips.parts[0]["video"];
  for (const Json& path : paths.is_array() ? paths : Json::array({paths}))
    require(!is_url(path.get<std::string>()), ErrorCode::kFormat,
            "[{}] \"video\" of a stream should be a file, not {}", origin, shown(path));
  clips.parts[0].update(clip_options_of(row));
  result.messages = Json::array({{{"role", "stream"}, {"content", Json::array({clips.parts[0]})}}});
  const Json* turns = row.take("conversation");
  require(turns != nullptr && turns->is_array(), ErrorCode::kFormat,
          "[{}] \"conversation\" should be a list of turns", origin);
  if (const Json* system = row.take("system"))  // before every frame
    result.stream.push_back({"system", text_of(*system, origin), -std::numeric_limits<double>::infinity()});
  for (const Json& json : *turns) {
    StreamTurn turn = stream_turn(json, origin);
    const double last_s = result.stream.empty() ? turn.time_s : result.stream.back().time_s;
    require(turn.time_s >= last_s, ErrorCode::kFormat, "[{}] a turn at {} s comes after one at {} s", origin,
            turn.time_s, last_s);
    result.stream.push_back(std::move(turn));
  }
  require_all_read(row, true);
  return result;
}

// What a file is that begins so, where it is no text.
std::string_view packed_format(std::string_view head) {
  if (head.starts_with("\x1f\x8b")) return "a gzip file: unpack it first";
  if (head.starts_with("PK\x03\x04")) return "a zip file: unpack it first";
  if (head.starts_with("\x28\xb5\x2f\xfd")) return "a Zstandard file: unpack it first";
  if (head.starts_with("PAR1")) return "a Parquet file: write its rows as JSON lines first";
  return {};
}

}  // namespace

TrainRow parse_row(const Json& json, const std::string& origin, const fs::path& media) {
  RowKeys row(json, origin);
  row.take("stream");
  if (row.view().boolean("stream", false)) return from_stream(row, media);
  TrainRow result{origin, messages_of(row), {}};
  bool answered = false;
  for (const Json& message : result.messages) answered = answered || message["role"] == "assistant";
  require(answered, ErrorCode::kFormat, "[{}] has no answer to learn", origin);
  RowMedia images = listed_media(row, "image", media), videos = listed_media(row, "video", media);
  place_media(result.messages, std::move(images), std::move(videos), clip_options_of(row), media, origin);
  if (Json tools = tools_of(row); !tools.is_null()) result.template_arguments = {{"tools", std::move(tools)}};
  require_all_read(row, holds_media(result.messages));
  return result;
}

void read_rows(const fs::path& file, const std::function<void(const Json&, const std::string&)>& row,
               const std::function<void(const std::string&, const std::string&)>& bad) {
  const auto one = [&](const auto& get, const std::string& origin) {
    try {
      row(get(), origin);
    } catch (const Error& error) {
      bad(origin, error.what());
    }
  };
  std::error_code ignored;
  require(!fs::exists(file, ignored) || fs::is_regular_file(file, ignored), ErrorCode::kInvalidArgument,
          "[{}] is no regular file: rows are read more than once, so that a pipe will not do", file.string());
  std::ifstream lines(file, std::ios::binary);
  require(lines.good(), ErrorCode::kNotFound, "[{}] cannot be read", file.string());
  std::string head(4, '\0');
  lines.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(lines.gcount()));
  require(packed_format(head).empty(), ErrorCode::kFormat, "[{}] is {}", file.string(), packed_format(head));
  const std::streamoff mark =
      static_cast<std::streamoff>(head.size() - without_bom(head, file.string()).size());
  const auto from_start = [&] {
    lines.clear();
    lines.seekg(mark);
  };
  from_start();
  char first = 0;
  lines >> first;
  if (first == '[') {
    const Json list = parse_json_once(read_text(file, kMaxFileBytes), file.string());
    for (size_t i = 0; i < list.size(); ++i)
      one([&] { return list[i]; }, fmt::format("{}[{}]", file.string(), i));
    return;
  }
  from_start();
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string origin = fmt::format("{}:{}", file.string(), number);
    one([&] { return parse_json_once(line, origin); }, origin);
  }
  require(!lines.bad(), ErrorCode::kIo, "[{}] cannot be read to its end", file.string());
}

}  // namespace vl3
