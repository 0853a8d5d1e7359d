#include "media/clip_turn.h"

extern "C" {
#include <libavcodec/packet.h>
}

#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

namespace vl3 {
namespace {

struct SideData {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

SideData display_matrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  const AVCodecParameters& codec = *stream.codecpar;
  const AVPacketSideData* found =
      av_packet_side_data_get(codec.coded_side_data, codec.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return found != nullptr ? SideData{found->data, found->size} : SideData{};
#else
  for (int i = 0; i < stream.nb_side_data; ++i) {
    const AVPacketSideData& found = stream.side_data[i];
    if (found.type == AV_PKT_DATA_DISPLAYMATRIX) return {found.data, found.size};
  }
  return {};
#endif
}

}  // namespace

ClipTurn clip_turn(const std::array<int32_t, 9>& matrix) {
  // A pixel at (x, y), y down, is shown at (a x + c y, b x + d y).
  double a = matrix[0], b = matrix[1];
  const double c = matrix[3], d = matrix[4];
  ClipTurn turn;
  turn.mirrored = a * d - b * c < 0;
  if (turn.mirrored) {
    a = -a;
    b = -b;
  }
  if (a == 0 && b == 0) return {};
  const double quarters = std::atan2(b, a) / std::atan2(1, 0);
  turn.quarters = (static_cast<int>(std::lround(quarters)) + 4) % 4;
  return turn;
}

ClipTurn clip_turn(const AVStream& stream) {
  const SideData found = display_matrix(stream);
  std::array<int32_t, 9> matrix{};
  if (found.size < sizeof matrix) return {};
  std::memcpy(matrix.data(), found.data, sizeof matrix);
  return clip_turn(matrix);
}

void turn(const ClipTurn& by, Image& image) {
  if (!by) return;
  const int64_t width = image.width, height = image.height;
  const bool lies = by.quarters % 2 != 0;
  const int64_t new_width = lies ? height : width, new_height = lies ? width : height;
  // Which pixel comes to (x, y): the turn undone, then the mirror.
  const auto source = [&](int64_t x, int64_t y) {
    if (by.quarters == 1) std::tie(x, y) = std::pair(y, height - 1 - x);
    if (by.quarters == 2) std::tie(x, y) = std::pair(width - 1 - x, height - 1 - y);
    if (by.quarters == 3) std::tie(x, y) = std::pair(width - 1 - y, x);
    return y * width + (by.mirrored ? width - 1 - x : x);
  };
  const int64_t first = source(0, 0), right = source(1, 0) - first, down = source(0, 1) - first;
  std::vector<uint8_t> turned(image.rgb.size());
  uint8_t* target = turned.data();
  for (int64_t y = 0; y < new_height; ++y) {
    for (int64_t x = 0; x < new_width; ++x, target += 3)
      std::memcpy(target, &image.rgb[static_cast<size_t>(3 * (first + x * right + y * down))], 3);
  }
  image.rgb = std::move(turned);
  image.width = new_width;
  image.height = new_height;
}

}  // namespace vl3
