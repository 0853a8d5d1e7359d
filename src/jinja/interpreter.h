#pragma once
// Runs a parsed template.

#include <string>

#include "jinja/tree.h"
#include "vl3/template_limits.h"

namespace vl3::jinja {

// The text that tree puts out with these variables. name begins every error.
// Throws kInvalidArgument (what the template raises, and operations that fail), kUnsupported, kLimitExceeded.
Text render(const Node& tree, Dict variables, const std::string& name, const TemplateLimits& limits);

}  // namespace vl3::jinja
