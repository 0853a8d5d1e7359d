#pragma once
// What Llm and Runtime both do: they lend the engine what a program has in memory.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>
#include <vector>

#include "lent_media.h"

namespace vl3::python {

// media_bytes, media_pixels and media_file of a class with loans().
template <class Lender>
void bind_lending(nanobind::class_<Lender>& lender) {
  namespace nb = nanobind;
  using namespace nb::literals;
  lender
      .def(
          "media_bytes",
          [](Lender& self, nb::object data, const std::string& name) {
            return lend_bytes(self.loans(), data, name);
          },
          "data"_a, "name"_a, "What a file of pictures or a clip would hold; not copied.")
      .def(
          "media_pixels",
          [](Lender& self, nb::typed<nb::sequence, nb::object> frames, std::vector<double> times_s,
             const std::string& name) { return lend_pixels(self.loans(), frames, std::move(times_s), name); },
          "frames"_a, "times_s"_a, "name"_a,
          "Arrays [H, W, 3], [3, H, W], [T, H, W, 3] or [T, 3, H, W], or (buffer, height, width).")
      .def(
          "media_file",
          [](Lender&, int descriptor, const std::string& name) { return open_copy(descriptor, name); },
          "descriptor"_a, "name"_a, "A regular file that is open; the descriptor is duplicated.");
}

}  // namespace vl3::python
