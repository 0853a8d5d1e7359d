#pragma once
// Which containers and codecs clips are read in, and how a file that is none of them is refused.

extern "C" {
#include <libavformat/avformat.h>
}

#include <memory>
#include <string>

#include "media/file_source.h"

namespace vl3 {

// Names of FFmpeg's decoders, with commas between: for the option codec_whitelist.
extern const char* const kClipCodecs;

struct CloseContainer {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
};

// An opened file and its first video stream. A cover picture of a sound file is none. Packets of other
// streams are left out.
struct ClipStream {
  std::unique_ptr<AVFormatContext, CloseContainer> container;
  AVStream* stream = nullptr;
};

// From where the source stands, which should be its beginning; `name` begins the words of errors. Containers
// are those that FFmpeg tells by their content and reads from this one file; left out are lists of other
// files or of addresses, devices, samples without a header, and drawn text. Throws kFormat (no clip: what it
// is instead, as far as that can be told), kUnsupported (a container or codec that is not read: its name, and
// why), kOutOfMemory.
ClipStream open_clip_stream(FileSource& source, const std::string& name);

// That stream of a transport stream with its packets as they lie there: no parser has looked for where
// pictures begin, and times are those that are written. No stream where the file, read so, has no such one.
// Throws kOutOfMemory.
ClipStream open_uncut(FileSource& source, const std::string& name, const AVStream& stream);

}  // namespace vl3
