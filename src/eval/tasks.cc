#include "eval/tasks.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "base/json_once.h"
#include "base/near_names.h"
#include "base/text_file.h"
#include "eval/row_media.h"

namespace vl3::eval {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

std::string needed_string(const JsonView& row, const char* key) {
  require(row.has(key), ErrorCode::kFormat, "[{}] has no \"{}\"", row.origin(), key);
  return row.string(key, "");
}

// A text, or a list of texts; numbers count as texts.
std::vector<std::string> strings(const JsonView& row, const char* key) {
  std::vector<std::string> result;
  const Json* value = row.find(key);
  if (value == nullptr) return result;
  for (const Json& item : value->is_array() ? *value : Json::array({*value})) {
    require(item.is_string() || item.is_number(), ErrorCode::kFormat,
            "[{}] \"{}\" should be a text or a list of texts, not {}", row.origin(), key, shown(*value));
    result.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  }
  return result;
}

const std::vector<std::string_view> kKeys = {"id",
                                             "question",
                                             "task",
                                             "image",
                                             "images",
                                             "video",
                                             "videos",
                                             "start_time",
                                             "end_time",
                                             "fps",
                                             "num_frames",
                                             "min_frames",
                                             "max_frames",
                                             "answer",
                                             "score",
                                             "tolerance",
                                             "mentions",
                                             "times",
                                             "rotate",
                                             "skip_broken_frames",
                                             "pictures_rate",
                                             "content",
                                             "options",
                                             "pair",
                                             "group",
                                             "question_id",
                                             "video_id",
                                             "question_type"};
// What would be a part of the prompt, were it asked that way.
const std::vector<std::string_view> kNotAsked = {"system",      "tools",   "messages",    "conversations",
                                                 "instruction", "history", "conversation"};

// Rows of benchmarks say much that is not asked, and may; but not what would change the question.
void refuse_misread(const JsonView& row) {
  for (const auto& [key, value] : row.json().items()) {
    const bool known = std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
    if (known || value.is_null()) continue;
    require(std::find(kNotAsked.begin(), kNotAsked.end(), key) == kNotAsked.end(), ErrorCode::kFormat,
            "[{}] has the key \"{}\", which is not asked: \"question\" is the whole prompt", row.origin(),
            key);
    const std::string stem = key.substr(0, key.find_last_not_of("_0123456789") + 1);  // of image_1
    for (const std::string_view meant : kKeys) {
      const bool near = our_name_of(key) == meant || stem == meant ||
                        (key.size() >= 4 && key.size() < 64 && edit_distance(key, meant) == 1);
      require(!near, ErrorCode::kFormat, "[{}] has the key \"{}\", which is not known; did you mean \"{}\"?",
              row.origin(), key, meant);
    }
  }
}

Expected expected_of(const JsonView& row) {
  Expected expected;
  const std::string name = row.string("score", "exact");
  const auto& names = score_names();
  const auto found = std::find(names.begin(), names.end(), name);
  require(found != names.end(), ErrorCode::kFormat, "[{}] \"score\" should be one of {}, not \"{}\"",
          row.origin(), fmt::join(names, ", "), name);
  expected.kind = static_cast<ScoreKind>(found - names.begin());
  expected.answers = strings(row, "answer");
  expected.tolerance = row.number("tolerance", 0);
  expected.mentions = strings(row, "mentions");
  const Json* options = row.find("options");
  if (options != nullptr && options->is_number())
    expected.options.count = static_cast<int>(row.integer("options", 0, 2, 26));
  else
    expected.options.texts = strings(row, "options");
  const std::string wrong = rejection_reason(expected);
  require(wrong.empty(), ErrorCode::kFormat, "[{}] {}", row.origin(), wrong);
  return expected;
}

Sample sample_of(const JsonView& row, const std::string& set, const fs::path& folder) {
  refuse_misread(row);
  Sample sample;
  sample.set = set;
  sample.origin = row.origin();
  const Json* id = row.find("id");
  sample.id = id != nullptr && id->is_number_integer() ? id->dump() : needed_string(row, "id");
  sample.task = row.string("task", set);
  if (row.has("content")) {
    read_content(row, folder, sample);
  } else {
    sample.question = needed_string(row, "question");
    read_media(row, folder, sample);
    sample.message["content"].push_back({{"type", "text"}, {"text", sample.question}});
  }
  sample.expected = expected_of(row);
  if (row.has("answer")) sample.answer = *row.find("answer");
  sample.pair = row.string("pair", "");
  sample.group = row.string("group", "");
  require(sample.group.empty() || !sample.pair.empty(), ErrorCode::kFormat,
          "[{}] has a \"group\" and no \"pair\": points of pairs are added up", row.origin());
  sample.labels = Json::object();
  for (const char* key : {"question_id", "video_id", "question_type"}) {
    if (row.has(key)) sample.labels[key] = *row.find(key);
  }
  return sample;
}

// A pair with one question alone would count it twice.
void check_pairs(const std::vector<Sample>& samples) {
  std::map<std::string, int> sizes;
  for (const Sample& sample : samples) ++sizes[sample.pair];
  for (const Sample& sample : samples)
    require(sample.pair.empty() || sizes[sample.pair] > 1, ErrorCode::kFormat,
            "[{}] \"pair\" is \"{}\", which no other row has", sample.origin, sample.pair);
}

}  // namespace

