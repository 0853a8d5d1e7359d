// The module videollama3._core: the library as it is, in Python's values. The classes people use are written
// in Python over it (python/videollama3).
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

extern "C" {
#include <libavutil/log.h>
}

#include <cstdint>

#include "bindings.h"
#include "errors.h"
#include "gil.h"
#include "tensors.h"
#include "vl3/version.h"

NB_MODULE(_core, module) {
  namespace python = vl3::python;
  module.doc() = "The engine under the package videollama3.";
  module.attr("version") = VL3_VERSION_STRING;
  // Codecs write to stderr whatever a program says: a wheel's FFmpeg is this module's alone, and an installed
  // one that others share keeps what they set.
  if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
  // Threads that are cut off in the end keep what they hold, whoever wrote it.
  nanobind::set_leak_warnings(false);
  module.def("end_calls", &python::end_calls, "Python ends: nothing of other threads is to be under way.");
  nanobind::module_::import_("atexit").attr("register")(module.attr("end_calls"));
  python::bind_errors();
  module.def(
      "address_of",
      [](nanobind::handle array) {
        return reinterpret_cast<uintptr_t>(python::from_python(array, "array").address());
      },
      nanobind::arg("array"), "Where the engine reads an array: of a dense one its own memory.");
  python::bind_runtime(module);
  python::bind_processor(module);
  python::bind_model(module);
  python::bind_llm(module);
  python::bind_hub(module);
}
