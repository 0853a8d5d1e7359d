#pragma once
// Answers in the files that servers of test sets want. docs/evaluation.md has the table.

#include <functional>
#include <string>
#include <vector>

#include "eval/tasks.h"
#include "vl3/json.h"

namespace vl3::eval {

const std::vector<std::string>& submission_formats();  // "egoschema", "perception_test", …

// Throws kInvalidArgument for a format that is none and for samples of several sets, kFormat, naming the row
// and the key, where a sample lacks what the format needs.
void check_submission(const std::string& format, const std::vector<Sample>& samples);

struct Submission {
  Json content;
  std::vector<std::string> unpicked;  // ids of samples whose replies pick no option
};
// reply_of: of a sample that check_submission let through.
Submission make_submission(const std::string& format, const std::vector<Sample>& samples,
                           const std::function<std::string(const Sample& sample)>& reply_of);

}  // namespace vl3::eval
