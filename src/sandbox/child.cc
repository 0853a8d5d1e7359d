#include "sandbox/child.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "base/check.h"
#include "media/source_bytes.h"
#include "processor/open_clip.h"
#include "sandbox/job.h"
#include "sandbox/wire.h"
#include "vl3/image.h"
#include "vl3/video.h"

namespace vl3::sandbox {
namespace {

constexpr size_t kPlaces = 2;  // for frames: one is filled while the other is read
constexpr size_t kMaxIndices = 10'000'000;

struct ProgramIsGone {};

class Child {
 public:
  explicit Child(int socket) : socket_(socket) {}

  void work(const Filter& filter, const std::function<void(const std::string&)>& before_decoding) {
    const Job job = read_job(next(MessageKind::kJob));
    tell_errors([&] {
      confine(job.confinement, filter);
      if (before_decoding) before_decoding(job.sources[0].name());
      if (job.task == Task::kProbe) probe(job);
      if (job.task == Task::kPicture) picture(job);
      if (job.task == Task::kClip) clip(job);
    });
  }

 private:
  // Before the next reading, word of frames of the last one may still come.
  Message next(MessageKind expected) {
    std::optional<Message> message;
    do {
      message = receive(socket_);
      if (!message) throw ProgramIsGone();
    } while (expected == MessageKind::kRead && message->kind == MessageKind::kTaken);
    require(message->kind == expected, ErrorCode::kInternal, "[sandbox] an answer out of turn");
    return *std::move(message);
  }

  // What f throws is told to the program; after it comes the clip's state where there is one.
  template <class F>
  void tell_errors(F f, const VideoReader* reader = nullptr) {
    const auto tell = [&](ErrorCode code, bool ended, const char* words) {
      Writer writer;
      writer.add(static_cast<int32_t>(code))
          .add(uint8_t{ended})
          .add_text(std::string_view(words).substr(0, 4096));
      writer.add(uint8_t{reader != nullptr});
      if (reader != nullptr) add(writer, *reader);
      send(socket_, MessageKind::kError, writer.take());
    };
    try {
      f();
    } catch (const ClipEnded& error) {
      tell(error.code(), true, error.what());
    } catch (const Error& error) {
      tell(error.code(), false, error.what());
    } catch (const std::bad_alloc&) {
      tell(ErrorCode::kOutOfMemory, false, "");
    }
  }

  // So many bytes behind each other, places times. The program has to agree.
  void need_room(int64_t height, int64_t width, const std::string& mode, size_t places) {
    const auto bytes = static_cast<size_t>(height) * static_cast<size_t>(width) * 3;
    if (place_bytes_ >= bytes) return;
    Writer writer;
    writer.add(height).add(width).add_text(mode).add(static_cast<uint64_t>(places));
    send(socket_, MessageKind::kNeedRoom, writer.take());
    Message answer = next(MessageKind::kRoom);
    require(answer.fds.size() == 1, ErrorCode::kInternal, "[sandbox] no room came");
    room_ = Room();
    room_ = Room::open(std::move(answer.fds[0]), bytes * places);
    place_bytes_ = bytes;
  }

  void probe(const Job& job) {
    const MediaSource& source = job.sources[0];
    Writer writer;
    add(writer, probe_image(bytes_of(source, job.limits).bytes, job.limits, source.name()));
    send(socket_, MessageKind::kInfo, writer.take());
  }

  void picture(const Job& job) {
    const MediaSource& source = job.sources[0];
    Image image;
    int64_t shown = 0;  // rows
    const auto show = [&](int64_t rows) {
      need_room(image.height, image.width, image.mode, 1);
      const auto row_bytes = static_cast<size_t>(image.width) * 3;
      const size_t from = static_cast<size_t>(shown) * row_bytes, to = static_cast<size_t>(rows) * row_bytes;
      std::memcpy(room_.data() + from, image.rgb.data() + from, to - from);
      shown = rows;
    };
    const SourceBytes read = bytes_of(source, job.limits);
    decode_image(read.bytes, job.limits, source.name(), true, &image, [&](int64_t rows) {
      if (rows <= shown) return;
      show(rows);
      send(socket_, MessageKind::kRows, Writer().add(rows).take());
    });
    show(image.height);
    send(socket_, MessageKind::kDone,
         Writer().add(image.height).add(image.width).add_text(image.mode).take());
  }

  void clip(const Job& job) {
    VideoOptions options;
    options.rotate = job.upright;
    options.pictures_rate = job.pictures_rate;
    const std::unique_ptr<VideoReader> reader = open_clip(job.sources, job.limits, options);
    tell_state(MessageKind::kClip, *reader);
    for (;;) {
      const Message asked = next(MessageKind::kRead);
      Reader body(asked.body);
      reader->skip_broken_frames(body.get_flag());
      const std::vector<int64_t> indices = body.get_list<int64_t>(kMaxIndices);
      tell_errors(
          [&] {
            read_frames(*reader, indices);
            tell_state(MessageKind::kDone, *reader);
          },
          reader.get());
    }
  }

  void tell_state(MessageKind kind, const VideoReader& reader) {
    Writer writer;
    add(writer, reader);
    send(socket_, kind, writer.take());
  }

  void read_frames(VideoReader& reader, const std::vector<int64_t>& indices) {
    size_t place = 0, taken = kPlaces;  // places that may be written to
    reader.read(indices, [&](size_t position, const Image& frame) {
      const auto bytes = static_cast<size_t>(frame.height) * static_cast<size_t>(frame.width) * 3;
      const bool larger = bytes > place_bytes_;
      while (taken == 0 || (larger && taken < kPlaces)) {
        next(MessageKind::kTaken);
        ++taken;
      }
      need_room(frame.height, frame.width, frame.mode, kPlaces);
      std::memcpy(room_.data() + place * place_bytes_, frame.rgb.data(), bytes);
      Writer writer;
      writer.add(static_cast<uint64_t>(position)).add(static_cast<uint64_t>(place));
      writer.add(frame.height).add(frame.width).add_text(frame.mode);
      send(socket_, MessageKind::kFrame, writer.take());
      place = (place + 1) % kPlaces;
      --taken;
    });
  }

  const int socket_;
  Room room_;
  size_t place_bytes_ = 0;
};

}  // namespace

int do_one_job(int socket, const Filter& filter,
               const std::function<void(const std::string&)>& before_decoding) {
  try {
    Child(socket).work(filter, before_decoding);
    return 0;
  } catch (const ProgramIsGone&) {
    return 0;
  } catch (...) {  // there is nobody to tell
    return 1;
  }
}

}  // namespace vl3::sandbox
