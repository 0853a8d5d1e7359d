#include "sandbox/sandboxed_clip.h"

#include <cstring>

#include "base/check.h"

namespace vl3::sandbox {
namespace {

constexpr uint64_t kMostPlaces = 8;

}  // namespace

SandboxedClip::SandboxedClip(std::shared_ptr<DecoderPool> pool, Job job)
    : pool_(std::move(pool)), job_(std::move(job)) {
  open(nullptr);
  lease_->park();
}

void SandboxedClip::set(ClipState state) {
  info_ = std::move(state.info);
  notes_ = std::move(state.notes);
  frames_decoded_ = state.frames_decoded;
}

void SandboxedClip::open(const std::function<bool()>& cancelled) {
  const bool again = info_.total_frames > 0;
  lease_.reset();
  room_ = Room();
  place_bytes_ = 0;
  lease_ = std::make_unique<Lease>(pool_, job_, cancelled);
  const Message message = lease_->next(cancelled);
  if (message.kind != MessageKind::kClip) lease_->broke_rules();
  ClipState state =
      lease_->parse(message, [&](Reader& reader) { return get_clip_state(reader, job_.limits); });
  require(!again || (state.info.total_frames == info_.total_frames && state.info.height == info_.height &&
                     state.info.width == info_.width),
          ErrorCode::kFormat, "[{}] changed while it was read", job_.sources[0].name());
  set(std::move(state));
}

void SandboxedClip::turn_upright() {
  if (job_.upright) return;
  job_.upright = true;
  info_ = {};
  ended_early_ = false;
  open(nullptr);
  lease_->park();
}

void SandboxedClip::make_room(const Message& message) {
  int64_t height = 0, width = 0;
  uint64_t places = 0;
  lease_->parse(message, [&](Reader& reader) {
    height = reader.get<int64_t>();
    width = reader.get<int64_t>();
    reader.get_text(64);
    places = reader.get<uint64_t>();
  });
  if (height <= 0 || width <= 0 || places == 0 || places > kMostPlaces) lease_->broke_rules();
  require(height <= job_.limits.max_pixels / width, ErrorCode::kLimitExceeded,
          "[{}] frames of {} x {} pixels are above max_pixels, {}", job_.sources[0].name(), width, height,
          job_.limits.max_pixels);
  place_bytes_ = static_cast<size_t>(height * width * 3);
  places_ = places;
  room_ = Room::make(place_bytes_ * places_);
  const int fd = room_.fd();
  lease_->send(MessageKind::kRoom, "", std::span(&fd, 1));
  room_.close_fd();
}

// Copies a frame, and gives its place back at once: the next is decoded while this one is looked at.
size_t SandboxedClip::take_frame(const Message& message, size_t expected) {
  uint64_t position = 0, place = 0;
  int64_t height = 0, width = 0;
  lease_->parse(message, [&](Reader& reader) {
    position = reader.get<uint64_t>();
    place = reader.get<uint64_t>();
    height = reader.get<int64_t>();
    width = reader.get<int64_t>();
    frame_.mode = shown_text(reader.get_text(64));
  });
  const bool fits = height > 0 && width > 0 && height <= job_.limits.max_pixels / width &&
                    static_cast<size_t>(height * width * 3) <= place_bytes_;
  if (!fits || position != expected || place >= places_) lease_->broke_rules();
  const auto bytes = static_cast<size_t>(height * width * 3);
  const uint8_t* pixels = room_.data() + place * place_bytes_;
  frame_.rgb.assign(pixels, pixels + bytes);
  frame_.height = height;
  frame_.width = width;
  lease_->send(MessageKind::kTaken, "");
  return expected + 1;
}

void SandboxedClip::read(std::span<const int64_t> indices,
                         const std::function<void(size_t, const Image&)>& sink,
                         const std::function<bool()>& cancelled) {
  const int64_t frames = static_cast<int64_t>(indices.size()), most = pool_->options().max_clip_pixels;
  require(frames <= most / (info_.height * info_.width), ErrorCode::kLimitExceeded,
          "[{}] {} frames of {} x {} pixels are more than the {} pixels that may be decoded of a clip",
          job_.sources[0].name(), frames, info_.width, info_.height, most);
  if (lease_ == nullptr || !lease_->unpark()) open(cancelled);
  std::optional<ClipState> state;
  try {
    lease_->send(MessageKind::kRead, Writer().add(uint8_t{skip_broken_}).add_list(indices).take());
    size_t expected = 0;
    for (;;) {
      const Message message = lease_->next(cancelled, &state);
      if (message.kind == MessageKind::kNeedRoom) {
        make_room(message);
      } else if (message.kind == MessageKind::kFrame) {
        require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[{}] cancelled", job_.sources[0].name());
        expected = take_frame(message, expected);
        if (expected > indices.size()) lease_->broke_rules();
        sink(expected - 1, frame_);
      } else if (message.kind == MessageKind::kDone) {
        if (expected != indices.size()) lease_->broke_rules();
        set(lease_->parse(message, [&](Reader& reader) { return get_clip_state(reader, job_.limits); }));
        break;
      } else {
        lease_->broke_rules();
      }
    }
  } catch (const ClipEnded&) {
    if (state) set(*std::move(state));
    ended_early_ = true;
    throw;
  } catch (...) {
    if (state) set(*std::move(state));
    lease_.reset();  // whatever it was doing
    throw;
  }
  lease_->done();
  // Most clips are read once. Another reading opens it again, unless that would not be the same.
  if (!ended_early_) lease_.reset();
}

}  // namespace vl3::sandbox
