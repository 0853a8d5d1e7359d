#pragma once
// What every template has: its functions, and the variable of a loop.

#include "jinja/value.h"
#include "vl3/template_limits.h"

namespace vl3::jinja {

// range, dict, namespace, raise_exception, strftime_now and joiner, by name. limits must live as long as
// they. Errors name no line: whoever calls adds it.
Dict global_functions(const TemplateLimits& limits);

// "loop" of a for statement at item i of items; depth: of loops, from 1.
Value loop_variable(const List& items, size_t i, int depth);

}  // namespace vl3::jinja
