#include "media/gif_blocks.h"

#include <algorithm>

namespace vl3::media {
namespace {

// After data sub-blocks: the offset behind their terminator, or the end of the file.
uint64_t skip_sub_blocks(const Source& source, uint64_t at) {
  while (at < source.bytes.size()) {
    const uint8_t size = source.bytes[at];
    at += 1 + uint64_t{size};
    if (size == 0) break;
  }
  return std::min<uint64_t>(at, source.bytes.size());
}

void read_graphic_control(std::span<const uint8_t> block, GifFrame* frame) {
  if (block.size() < 4) return;
  if ((block[0] & 1) != 0) frame->transparent = block[3];
  frame->duration_ms = static_cast<int>(load_le16(&block[1])) * 10;
  if (((block[0] >> 2) & 7) != 0) frame->disposal = (block[0] >> 2) & 7;
}

// Reads the image descriptor at `at` (its comma); the offset behind the frame's data.
uint64_t read_descriptor(const Source& source, uint64_t at, GifFrame* frame) {
  const uint8_t* descriptor = source.slice(at, 10, "a frame's header").data();
  frame->x = static_cast<int>(load_le16(descriptor + 1));
  frame->y = static_cast<int>(load_le16(descriptor + 3));
  frame->width = static_cast<int>(load_le16(descriptor + 5));
  frame->height = static_cast<int>(load_le16(descriptor + 7));
  frame->interlaced = (descriptor[9] & 64) != 0;
  at += 10;
  if ((descriptor[9] & 128) != 0) {
    frame->palette_offset = at;
    frame->palette_colors = 2 << (descriptor[9] & 7);
    source.slice(at, static_cast<uint64_t>(3 * frame->palette_colors), "a frame's palette");
    at += static_cast<uint64_t>(3 * frame->palette_colors);
  }
  frame->code_bits = source.slice(at, 1, "a frame's code size")[0];
  frame->data_offset = at + 1;
  return skip_sub_blocks(source, at + 1);
}

// Where a frame's rows go, in the order in which they are stored.
class RowOrder {
 public:
  RowOrder(int height, bool interlaced)
      : height_(height), step_(interlaced ? 8 : 1), interlaced_(interlaced) {}
  int row() const { return row_; }
  void advance() {
    row_ += step_;
    while (interlaced_ && row_ >= height_ && pass_ < 3) {
      constexpr int kStart[] = {4, 2, 1}, kStep[] = {8, 4, 2};
      row_ = kStart[pass_];
      step_ = kStep[pass_];
      ++pass_;
    }
  }

 private:
  int height_, step_, row_ = 0, pass_ = 0;
  bool interlaced_;
};

// Codes out of sub-blocks, least significant bit first; -1 at their end.
class CodeReader {
 public:
  CodeReader(const Source& source, uint64_t at) : bytes_(source.bytes), at_(at) {}
  int next(int bits) {
    while (have_ < bits) {
      if (left_ == 0) {
        if (at_ >= bytes_.size() || bytes_[at_] == 0) return -1;
        left_ = bytes_[at_++];
      }
      if (at_ >= bytes_.size()) return -1;
      buffer_ |= uint32_t{bytes_[at_++]} << have_;
      have_ += 8;
      --left_;
    }
    const int code = static_cast<int>(buffer_ & ((1u << bits) - 1));
    buffer_ >>= bits;
    have_ -= bits;
    return code;
  }
  uint64_t at() const { return at_; }

 private:
  std::span<const uint8_t> bytes_;
  uint64_t at_;
  uint32_t buffer_ = 0;
  int have_ = 0, left_ = 0;
};

constexpr int kTableSize = 4096;

// The dictionary of LZW: a string is its last index and the string before it.
struct Table {
  uint16_t prefix[kTableSize];
  uint8_t last[kTableSize];
  uint8_t stack[kTableSize];

