// Clips through FFmpeg's libraries: packets become frames, one converted at a time.

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>

#include "media/clip_turn.h"
#include "media/video_file.h"

namespace vl3 {
namespace {

std::string_view name_or(const char* name) { return name != nullptr ? name : "unknown"; }

}  // namespace

void VideoFile::open_decoder() {
  decoder_ = std::make_unique<FrameDecoder>(demuxer_.stream(), limits_, skip_broken_, name_, info_.format);
  if (packet_waits_) av_packet_unref(packet_.get());
  packet_waits_ = ended_ = draining_ = strayed_ = false;
  drained_at_ = here_ = -1;
  floor_ = 0;
  broken_.clear();
  av_frame_unref(frame_.get());
  av_frame_unref(before_.get());
}

void VideoFile::begin_at_start() {
  demuxer_.rewind();
  leaping_ = false;
  next_packet_ = 0;
  shown_.clear();
}

// False where the container cannot go there.
bool VideoFile::begin_at(const PacketIndex::Entry& entry) {
  decoder_->flush();
  if (packet_waits_) av_packet_unref(packet_.get());
  packet_waits_ = ended_ = draining_ = false;
  drained_at_ = -1;
  av_frame_unref(frame_.get());
  if (!demuxer_.seek(index_, entry.packet, *packet_)) return false;
  packet_waits_ = true;
  next_packet_ = entry.packet;
  av_frame_unref(before_.get());
  floor_ = entry.frame;
  here_ = entry.frame - 1;
  return true;
}

// The next packet in packet_; false at the end.
bool VideoFile::next_packet() {
  if (packet_waits_) {
    packet_waits_ = false;
    return true;
  }
  const Demuxer::Next next = demuxer_.next(*packet_);
  if (next != Demuxer::Next::kPacket) return false;
  strayed_ = strayed_ || (leaping_ && !index_.matches(next_packet_, *packet_));
  return true;
}

// Errors there are no damage: a recording that begins inside a group of pictures, or what comes behind a leap
// before the first frame that is right.
bool VideoFile::in_quiet(int64_t packet) const {
  if (leaping_) return index_.frame_of(packet) < floor_;
  const int64_t entry = index_.first_entry();
  return !begins_with_key_ && packet < entry && (entry < index_.packets() || here_ < 0);
}

void VideoFile::damage(int64_t packet, const std::string& words) {
  if (packet >= index_.packets() || index_.is_discarded(packet) || in_quiet(packet)) return;
  const int64_t frame = number_of(packet);
  if (!skip_broken_) broken("frame {} ({:.2f} s) {}", frame, time_of(frame), words);
  broken_.insert(frame);
}

// Pictures of HEVC before the first one that decoding may begin at: FFmpeg 8 shows none of them, older ones
// make up what they refer to.
bool VideoFile::comes_too_early(int64_t packet) const {
  const int64_t entry = index_.first_entry();
  return demuxer_.stream().codecpar->codec_id == AV_CODEC_ID_HEVC && packet < entry &&
         entry < index_.packets();
}

// Pictures of HEVC that the next edit decodes once more have numbers that the decoder still holds: it is to
// show what it has, and begin anew.
bool VideoFile::is_to_drain() const {
  return demuxer_.stream().codecpar->codec_id == AV_CODEC_ID_HEVC && drained_at_ != next_packet_ &&
         index_.begins_edit(next_packet_);
}

// One packet into the decoder, or word that there are no more.
bool VideoFile::feed() {
  if (ended_) return false;
  const bool enough = leaping_ && next_packet_ > last_packet_;
  draining_ = !enough && is_to_drain();
  if (enough || draining_ || !next_packet()) {
    ended_ = true;
    decoder_->send_end();
    return true;
  }
  const int64_t number = next_packet_++;
  if (strayed_) return false;
  if (packet_->size > 0 && !comes_too_early(number)) {  // empty ones would end the decoder
    if (demuxer_.means_damage(*packet_)) damage(number, "is cut off or corrupt");
    const bool needed =
        !leaping_ || std::binary_search(wanted_.begin(), wanted_.end(), index_.frame_of(number));
    const int sent = decoder_->send(*packet_, number, needed);
    if (sent < 0 && sent != AVERROR_EOF) damage(decoder_->blamed(), "cannot be decoded: " + av_words(sent));
  }
  av_packet_unref(packet_.get());
  return true;
}

// The next frame in frame_; false at the end.
bool VideoFile::next_frame() {
  for (;;) {
    const int got = decoder_->receive(*frame_);
    if (got == 0) {
      ++frames_decoded_;
      // Decoders that take packets by themselves (dav1d's, those of JPEG) show what FFmpeg drops of others.
      if (index_.is_discarded(frame_->pts) || (frame_->flags & AV_FRAME_FLAG_DISCARD) != 0) {
        av_frame_unref(frame_.get());
        continue;
      }
      if (frame_->decode_error_flags != 0) damage(frame_->pts, "is broken");
      return true;
    }
    if (got == AVERROR_EOF) {
      if (!draining_) return false;
      decoder_->flush();
      ended_ = draining_ = false;
      drained_at_ = next_packet_;
      continue;
    }
    if (got != AVERROR(EAGAIN)) {
      damage(decoder_->blamed(), "cannot be decoded: " + av_words(got));
    } else if (!feed()) {
      return false;
    }
  }
}

void VideoFile::convert(const AVFrame& frame, int64_t number) {
  const int height = frame.height, width = frame.width;
  require(height > 0 && width > 0 && height <= limits_.max_pixels / width, ErrorCode::kLimitExceeded,
          "[{}] frame {} has {} x {} pixels, above max_pixels, {}", name_, number, width, height,
          limits_.max_pixels);
  const AVCodecParameters& said = *demuxer_.stream().codecpar;
  if (height != said.height || width != frame_width_) {
    broken("frame {} has {} x {} pixels; the clip says {} x {}", number, width, height, frame_width_,
           said.height);
  }
  require(converter_(frame, image_), ErrorCode::kUnsupported,
          "[{}] frame {}: colours of pixel format {} and matrix {} cannot be converted", name_, number,
          name_or(av_get_pix_fmt_name(static_cast<AVPixelFormat>(frame.format))),
          name_or(av_color_space_name(frame.colorspace)));
  if (info_.upright) turn(info_.turn, image_);
}

void VideoFile::turn_upright() {
  if (info_.upright || !info_.turn) return;
  info_.upright = true;
  if (info_.turn.quarters % 2 != 0) std::swap(info_.height, info_.width);
}

}  // namespace vl3
