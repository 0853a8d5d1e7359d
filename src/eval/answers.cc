#include "eval/answers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string_view>
#include <system_error>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/fingerprint.h"
#include "eval/summary.h"

namespace vl3::eval {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxAnswersBytes = uint64_t{4} << 30, kMaxSummaryBytes = 64u << 20;

[[noreturn]] void fail_errno(const fs::path& path, const char* doing) {
  const int error = errno;
  fail(ErrorCode::kIo, "[{}] cannot {}: {}", path.string(), doing, std::generic_category().message(error));
}

// "files/config.json was x, is y; …"; empty where both are the same.
std::string differences(const Json& was, const Json& is) {
  const Json before = was.flatten(), now = is.flatten();
  std::set<std::string> keys;
  for (const Json& both : {before, now}) {
    for (const auto& [key, value] : both.items()) keys.insert(key);
  }
  std::string text;
  for (const std::string& key : keys) {
    const Json a = before.value(key, Json()), b = now.value(key, Json());
    if (a == b || key == "/path") continue;
    text += fmt::format("{}{} was {}, is {}", text.empty() ? "" : "; ", key.substr(key.empty() ? 0 : 1),
                        shown(a), shown(b));
  }
  return text;
}

void write_json(const fs::path& path, const Json& value) {
  AtomicFile file(path);
  file.write(value.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  file.commit();
}

}  // namespace

Json identity_of(const fs::path& model) { return fingerprint(model); }

AnswerFolder::AnswerFolder(fs::path folder, Json model, Json settings)
    : folder_(std::move(folder)), model_(std::move(model)), settings_(std::move(settings)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error, ErrorCode::kIo, "[{}] cannot be made: {}", folder_.string(), error.message());
  const fs::path lines = folder_ / "answers.jsonl", summary = folder_ / "summary.json";
  descriptor_ = ::open(lines.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_errno(lines, "open");
  try {
    require(::flock(descriptor_, LOCK_EX | LOCK_NB) == 0, ErrorCode::kInvalidArgument,
            "[{}] is being written by another process", lines.string());
    read();
    if (fs::exists(summary)) {
      const Json before = parse_json(read_file(summary, kMaxSummaryBytes), summary.string());
      const JsonView view(before, summary.string());
      for (const auto& [key, value] : {std::pair("model", &model_), std::pair("settings", &settings_)}) {
        const std::string differs = differences(view.child(key).json(), *value);
        require(differs.empty() || answers_.empty(), ErrorCode::kInvalidArgument,
                "[{}] holds answers of {}: {}. Give another --out, or remove the folder", folder_.string(),
                std::string_view(key) == "model" ? "another model" : "other settings", differs);
      }
    } else {
      require(answers_.empty(), ErrorCode::kInvalidArgument,
              "[{}] has answers but no summary.json that says whose they are", folder_.string());
    }
    write_json(summary, {{"model", model_}, {"settings", settings_}, {"complete", false}});
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

AnswerFolder::~AnswerFolder() { ::close(descriptor_); }

void AnswerFolder::read() {
  const fs::path path = folder_ / "answers.jsonl";
  std::string text = read_file(path, kMaxAnswersBytes);
  const size_t whole = text.rfind('\n') + 1;  // 0 where there is none
  if (whole < text.size() && ::ftruncate(descriptor_, static_cast<off_t>(whole)) != 0)
    fail_errno(path, "cut off its torn last line");
  text.resize(whole);
  size_t number = 0;
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    const std::string origin = fmt::format("{}:{}", path.string(), ++number);
    Json line = parse_json(std::string_view(text).substr(begin, end - begin), origin);
    const JsonView view(line, origin);
    require(line.contains("score") && view.has("id"), ErrorCode::kFormat, "[{}] is no answer: {}", origin,
            shown(line));
    view.number("score", 0);
    std::pair<std::string, std::string> key(view.string("set", ""), view.string("id", ""));
    answers_[std::move(key)] = std::move(line);
  }
}

const Json* AnswerFolder::find(const Sample& sample) const {
  const auto found = answers_.find({sample.set, sample.id});
  if (found == answers_.end()) return nullptr;
  const Json& line = found->second;
  const std::pair<const char*, Json> asked[] = {{"task", sample.task},
                                                {"media", sample.media},
                                                {"question", sample.question},
                                                {"answer", sample.answer},
                                                {"by", score_name(sample.expected.kind)}};
  for (const auto& [key, value] : asked) {
    if (std::string_view(key) == "by" && !line.contains(key)) continue;  // of earlier versions
    require(line.value(key, Json()) == value, ErrorCode::kInvalidArgument,
            "[{}] \"{}\" is {}, but {} was answered for {}. Give another --out, or remove the folder",
            sample.origin, key, shown(value), sample.id, shown(line.value(key, Json())));
  }
  return &line;
}

void AnswerFolder::write_submission(const Json& content) const {
  write_json(folder_ / "submission.json", content);
}

void AnswerFolder::add(const Sample& sample, const Json& reply) {
  Json line = {{"set", sample.set},
               {"id", sample.id},
               {"task", sample.task},
               {"media", sample.media},
               {"question", sample.question},
               {"answer", sample.answer},
               {"by", score_name(sample.expected.kind)}};
  line.update(reply);
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t put = ::write(descriptor_, rest.data(), rest.size());
    if (put < 0 && errno != EINTR) fail_errno(folder_ / "answers.jsonl", "write");
    if (put > 0) rest.remove_prefix(static_cast<size_t>(put));
  }
  answers_[{sample.set, sample.id}] = std::move(line);
}

Json AnswerFolder::summarise(const std::vector<Sample>& samples) const {
  Summary counted;
  bool complete = true;
  for (const Sample& sample : samples) {
    const Json* line = find(sample);
    complete = complete && line != nullptr;
    counted.add(sample, line);
  }
  Json summary = {{"model", model_}, {"settings", settings_}, {"complete", complete}};
  summary.update(counted.to_json());
  write_json(folder_ / "summary.json", summary);
  return summary;
}

}  // namespace vl3::eval
