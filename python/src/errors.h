#pragma once
// Exceptions of the library as those of Python.

#include <nanobind/nanobind.h>

namespace vl3::python {

// Has every vl3::Error arrive in Python, with the message as it is, as one of Python's own exceptions or of
// videollama3/errors.py:
//   kInvalidArgument  ValueError           kNotFound       FileNotFoundError
//   kIo               OSError              kFormat         FormatError (a ValueError)
//   kLimitExceeded    LimitError (a ValueError)            kUnsupported  NotImplementedError
//   kOutOfMemory      MemoryError          kCancelled      Cancelled
//   kInternal         RuntimeError
void bind_errors();

}  // namespace vl3::python
