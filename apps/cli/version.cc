#include "version.h"

#include <cairo.h>
#include <fmt/format.h>
#include <histedit.h>
#include <simdjson.h>
#include <utf8proc.h>

#include <CLI/Version.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "ops/cpu/kernels/kernels.h"
#include "vl3/image.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>
}

namespace vl3::cli {
namespace {

std::string ffmpeg_number(unsigned version) {
  return fmt::format("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff);
}

// Every instruction set that was compiled, and the best that this processor runs.
std::string kernels() {
  std::string text = "baseline";
#if defined(__x86_64__)
  text += ", avx2, avx512 (bf16, vnni), amx";
#endif
  const KernelSet* best = baseline_kernels();
  for (const KernelSet* set : {avx2_kernels(), avx512_kernels(), amx_kernels()}) {
    if (set != nullptr) best = set;
  }
  return text + fmt::format("; this processor runs {}", best->name);
}

// What reads each format, and the formats that this build lacks.
std::string pictures() {
  std::string text = "GIF, BMP, DIB, PNM, ICO, CUR, TGA, QOI, PCX, SGI, DDS";
  for (const PictureLibrary& row : picture_libraries()) {
    text += row.version.empty() ? fmt::format("; no {}: built without {}", row.formats, row.library)
                                : fmt::format("; {} ({} {})", row.formats, row.library, row.version);
  }
  return text;
}

std::string other_libraries() {
  return fmt::format(
      "fmt {}.{}.{}, nlohmann-json {}.{}.{}, simdjson {}.{}.{}, utf8proc {}, CLI11 {}, libedit {}.{}, cairo "
      "{}",
      FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100, NLOHMANN_JSON_VERSION_MAJOR,
      NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH, int{simdjson::SIMDJSON_VERSION_MAJOR},
      int{simdjson::SIMDJSON_VERSION_MINOR}, int{simdjson::SIMDJSON_VERSION_REVISION}, utf8proc_version(),
      CLI11_VERSION, LIBEDIT_MAJOR, LIBEDIT_MINOR, cairo_version_string());
}

}  // namespace

std::vector<Feature> features() {
  return {
    {"kernels", kernels()},
        {"clips",
         fmt::format("FFmpeg {}: libavformat {}, libavcodec {}, libswscale {}, libavutil {}",
                     av_version_info(), ffmpeg_number(avformat_version()), ffmpeg_number(avcodec_version()),
                     ffmpeg_number(swscale_version()), ffmpeg_number(avutil_version()))},
        {"pictures", pictures()}, {"libraries", other_libraries()},
#if defined(__clang__)
        {"compiler", "clang " __clang_version__},
#else
        {"compiler", "GCC " __VERSION__},
#endif
  };
}

std::string version_text() {
  const std::string commit = build_commit();
  std::string text = "videollama3 " VL3_VERSION;
  if (!commit.empty()) text += " (commit " + commit + ")";
  for (const Feature& feature : features()) text += fmt::format("\n{:<10} {}", feature.name, feature.value);
  return text;
}

}  // namespace vl3::cli
