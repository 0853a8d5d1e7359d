#include "errors.h"

#include <memory>
#include <string>

#include "vl3/error.h"

namespace nb = nanobind;

namespace vl3::python {
namespace {

// The package's own exceptions.
struct OwnTypes {
  PyObject* format;
  PyObject* limit;
  PyObject* cancelled;
};

PyObject* type_of(ErrorCode code, const OwnTypes& own) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return PyExc_ValueError;
    case ErrorCode::kNotFound:
      return PyExc_FileNotFoundError;
    case ErrorCode::kIo:
      return PyExc_OSError;
    case ErrorCode::kFormat:
      return own.format;
    case ErrorCode::kUnsupported:
      return PyExc_NotImplementedError;
    case ErrorCode::kLimitExceeded:
      return own.limit;
    case ErrorCode::kOutOfMemory:
      return PyExc_MemoryError;
    case ErrorCode::kCancelled:
      return own.cancelled;
    case ErrorCode::kInternal:
      break;
  }
  return PyExc_RuntimeError;
}

void translate(const std::exception_ptr& thrown, void* own) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    PyErr_SetString(type_of(error.code(), *static_cast<const OwnTypes*>(own)), error.what());
  }
}

}  // namespace

void bind_errors() {
  const nb::module_ errors = nb::module_::import_("videollama3.errors");
  const auto type = [&](const char* name) { return nb::object(errors.attr(name)).release().ptr(); };
  // Read by the translator for as long as the process lives: modules are not unloaded.
  auto own = std::make_unique<OwnTypes>(OwnTypes{type("FormatError"), type("LimitError"), type("Cancelled")});
  nb::register_exception_translator(translate, own.release());
}

}  // namespace vl3::python
