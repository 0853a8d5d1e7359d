#include "media/heif_colours.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace vl3::media {
namespace {

constexpr int16_t kUnknown = INT16_MIN;
constexpr int kMostBits = 14;  // of a sample, so that chroma is never kUnknown

// What a matrix adds to luma.
struct Factors {
  double red_cr, green_cb, green_cr, blue_cb;
};

// From the weights of red and blue in luma (ISO 23091-2, table 4).
bool find_factors(int matrix, Factors* factors) {
  double red = 0, blue = 0;
  switch (matrix) {
    case 1:
      red = 0.2126, blue = 0.0722;
      break;
    case 2:
    case 5:
    case 6:
      red = 0.299, blue = 0.114;
      break;
    case 4:
      red = 0.30, blue = 0.11;
      break;
    case 7:
      red = 0.212, blue = 0.087;
      break;
    case 9:
    case 10:
      red = 0.2627, blue = 0.0593;
      break;
    default:
      return false;
  }
  const double green = 1 - red - blue;
  *factors = {2 * (1 - red), -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green, 2 * (1 - blue)};
  return true;
}

// As libheif computes and rounds.
int round_up(float value) { return static_cast<int>(std::floor(value + 0.5f)); }

struct Chroma {
  int16_t cb = kUnknown, cr = kUnknown;

  bool operator==(const Chroma&) const = default;
  bool known() const { return cb != kUnknown; }
};

class Converter {
 public:
  Converter(const HeifColours& colours, const Factors& factors)
      : colours_(colours),
        red_cr_(static_cast<float>(factors.red_cr)),
        green_cb_(static_cast<float>(factors.green_cb)),
        green_cr_(static_cast<float>(factors.green_cr)),
        blue_cb_(static_cast<float>(factors.blue_cb)),
        half_(1 << (colours.red.bits - 1)),
        top_(2 * half_ - 1),
        width_(colours.red.width),
        height_(colours.red.height) {
    chroma_.resize(static_cast<size_t>(width_ * height_));
  }

