#pragma once
// What a chat template may use up.

#include <cstdint>

namespace vl3 {

// What a template, which is a program of somebody else's, may use up in one rendering. Above a limit
// rendering throws kLimitExceeded and names the template, the line and the limit.
struct TemplateLimits {
  int64_t max_source_bytes = int64_t{4} << 20;    // of the template itself
  int64_t max_steps = 5'000'000;                  // statements and expressions evaluated, items visited
  int64_t max_output_bytes = int64_t{256} << 20;  // of the prompt, and of any one string made on the way
  int64_t max_memory_bytes = int64_t{1} << 30;    // of any one value, and of all that are set at a time
  int max_depth = 100;                            // nesting of the source, of calls, and of values
  int64_t max_range = 100'000;                    // length of range(), as the sandbox of Jinja2 has it
};

}  // namespace vl3
