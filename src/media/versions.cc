#include "media/versions.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <fmt/format.h>

#include "vl3/image.h"

namespace vl3 {

std::string media_versions() {
  std::string text = fmt::format("avformat {} avcodec {} swscale {}", avformat_version(), avcodec_version(),
                                 swscale_version());
  for (const PictureLibrary& library : picture_libraries())
    text += fmt::format(" {} {}", library.library, library.version);
  return text;
}

}  // namespace vl3