  // False where too many colours are not made of YCbCr by these factors. Of colours at random three in four
  // are not; of those that are, floats that round otherwise leave one in thousands.
  bool find() {
    int64_t whole = 0, found = 0;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        const int red = colours_.red.at(x, y), green = colours_.green.at(x, y), blue = colours_.blue.at(x, y);
        if (is_clipped(red) || is_clipped(green) || is_clipped(blue)) continue;
        ++whole;
        if (find_chroma(red, green, blue, &chroma(x, y))) ++found;
      }
    }
    return found >= whole - whole / 16;
  }

  // Fills in what is hidden from the rest of the 2 x 2 samples that share their chroma. False, and without an
  // effect, where they do not: the picture was cropped or turned by an odd number of samples.
  bool share() {
    for (const bool fill : {false, true})
      for (int64_t y = 0; y < height_; y += 2)
        for (int64_t x = 0; x < width_; x += 2)
          if (!share_block(x, y, fill)) return false;
    return true;
  }

  void put(Image* image) const {
    const auto in_256ths = [](float factor) { return static_cast<int>(std::lround(factor * 256)); };
    const int red_cr = in_256ths(red_cr_), green_cb = in_256ths(green_cb_);
    const int green_cr = in_256ths(green_cr_), blue_cb = in_256ths(blue_cb_);
    const int shift = colours_.red.bits - 8;
    const auto clip = [](int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); };
    uint8_t* rgb = image->rgb.data();
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x, rgb += 3) {
        const Chroma& wide = chroma(x, y);
        int luma = 0;
        if (!wide.known() || !find_luma(x, y, wide, &luma)) continue;
        // Samples of more bits are narrowed before they are converted.
        luma >>= shift;
        const int cb = ((wide.cb + half_) >> shift) - 128, cr = ((wide.cr + half_) >> shift) - 128;
        rgb[0] = clip(luma + ((red_cr * cr + 128) >> 8));
        rgb[1] = clip(luma + ((green_cb * cb + green_cr * cr + 128) >> 8));
        rgb[2] = clip(luma + ((blue_cb * cb + 128) >> 8));
      }
    }
  }

 private:
  Chroma& chroma(int64_t x, int64_t y) { return chroma_[static_cast<size_t>(y * width_ + x)]; }
  const Chroma& chroma(int64_t x, int64_t y) const { return chroma_[static_cast<size_t>(y * width_ + x)]; }
  bool is_clipped(int value) const { return value <= 0 || value >= top_; }

  bool find_chroma(int red, int green, int blue, Chroma* out) const {
    // Luma is the mean that the matrix undoes: its error is below that of the colours' rounding.
    const float weight_red = 1 - red_cr_ / 2, weight_blue = 1 - blue_cb_ / 2;
    const float mean = weight_red * static_cast<float>(red) + weight_blue * static_cast<float>(blue) +
                       (1 - weight_red - weight_blue) * static_cast<float>(green);
    const int near = round_up(mean);
    for (const int luma : {near, near - 1, near + 1}) {
      const int cr = round_up(static_cast<float>(red - luma) / red_cr_);
      const int cb = round_up(static_cast<float>(blue - luma) / blue_cb_);
      if (cr < -half_ || cr >= half_ || cb < -half_ || cb >= half_) continue;
      const Chroma candidate{static_cast<int16_t>(cb), static_cast<int16_t>(cr)};
      if (red_of(luma, candidate) != red || blue_of(luma, candidate) != blue ||
          green_of(luma, candidate) != green)
        continue;
      *out = candidate;
      return true;
    }
    return false;
  }
  int red_of(int luma, const Chroma& c) const {
    return round_up(static_cast<float>(luma) + red_cr_ * static_cast<float>(c.cr));
  }
  int green_of(int luma, const Chroma& c) const {
    return round_up(static_cast<float>(luma) + green_cb_ * static_cast<float>(c.cb) +
                    green_cr_ * static_cast<float>(c.cr));
  }
  int blue_of(int luma, const Chroma& c) const {
    return round_up(static_cast<float>(luma) + blue_cb_ * static_cast<float>(c.cb));
  }
  // From any colour that was not clipped; false where all were.
  bool find_luma(int64_t x, int64_t y, const Chroma& c, int* luma) const {
    const int red = colours_.red.at(x, y), green = colours_.green.at(x, y), blue = colours_.blue.at(x, y);
    if (!is_clipped(green)) {
      *luma = green - green_of(0, c);
    } else if (!is_clipped(red)) {
      *luma = red - red_of(0, c);
    } else if (!is_clipped(blue)) {
      *luma = blue - blue_of(0, c);
    } else {
      return false;
    }
    return *luma >= 0 && *luma <= top_;
  }

  bool share_block(int64_t x0, int64_t y0, bool fill) {
    const int64_t x1 = std::min(x0 + 2, width_), y1 = std::min(y0 + 2, height_);
    Chroma shared;
    for (int64_t y = y0; y < y1; ++y) {
      for (int64_t x = x0; x < x1; ++x) {
        if (!chroma(x, y).known()) continue;
        if (shared.known() && !(shared == chroma(x, y))) return false;
        shared = chroma(x, y);
      }
    }
    for (int64_t y = y0; fill && y < y1; ++y)
      for (int64_t x = x0; x < x1; ++x) chroma(x, y) = shared;
    return true;
  }

  const HeifColours& colours_;
  float red_cr_, green_cb_, green_cr_, blue_cb_;
  int half_, top_;
  int64_t width_, height_;
  std::vector<Chroma> chroma_;  // [height, width]
};

}  // namespace

bool HeifColours::same_size() const {
  const auto same = [&](const HeifPlane& plane) {
    return plane.bytes == nullptr ||
           (plane.width == red.width && plane.height == red.height && plane.bits == red.bits);
  };
  return same(green) && same(blue);
}

HevcChroma find_chroma(std::span<const uint8_t> file) {
  constexpr std::array<uint8_t, 4> kName = {'h', 'v', 'c', 'C'};
  constexpr size_t kChroma = 16;  // the byte of HEVCDecoderConfigurationRecord with the chroma format
  bool grey = false, colours = false;
  for (auto at = file.begin();; ++at) {
    at = std::search(at, file.end(), kName.begin(), kName.end());
    if (at == file.end() || static_cast<size_t>(file.end() - at) <= 4 + kChroma) break;
    const int chroma = at[4 + kChroma] & 3;
    if (chroma > 1) return HevcChroma::kOther;
    (chroma == 1 ? colours : grey) = true;
  }
  return colours ? HevcChroma::k420 : grey ? HevcChroma::kGrey : HevcChroma::kOther;
}

void narrow_colours(const HeifColours& colours, Image* image) {
  const HeifPlane* planes[] = {&colours.red, &colours.green, &colours.blue};
  uint8_t* rgb = image->rgb.data();
  for (int64_t y = 0; y < colours.red.height; ++y)
    for (int64_t x = 0; x < colours.red.width; ++x, rgb += 3)
      for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(planes[c]->at(x, y) >> (planes[c]->bits - 8));
}

bool convert_full_range_420(const HeifColours& colours, int matrix, Image* image) {
  Factors factors;
  if (colours.red.bits > kMostBits || !find_factors(matrix, &factors)) return false;
  Converter converter(colours, factors);
  if (!converter.find()) return false;
  converter.share();
  converter.put(image);
  return true;
}

}  // namespace vl3::media
