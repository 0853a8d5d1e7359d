#pragma once
// Packets → frames, with which packet a frame comes from and which packet is to blame for an error.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "vl3/media_limits.h"

namespace vl3 {

class FrameDecoder {
 public:
  // conceals: frames that are broken are to look the same each time, which takes longer. name, format: for
  // messages. Throws kFormat, kUnsupported, kOutOfMemory.
  FrameDecoder(const AVStream& stream, const MediaLimits& limits, bool conceals, const std::string& name,
               const std::string& format);

  bool has_one_thread() const noexcept { return context_->thread_count == 1; }
  // Shows frames too that the decoder is not sure of. Without it H.264 holds back frames behind a recovery
  // point until the frame of that point was shown, which at the end of what is sent is too late.
  void show_unsure() noexcept { context_->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT; }
  // A packet and its number, which comes back in the pts of its frame: its own times are overwritten. needed:
  // false lets the decoder leave it out where no other frame refers to it. Returns an error of FFmpeg, of
  // the packet blamed(), or 0.
  int send(AVPacket& packet, int64_t number, bool needed);
  int send_end();
  // As avcodec_receive_frame.
  int receive(AVFrame& frame);
  int64_t blamed() const noexcept;
  // Whether the stream itself says how many frames a second has: known once a frame came.
  bool knows_rate() const noexcept { return context_->framerate.num > 0 && context_->framerate.den > 0; }
  void flush();

 private:
  struct Free {
    void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  };
  std::unique_ptr<AVCodecContext, Free> context_;
  std::deque<int64_t> sent_;  // the last numbers
  size_t behind_ = 0;         // packets sent behind the one whose result comes
  bool ended_ = false;
};

}  // namespace vl3
