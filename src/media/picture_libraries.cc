// The libraries behind the picture formats, with their versions.
#include <fmt/format.h>
#include <jconfig.h>
#include <png.h>
#include <tiffio.h>
#include <webp/decode.h>

#include "vl3/image.h"
#ifdef VL3_HAVE_AVIF
#include <avif/avif.h>
#endif
#ifdef VL3_HAVE_HEIF
#include <libheif/heif.h>
#endif
#ifdef VL3_HAVE_JXL
#include <jxl/decode.h>
#endif
#ifdef VL3_HAVE_JPEG2000
#include <openjpeg.h>
#endif

namespace vl3 {
namespace {

std::string tiff_version() {  // "LIBTIFF, Version 4.5.0" and more lines
  const std::string text = TIFFGetVersion();
  const size_t at = text.find("Version ");
  return at == std::string::npos ? text : text.substr(at + 8, text.find('\n', at) - at - 8);
}

std::string thousands(uint32_t version) {  // 2001005 is 2.1.5
  return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
}

#ifdef VL3_HAVE_AVIF
std::string avif_version() {
  char codecs[256] = {};
  avifCodecVersions(codecs);
  return fmt::format("{}, {}", avifVersion(), codecs);
}
#else
std::string avif_version() { return {}; }
#endif

#ifdef VL3_HAVE_HEIF
std::string heif_version() { return heif_get_version(); }
#else
std::string heif_version() { return {}; }
#endif

#ifdef VL3_HAVE_JXL
std::string jxl_version() { return thousands(JxlDecoderVersion()); }
#else
std::string jxl_version() { return {}; }
#endif

#ifdef VL3_HAVE_JPEG2000
std::string jpeg2000_version() { return opj_version(); }
#else
std::string jpeg2000_version() { return {}; }
#endif

}  // namespace

std::vector<PictureLibrary> picture_libraries() {
  const int webp = WebPGetDecoderVersion();
  return {
      {"PNG", "libpng", png_get_libpng_ver(nullptr)},
      {"JPEG", "libjpeg-turbo", thousands(LIBJPEG_TURBO_VERSION_NUMBER)},
      {"WebP", "libwebp", fmt::format("{}.{}.{}", webp >> 16, webp >> 8 & 255, webp & 255)},
      {"TIFF", "libtiff", tiff_version()},
      {"AVIF", "libavif", avif_version()},
      {"HEIC", "libheif", heif_version()},
      {"JPEG XL", "libjxl", jxl_version()},
      {"JPEG 2000", "libopenjp2", jpeg2000_version()},
  };
}

}  // namespace vl3
