#pragma once
// The one exception the library throws. Programs turn its code into an exit status, servers into an HTTP
// status.

#include <stdexcept>
#include <string>

#include "vl3/export.h"

namespace vl3 {

enum class ErrorCode {
  kInvalidArgument,  // a value the caller gave is out of its range, or two of them disagree
  kNotFound,         // a file, tensor or name that should be there is not
  kIo,               // the operating system refused: permissions, a full disk, a short read
  kFormat,           // bytes that are not what they claim to be: truncated or corrupt files
  kUnsupported,      // well-formed, but the engine cannot do it right, so it does not do it at all
  kLimitExceeded,    // larger than a configured limit; the message says which and how to raise it
  kOutOfMemory,
  kCancelled,
  kInternal,  // a bug of ours
};

// "invalid_argument", "not_found", … for logs and JSON.
VL3_API const char* to_string(ErrorCode code) noexcept;

class VL3_API Error : public std::runtime_error {
 public:
  // message begins with the [op] or [file] it is about and carries the values and limits involved.
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace vl3
