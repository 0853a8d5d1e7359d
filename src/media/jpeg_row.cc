#include "media/jpeg_row.h"

#include <string>
#include <string_view>

#include "media/source_bytes.h"

namespace vl3 {
namespace {

constexpr size_t kPiece = 256 << 10;
constexpr int kMostSegments = 1 << 16;
constexpr uint8_t kStuffed = 0x00, kTem = 0x01, kFirstRestart = 0xd0, kLastRestart = 0xd7, kSoi = 0xd8,
                  kEoi = 0xd9, kSos = 0xda, kApp2 = 0xe2;

// Markers without a segment behind them, within a scan or in front of a segment.
bool stands_alone(uint8_t code) {
  return code == kStuffed || code == kTem || (code >= kFirstRestart && code <= kLastRestart);
}

// Where the scan that begins at `at` meets a marker that ends it; npos where the file ends first.
uint64_t end_of_scan(const MediaSource& source, uint64_t at) {
  while (true) {
    const std::string piece = part_of(source, at, kPiece);
    if (piece.size() < 2) return std::string::npos;
    for (size_t i = 0; i + 1 < piece.size(); ++i) {
      if (piece[i] != '\xff') continue;
      const auto code = static_cast<uint8_t>(piece[i + 1]);
      if (code != 0xff && !stands_alone(code)) return at + i;
    }
    at += piece.size() - 1;  // its last byte may begin a marker
  }
}

// Where the JPEG at the beginning of a source ends; npos where it is none, is cut off, or lists versions of
// itself.
uint64_t end_of_jpeg(const MediaSource& source) {
  if (part_of(source, 0, 2) != "\xff\xd8") return std::string::npos;
  uint64_t at = 2;
  for (int i = 0; i < kMostSegments; ++i) {
    const std::string head = part_of(source, at, 8);  // marker, length, the first four bytes
    if (head.size() < 2 || head[0] != '\xff') return std::string::npos;
    const auto code = static_cast<uint8_t>(head[1]);
    if (code == kEoi) return at + 2;
    if (code == 0xff || stands_alone(code)) {  // filled up
      at += code == 0xff ? 1 : 2;
      continue;
    }
    if (code == kSoi || head.size() < 8) return std::string::npos;
    if (code == kApp2 && std::string_view(head).substr(4) == std::string_view("MPF\0", 4))
      return std::string::npos;
    at += 2 + (static_cast<uint64_t>(static_cast<uint8_t>(head[2])) << 8 | static_cast<uint8_t>(head[3]));
    if (code == kSos) at = end_of_scan(source, at);
    if (at == std::string::npos) return at;
  }
  return std::string::npos;
}

}  // namespace

bool is_row_of_jpegs(const MediaSource& source) {
  const uint64_t end = end_of_jpeg(source);
  return end != std::string::npos && part_of(source, end, 3) == "\xff\xd8\xff";
}

}  // namespace vl3
