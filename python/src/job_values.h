#pragma once
// Jobs, their options and what came of them as Python's values; python/videollama3/results.py makes classes
// of these.

#include <nanobind/nanobind.h>

#include <string>
#include <vector>

#include "desk.h"
#include "vl3/tokenizer.h"

namespace vl3::python {

// One of LLM's options over those that are there. Throws kInvalidArgument naming it, its value and what it
// should be.
void set_option(DeskOptions& options, const std::string& key, const Json& value);

// [(sequence, index, token, text, logprob or None, finish_reason or None)…]
nanobind::list to_python(const std::vector<JobEvent>& events);
nanobind::dict to_python(const RequestStatus& status);
nanobind::dict to_python(const SchedulerStats& stats);
nanobind::dict to_python(const CacheStats& stats);
// Throws what made it fail. copies: of an only answer.
nanobind::dict to_python(JobOutcome outcome, int64_t copies, const Tokenizer& tokenizer);

}  // namespace vl3::python
