#pragma once
// FFmpeg's objects write what they notice to a log that all of a process shares. What goes wrong comes back
// as an error here, so these objects keep silent, each for itself: the process's log level and callback are
// not ours. Codecs that libavformat opens for itself while it looks at a clip are out of reach
// (docs/library.md).

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
