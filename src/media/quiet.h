#pragma once
// FFmpeg's objects write what they notice to a log that all of a process shares. What goes wrong comes back
// as an error here, so these objects keep silent, each for itself: level and callback of the log are the
// process's. Codecs and parsers inside of libavformat are out of reach (docs/library.md).

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

namespace vl3 {

void keep_quiet(AVCodecContext& context) noexcept;
void keep_quiet(AVFormatContext& context) noexcept;
void keep_quiet(SwsContext& context) noexcept;
// For functions that take whom to log for.
void* quiet_log_context() noexcept;

}  // namespace vl3
