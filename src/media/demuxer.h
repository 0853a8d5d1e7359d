#pragma once
// The packets of a file's first video stream: from the start, and from any packet that is known.

extern "C" {
#include <libavformat/avformat.h>
}

#include <memory>
#include <optional>
#include <string>

#include "media/clip_formats.h"
#include "media/file_source.h"
#include "media/packet_index.h"
#include "vl3/media_limits.h"

namespace vl3 {

// What FFmpeg calls an error, in its words.
std::string av_words(int error);

struct FreePacket {
  void operator()(AVPacket* p) const { av_packet_free(&p); }
};

class Demuxer {
 public:
  // Throws kNotFound, kIo, and what open_clip_stream throws.
  Demuxer(const MediaSource& source, const MediaLimits& limits);

  // The same packets from the start on, but as they lie in the container, which is quicker than to look for
  // where pictures begin: what one holds is for the caller to see. Null where the container has no such.
  std::unique_ptr<Demuxer> uncut() const;

  const MediaSource& source() const noexcept { return source_.source(); }
  const AVStream& stream() const noexcept { return *stream_; }
  // Whether this is a stream of one codec without a container, whose times are what FFmpeg makes of it.
  bool bare() const;
  std::string format() const;  // "mov,mp4,…/h264"
  // Packets the container lists, 0 where it lists none: fewer that can be read mean that it was cut off.
  int64_t listed_packets() const;
  // When the frames of a clip whose container lists them are decoded, in ticks from the first on, where that
  // list alone says how many are shown and that they are evenly spaced: one that begins with a key frame, of
  // a codec of which every packet is a frame. Empty where it does not.
  std::vector<int64_t> listed_ticks() const;
  // The latest time of showing among the last packets of such a list, in ticks; nothing where it cannot be
  // had. The stream is then at its end.
  std::optional<int64_t> last_time();
  // Whether a packet that the container calls corrupt is damaged. In a transport stream it need not be: a
  // counter has jumped, as where two recordings are put together.
  bool means_damage(const AVPacket& packet) const;
  IndexRules rules() const;

  enum class Next { kPacket, kEnd, kBroken };
  // The next packet of the stream; kBroken: it cannot be read, words() says why. Throws kLimitExceeded.
  Next next(AVPacket& packet);
  const std::string& words() const noexcept { return words_; }

  // Before the first packet again. The file is opened anew: not every container can go back, and of those
  // that can, not all come to the first packet.
  void rewind();
  // Reads packet `number` of the index; those behind it follow. False where the container cannot go there:
  // the stream is then anywhere.
  bool seek(const PacketIndex& index, int64_t number, AVPacket& packet);

 private:
  Demuxer(const MediaSource& source, const MediaLimits& limits, const AVStream& uncut);
  void open();
  bool jump(const PacketIndex::Place& place);
  const std::string& name() const noexcept { return name_; }

  std::string name_;
  MediaLimits limits_;
  FileSource source_;
  std::unique_ptr<AVFormatContext, CloseContainer> container_;
  AVStream* stream_ = nullptr;
  bool fresh_ = false;  // nothing was read
  std::string words_;
};

}  // namespace vl3
