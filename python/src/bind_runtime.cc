#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bind_lending.h"
#include "bindings.h"
#include "runtime.h"
#include "vl3/media_fetch.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace vl3::python {
void bind_runtime(nb::module_& module) {
  nb::class_<MediaSource>(module, "Media", "A picture or clip that a message shows by its name.")
      .def_prop_ro("name", &MediaSource::name);
  nb::class_<Runtime> runtime(module, "Runtime",
                              "Threads, kernels and scratch memory; its calls take turns.");
  runtime
      .def(
          "__init__",
          [](Runtime* self, int threads, const std::string& compute, const std::string& cache,
             const std::string& cpu) {
            ContextOptions options;
            options.num_threads = threads;
            options.compute = compute_of("compute", compute);
            options.cache = cache_type_of("cache", cache);
            options.cpu = cpu;
            new (self) Runtime(std::move(options));
          },
          "threads"_a = 0, "compute"_a = "auto", "cache"_a = "auto", "cpu"_a = "")
      .def(
          "media_address",
          [](Runtime& self, const std::string& address, bool video, const std::vector<std::string>& allowed) {
            return self.call([&](Context& context) {
              MediaFetchOptions options;
              options.allow_addresses = allowed;
              return MediaFetcher(std::move(options)).fetch(address, video, false, [&] {
                return context.cancelled();
              });
            });
          },
          "address"_a, "video"_a, "allow_addresses"_a, "A picture or clip of the web.")
      .def(
          "media_path", [](Runtime&, const std::filesystem::path& path) { return MediaSource(path); },
          "path"_a);
  bind_lending(runtime);
}

}  // namespace vl3::python
