#include "eval/submission.h"

#include <algorithm>

#include "base/check.h"
#include "eval/score.h"

namespace vl3::eval {
namespace {

enum class Picks { kNo, kYes, kIfAny };

// What a format needs of its rows.
struct Needs {
  const char* format;
  Picks options;
  std::vector<const char*> labels;
};

const std::vector<Needs>& all_needs() {
  static const std::vector<Needs> needs = {{"egoschema", Picks::kYes, {}},
                                           {"perception_test", Picks::kYes, {"video_id", "question_id"}},
                                           {"mlvu", Picks::kYes, {"question_type"}},
                                           {"docvqa", Picks::kNo, {}},
                                           {"mmmu", Picks::kIfAny, {}}};
  return needs;
}

// Ids are numbers where the set's are.
Json id_of(const std::string& id) {
  const bool digits =
      !id.empty() && id.size() < 16 && id.find_first_not_of("0123456789") == std::string::npos;
  return digits && (id.size() == 1 || id[0] != '0') ? Json(std::stoll(id)) : Json(id);
}

Json letter(int index) { return index < 0 ? std::string() : std::string(1, static_cast<char>('A' + index)); }

void add(const std::string& format, const Sample& sample, const std::string& reply, int index,
         Json& content) {
  if (format == "egoschema") {
    content[sample.id] = index;
  } else if (format == "perception_test") {
    const Json& video = sample.labels["video_id"];
    const std::string& answer = index < 0 ? reply : sample.expected.options.texts[static_cast<size_t>(index)];
    content[video.is_string() ? video.get<std::string>() : video.dump()].push_back(
        {{"id", sample.labels["question_id"]}, {"answer_id", index}, {"answer", answer}});
  } else if (format == "mlvu") {
    content.push_back({{"question_id", sample.id},
                       {"question_type", sample.labels["question_type"]},
                       {"option", letter(index)}});
  } else if (format == "docvqa") {
    content.push_back({{"questionId", id_of(sample.id)}, {"answer", reply}});
  } else {
    content[sample.id] = sample.expected.options.letters() > 0 ? letter(index) : Json(reply);
  }
}

}  // namespace

const std::vector<std::string>& submission_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Needs& needs : all_needs()) list.emplace_back(needs.format);
    return list;
  }();
  return names;
}

void check_submission(const std::string& format, const std::vector<Sample>& samples) {
  const auto found = std::find_if(all_needs().begin(), all_needs().end(),
                                  [&](const Needs& needs) { return needs.format == format; });
  require(found != all_needs().end(), ErrorCode::kInvalidArgument,
          "[eval] a submission is one of {}, not \"{}\"", fmt::join(submission_formats(), ", "), format);
  for (const Sample& sample : samples) {
    require(sample.set == samples[0].set, ErrorCode::kInvalidArgument,
            "[eval] a submission is of one set, not of {} and {}", samples[0].set, sample.set);
    const Options& options = sample.expected.options;
    require(found->options != Picks::kYes || options.letters() > 0, ErrorCode::kFormat,
            "[{}] has no \"options\", which the submission {} needs", sample.origin, format);
    require(format != "perception_test" || !options.texts.empty(), ErrorCode::kFormat,
            "[{}] has \"options\" without texts, which the submission {} needs", sample.origin, format);
    for (const char* label : found->labels)
      require(sample.labels.contains(label), ErrorCode::kFormat,
              "[{}] has no \"{}\", which the submission {} needs", sample.origin, label, format);
  }
}

Submission make_submission(const std::string& format, const std::vector<Sample>& samples,
                           const std::function<std::string(const Sample& sample)>& reply_of) {
  const bool list = format == "mlvu" || format == "docvqa";
  Submission made{list ? Json::array() : Json::object(), {}};
  for (const Sample& sample : samples) {
    const std::string reply = reply_of(sample);
    const bool picks = format != "docvqa" && sample.expected.options.letters() > 0;
    Expected expected = sample.expected;
    if (format == "mmmu") expected.kind = ScoreKind::kLastLetter;  // as its validation is scored
    const int index = picks ? picked(reply, expected) : -1;
    if (picks && index < 0) made.unpicked.push_back(sample.id);
    add(format, sample, reply, index, made.content);
  }
  return made;
}

}  // namespace vl3::eval
