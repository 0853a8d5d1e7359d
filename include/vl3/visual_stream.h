#pragma once
// The pictures and clips of a request as they are decoded: groups of frames for whoever encodes them, and the
// prompt's ids when the last one is known. A clip's patches are never all in memory.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/processor.h"

namespace vl3 {

// Some pictures' worth of patches: a picture, or consecutive frames of a clip.
struct VisualGroup {
  size_t item = 0;                         // which picture or clip: an index into VisualStream::items()
  int64_t first = 0;                       // its first (temporal) frame
  int64_t t = 0, h = 0, w = 0, merge = 1;  // frames of this group; patches of a frame; side of a token
  Tensor patches;                          // [t·h·w, C·p·p] f32 in merge-block order
  std::vector<uint8_t> keep;               // [t·(h/merge)·(w/merge)], 1 for tokens that are kept
};

// What a picture or clip came to, without its pixels: what a prompt says of it.
struct VisualFacts {
  int64_t t = 1, h = 0, w = 0, merge = 1;
  std::vector<uint8_t> keep = {};  // of a clip: [t·(h/merge)·(w/merge)]
  ClipReport clip = {};            // of a clip
};

// Media are decoded, resized and cut up on a thread of the stream's own, which begins with the first next()
// and is a few groups ahead of it. One thread at a time calls the functions; the stream outlives nothing but
// the processor that made it. Destroying it early stops the thread.
class VL3_API VisualStream {
 public:
  struct Item {
    bool video = false;
    std::string name;
    int64_t patches = 0;  // as its header says
  };
  // kAhead: groups that wait at most, beside the one that is being made.
  static constexpr size_t kAhead = 2;
  // Frames come together until they have so many patches, where no fewer are asked for: as many as the
  // encoder takes at once.
  static constexpr int64_t kGroupPatches = 1024;
  // Pictures are decoded together until they have so many patches: small ones keep several threads busy.
  static constexpr int64_t kPicturePatches = 4096;

  ~VisualStream();
  VisualStream(const VisualStream&) = delete;
  VisualStream& operator=(const VisualStream&) = delete;

  // The different pictures and clips of the request, pictures first: what comes several times is once here.
  const std::vector<Item>& items() const;

  // A name for what an item's pixels and facts depend on: SHA-256 in hexadecimal of its bytes (or pixels), of
  // every option, the limits and the versions of the decoders. Reads the whole file. Empty where the file was
  // changed since it was opened or cannot be read: such an item is not to be kept. Before the first next().
  std::string content_key(size_t item);
  // Whether the item's files are still what content_key() saw: when the item's last group has come, whoever
  // keeps what was made of it asks.
  bool unchanged(size_t item) const;
  // The item need not be decoded: its facts are these. Before the first next().
  void set_known(size_t item, VisualFacts facts);

  // The next group, item after item, frames in order; waits for it. Nothing: all have come. Where a clip
  // turns out shorter than it said, its frames are picked anew, and a group of it with first == 0 says so:
  // what came of it before no longer counts. Throws what decoding throws, and kCancelled.
  std::optional<VisualGroup> next();
  // Whether next() would not wait. Begins decoding where that has not begun. When it becomes true
  // ProcessHooks::available is called.
  bool ready();
  // Of an item that is known, or of which a later item's group (or nothing more) has come.
  const VisualFacts& facts(size_t item) const;

  // When next() gave nothing: ids, labels and reports as Processor::process gives them, grids, merge sizes
  // and masks of every place, but no pixels. shown: for every picture and every clip of the prompts, in
  // order, its item. Throws what process throws.
  struct Prompts {
    ProcessorOutput output;
    std::vector<size_t> pictures, clips;
  };
  Prompts finish();

 private:
  friend class Processor;
  class Work;
  explicit VisualStream(std::unique_ptr<Work> work);
  std::unique_ptr<Work> work_;
};

}  // namespace vl3
