#pragma once
// Many requests from a file, in OpenAI's batch format, over the same routes as a server's.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <istream>

#include "serve/api.h"
#include "serve/batch_file.h"

namespace vl3::serve {

struct BatchProgress {
  int64_t skipped = 0;   // rows whose answer was there already
  int64_t answered = 0;  // with status 200
  int64_t refused = 0;   // written as errors
  int64_t repeated = 0;  // of these, rows with the id of another row
  uint64_t bytes_read = 0;
};

struct BatchOptions {
  int64_t at_once = 64;                          // rows under way
  uint64_t bytes_at_once = uint64_t{256} << 20;  // of their lines, unless a single one has more
  uint64_t max_line_bytes = uint64_t{256} << 20;
  // Told on the calling thread, about twice a second and at the end; may be null.
  std::function<void(const BatchProgress&)> progress;
  std::function<bool()> cancelled;  // asked about as often; may be null
};

// Answers every row of the input that the output has no line for:
//   {"custom_id", "method": "POST", "url": "/v1/…", "body"} →
//   {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}
// A row that is none has an error of its own and a null custom_id; so has one with the id of an earlier row.
// Lines come as answers end. Throws kIo where input or output fails, and kCancelled: what was written is
// good, and the next run goes on behind it.
BatchProgress run_batch(Api& api, std::istream& input, BatchFile& output, const BatchOptions& options);

}  // namespace vl3::serve