  // Writes the string of code, backwards, to stack; its length.
  int expand(int code, int clear) {
    int length = 0;
    while (code >= clear) {
      stack[length++] = last[code];
      code = prefix[code];
    }
    stack[length++] = static_cast<uint8_t>(code);
    return length;
  }
};

}  // namespace

GifStructure parse_gif(const Source& source, int64_t max_frames) {
  const uint8_t* header = source.slice(0, 13, "the GIF header").data();
  GifStructure gif;
  gif.width = static_cast<int>(load_le16(header + 6));
  gif.height = static_cast<int>(load_le16(header + 8));
  uint64_t at = 13;
  if ((header[10] & 128) != 0) {
    gif.background = header[11];
    gif.palette_offset = at;
    gif.palette_colors = 2 << (header[10] & 7);
    source.slice(at, static_cast<uint64_t>(3 * gif.palette_colors), "the global palette");
    at += static_cast<uint64_t>(3 * gif.palette_colors);
  }
  GifFrame frame;
  while (at < source.bytes.size() && static_cast<int64_t>(gif.frames.size()) < max_frames) {
    const uint8_t kind = source.bytes[at];
    if (kind == ';') break;
    if (kind == '!') {
      if (at + 2 >= source.bytes.size()) break;
      const uint8_t label = source.bytes[at + 1], size = source.bytes[at + 2];
      if (label == 249 && at + 3 + size <= source.bytes.size())
        read_graphic_control(source.bytes.subspan(at + 3, size), &frame);
      at = skip_sub_blocks(source, at + 2);
    } else if (kind == ',') {
      at = read_descriptor(source, at, &frame);
      gif.frames.push_back(frame);
      frame = GifFrame{};
    } else {
      ++at;  // stray bytes between blocks
    }
  }
  require(!gif.frames.empty(), ErrorCode::kFormat, "[{}] GIF without a frame: the blocks end at byte {}",
          source.name, at);
  return gif;
}

std::vector<uint8_t> decode_gif_indices(const Source& source, const GifFrame& frame, size_t frame_number) {
  require(frame.code_bits >= 1 && frame.code_bits <= 8, ErrorCode::kFormat,
          "[{}] broken GIF: frame {} has codes of {} bits (byte {})", source.name, frame_number,
          frame.code_bits, frame.data_offset - 1);
  check_size(source, frame.width, frame.height, 1);
  std::vector<uint8_t> out(static_cast<size_t>(frame.width) * static_cast<size_t>(frame.height));
  const int clear = 1 << frame.code_bits, end = clear + 1;
  Table table;
  CodeReader codes(source, frame.data_offset);
  RowOrder order(frame.height, frame.interlaced);
  int bits = frame.code_bits + 1, next = clear + 2, previous = -1, x = 0;
  uint8_t first = 0;
  for (size_t left = out.size(); left > 0;) {
    const int code = codes.next(bits);
    require(code >= 0 && code != end, ErrorCode::kFormat,
            "[{}] GIF truncated: the codes of frame {} end at byte {} in row {}", source.name, frame_number,
            codes.at(), order.row());
    if (code == clear) {
      bits = frame.code_bits + 1;
      next = clear + 2;
      previous = -1;
      continue;
    }
    require(previous < 0 ? code < clear : code <= next && (code < next || next < kTableSize),
            ErrorCode::kFormat, "[{}] broken GIF: frame {} has the impossible code {} at byte {} in row {}",
            source.name, frame_number, code, codes.at(), order.row());
    // A code that is only now being defined: the previous string and its own first index.
    const bool self = previous >= 0 && code == next;
    const int length = table.expand(self ? previous : code, clear);
    const uint8_t head = table.stack[length - 1];
    if (previous >= 0 && next < kTableSize) {
      table.prefix[next] = static_cast<uint16_t>(previous);
      table.last[next] = self ? first : head;
      ++next;
      if (next == 1 << bits && bits < 12) ++bits;
    }
    first = head;
    previous = code;
    const auto put = [&](uint8_t index) {
      out[static_cast<size_t>(order.row()) * static_cast<size_t>(frame.width) + static_cast<size_t>(x)] =
          index;
      --left;
      if (++x == frame.width) {
        x = 0;
        order.advance();
      }
    };
    for (int i = length - 1; i >= 0 && left > 0; --i) put(table.stack[i]);
    if (self && left > 0) put(head);
  }
  return out;
}

}  // namespace vl3::media
