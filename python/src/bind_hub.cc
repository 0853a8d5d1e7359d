#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>

#include "bindings.h"
#include "off_gil.h"
#include "runtime.h"
#include "vl3/hub.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vl3::python {
namespace {

std::filesystem::path resolve(const std::string& name, const std::optional<std::string>& revision,
                              const std::optional<std::string>& token,
                              const std::optional<std::filesystem::path>& cache_dir, bool local_files_only) {
  HubOptions options;
  options.revision = revision.value_or("");
  options.token = token;
  options.cache_dir = cache_dir.value_or(std::filesystem::path());
  options.local_files_only = local_files_only;
  const LogSink log = python_log();
  options.notes = [&](const std::string& note) { log(LogLevel::kInfo, note); };
  std::atomic<bool> cancelled{false};
  options.cancelled = [&] { return cancelled.load(); };
  return off_gil([&] { cancelled = true; }, [&] { return resolve_model(name, options); });
}

}  // namespace

void bind_hub(nb::module_& module) {
  module.def("resolve_model", &resolve, "name"_a, "revision"_a = nb::none(), "token"_a = nb::none(),
             "cache_dir"_a = nb::none(), "local_files_only"_a = false);
}

}  // namespace vl3::python
