#pragma once
// A GIF's structure: where its frames are and what each asks for. Nothing is decoded here but LZW, one frame
// at a time.

#include <optional>
#include <vector>

#include "media/image_codec.h"

namespace vl3::media {

struct GifFrame {
  uint64_t data_offset = 0;  // of the first sub-block
  int code_bits = 0;         // LZW's minimum code size
  int x = 0, y = 0, width = 0, height = 0;
  bool interlaced = false;
  uint64_t palette_offset = 0;  // 0: the global one
  int palette_colors = 0;
  std::optional<uint8_t> transparent;
  int disposal = 0;  // 0 where the frame does not say
  int duration_ms = 0;
};

struct GifStructure {
  int width = 0, height = 0;
  std::optional<uint8_t> background;  // only where there is a global palette
  uint64_t palette_offset = 0;
  int palette_colors = 0;
  std::vector<GifFrame> frames;
};

// Walks the blocks, up to max_frames. A file that just stops between two blocks is taken as it is, as Pillow
// does; one that stops within a header throws kFormat. No frame at all: kFormat too.
GifStructure parse_gif(const Source& source, int64_t max_frames);

// The frame's indices, [height, width] row by row. Throws kFormat where the codes are broken or end early.
std::vector<uint8_t> decode_gif_indices(const Source& source, const GifFrame& frame, size_t frame_number);

// Composites frames as Pillow's GifImagePlugin: the first is indexed ("P", or "L" for a palette of plain
// greys), the later ones are drawn over it in RGB.
class GifCanvas {
 public:
  GifCanvas(const Source& source, const GifStructure& gif) : source_(source), gif_(gif) {}

  // Draws the next frame; frame numbers must come in order from 0.
  void draw(size_t frame_number);
  Image snapshot() const;

 private:
  enum class Form { kIndexed, kGrey, kColor };
  struct Rect {
    int x = 0, y = 0, width = 0, height = 0;
  };
  struct Disposal {
    Rect rect;
    std::vector<uint8_t> pixels;  // as the canvas stores them
  };

  std::optional<Palette> frame_palette(const GifFrame& frame) const;
  int channels() const { return form_ == Form::kColor ? 3 : 1; }
  void to_color();
  void grow(int width, int height, const std::array<uint8_t, 3>& fill);
  void plan_disposal(const GifFrame& frame, const std::optional<Palette>& palette, bool first);
  void paste(const Disposal& disposal);

  Source source_;
  const GifStructure& gif_;
  Form form_ = Form::kIndexed;
  bool indexed_next_ = false;  // a grey canvas that a frame with a palette was drawn on
  int width_ = 0, height_ = 0;
  std::vector<uint8_t> pixels_;  // [height_, width_, channels()]
  Palette palette_{};            // of an indexed canvas
  std::optional<uint8_t> transparent_;
  int disposal_method_ = 0;  // stays when a frame does not say
  std::optional<Disposal> disposal_;
};

}  // namespace vl3::media
