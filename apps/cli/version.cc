#include "version.h"

#include <cairo.h>
#include <fmt/format.h>
#include <histedit.h>

#include <CLI/Version.hpp>
#include <string_view>

#include "vl3/version.h"

namespace vl3::cli {

std::string version_text() {
  const std::string_view commit = vl3::commit();
  std::string text = fmt::format("videollama3 {}", vl3::version());
  if (!commit.empty()) text += fmt::format(" (commit {})", commit);
  for (const Feature& feature : features()) {
    text += fmt::format("\n{:<10} {}", feature.name, feature.value);
    if (feature.name == "libraries") {
      text += fmt::format(", CLI11 {}, libedit {}.{}, cairo {}", CLI11_VERSION, LIBEDIT_MAJOR, LIBEDIT_MINOR,
                          cairo_version_string());
    }
  }
  return text;
}

}  // namespace vl3::cli
