#pragma once
// The folder of an evaluation: answers.jsonl, a line for every sample answered, and summary.json, which says
// who answered and how from the first moment on.

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "eval/tasks.h"
#include "vl3/json.h"

namespace vl3::eval {

// A checkpoint folder, or an adapter's, as the folder of an evaluation names it: what tells it from another
// (checkpoint/fingerprint.h). Throws kNotFound, kIo.
Json identity_of(const std::filesystem::path& model);

class AnswerFolder {
 public:
  // Makes the folder, or goes on in it: a last line without an end is dropped. model and settings: who
  // answers and how. Throws kInvalidArgument, naming what differs, where the folder's answers are another
  // model's or were made with other settings, where another process writes to it, and for answers without a
  // summary.json; kFormat for lines that are no answers.
  AnswerFolder(std::filesystem::path folder, Json model, Json settings);
  ~AnswerFolder();
  AnswerFolder(const AnswerFolder&) = delete;
  AnswerFolder& operator=(const AnswerFolder&) = delete;

  // The sample's answer, or null. Throws kInvalidArgument where the answer is one to another question, or was
  // scored against another answer.
  const Json* find(const Sample& sample) const;
  // Appends a line, whole; kept for find.
  void add(const Sample& sample, const Json& reply);
  // Writes summary.json: of the samples that are answered. complete: whether none is missing.
  Json summarise(const std::vector<Sample>& samples) const;
  // Writes submission.json.
  void write_submission(const Json& content) const;

 private:
  void read();

  std::filesystem::path folder_;
  Json model_, settings_;
  std::map<std::pair<std::string, std::string>, Json> answers_;  // by set and id
  int descriptor_ = -1;
};

}  // namespace vl3::eval