std::vector<Sample> read_tasks(const fs::path& path) {
  const fs::path file = fs::is_directory(path) ? path / "tasks.jsonl" : path;
  const std::string text = read_text(file, kMaxFileBytes);
  const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  const std::string set =
      file.filename() == "tasks.jsonl" ? folder.filename().string() : file.stem().string();
  std::vector<Sample> samples;
  std::map<std::string, std::string> origins;
  size_t number = 0;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    ++number;
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string origin = fmt::format("{}:{}", file.string(), number);
    const Json row = parse_json_once(line, origin);
    Sample sample = sample_of(JsonView(row, origin), set, folder);
    const auto [before, fresh] = origins.emplace(sample.id, origin);
    require(fresh, ErrorCode::kFormat, "[{}] \"id\" is \"{}\", as in {}", origin, sample.id, before->second);
    samples.push_back(std::move(sample));
  }
  require(!samples.empty(), ErrorCode::kFormat, "[{}] has no rows", file.string());
  check_pairs(samples);
  return samples;
}

std::vector<Sample> read_tasks(const std::vector<fs::path>& paths) {
  std::vector<Sample> all;
  std::map<std::string, fs::path> sets;
  for (const fs::path& path : paths) {
    std::vector<Sample> samples = read_tasks(path);
    const auto [before, fresh] = sets.emplace(samples[0].set, path);
    require(fresh, ErrorCode::kInvalidArgument, "[eval] {} and {} are both called \"{}\": rename one",
            before->second.string(), path.string(), samples[0].set);
    all.insert(all.end(), std::make_move_iterator(samples.begin()), std::make_move_iterator(samples.end()));
  }
  return all;
}

std::vector<Sample> choose(std::vector<Sample> samples, const std::vector<std::string>& tasks,
                           int64_t limit) {
  std::set<std::string> known;
  for (const Sample& sample : samples) known.insert(sample.task);
  for (const std::string& task : tasks)
    require(known.contains(task), ErrorCode::kInvalidArgument, "[eval] there is no task \"{}\"; there are {}",
            task, fmt::join(known, ", "));
  std::map<std::pair<std::string, std::string>, int64_t> counts;
  std::set<std::pair<std::string, std::string>> pairs;  // of which a question is chosen, and so all are
  std::erase_if(samples, [&](const Sample& sample) {
    if (!tasks.empty() && std::find(tasks.begin(), tasks.end(), sample.task) == tasks.end()) return true;
    const std::pair pair(sample.set, sample.pair);
    if (!sample.pair.empty() && pairs.contains(pair)) return false;
    const bool over = limit > 0 && ++counts[{sample.set, sample.task}] > limit;
    if (!over && !sample.pair.empty()) pairs.insert(pair);
    return over;
  });
  return samples;
}

}  // namespace vl3::eval
