#pragma once
// Source of a template → tree. Syntax: Jinja2's, with trim_blocks, lstrip_blocks, loop controls and the
// `generation` tag.

#include <string>

#include "jinja/tree.h"

namespace vl3::jinja {

// Throws kFormat, naming template and line, for bad syntax; kUnsupported for tags, filters and tests that are
// not covered; kLimitExceeded for nesting beyond max_depth.
NodePtr parse(const std::string& source, const std::string& name, int max_depth);

}  // namespace vl3::jinja
