#pragma once
// A clip that a decoder of its own reads.

#include <memory>

#include "sandbox/lease.h"
#include "vl3/video.h"

namespace vl3::sandbox {

// Its decoder is there from opening it until it was read, and may be ended in between when others need the
// place: then it is opened again.
class SandboxedClip final : public VideoReader {
 public:
  // Opens it. Throws what opening the clip throws.
  SandboxedClip(std::shared_ptr<DecoderPool> pool, Job job);

  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override;
  void turn_upright() override;

 private:
  void open(const std::function<bool()>& cancelled);
  void set(ClipState state);
  void make_room(const Message& message);
  size_t take_frame(const Message& message, size_t expected);

  const std::shared_ptr<DecoderPool> pool_;
  Job job_;
  std::unique_ptr<Lease> lease_;
  bool ended_early_ = false;  // the decoder has learnt what another would have to learn again
  Room room_;
  size_t place_bytes_ = 0, places_ = 0;
  Image frame_;
};

}  // namespace vl3::sandbox
