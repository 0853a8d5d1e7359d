// Clips: containers' headers, packets' times, and some frames.

#include <vector>

#include "fuzz.h"
#include "vl3/video.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const fuzz::Folder folder;
  folder.write("clip", fuzz::text_of(data, size));
  fuzz::read_or_refuse([&] {
    const auto reader = VideoReader::open(folder.path() / "clip", fuzz::small_limits());
    FrameSampling sampling;
    sampling.fps = 1;
    sampling.max_frames = 4;
    const SampledFrames frames = sample_frames(reader->info(), sampling);
    for (const bool skip : {false, true}) {
      fuzz::read_or_refuse([&] {
        reader->skip_broken_frames(skip);
        reader->read(frames.indices, [](size_t, const Image&) {});
      });
    }
  });
  return 0;
}
