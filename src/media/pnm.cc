// PBM, PGM, PPM and PFM, plain and raw, with Pillow's own variants of four letters: all of it here. 16-bit
// grey is Pillow's "I": clipped at 255, not scaled; colours of any maximum are scaled to 255.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "media/image_codec.h"

namespace vl3::media {
namespace {

struct Header {
  std::string magic;
  int64_t width = 0, height = 0;
  int64_t maximum = 255;  // of a sample
  bool little_endian = false;
  uint64_t offset = 0;  // of the samples
  const char* mode = "";
  int bands = 1;
  bool plain = false;
};

struct Kind {
  std::string_view magic;
  const char* mode;
  int bands;
  bool plain;
};
constexpr Kind kKinds[] = {
    {"P1", "1", 1, true},         {"P2", "L", 1, true},  {"P3", "RGB", 3, true},
    {"P4", "1", 1, false},        {"P5", "L", 1, false}, {"P6", "RGB", 3, false},
    {"P0CMYK", "CMYK", 4, false}, {"Pf", "F", 1, false}, {"PyRGBA", "RGBA", 4, false},
    {"PyCMYK", "CMYK", 4, false},
};

bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_line_end(uint8_t c) { return c == '\n' || c == '\r'; }

// Walks the words of a file. A comment goes to the end of its line and, in a header, may lie within a word.
class Words {
 public:
  Words(const Source& source, uint64_t at) : source_(source), at_(at) {}

  static constexpr size_t kLongest = 10;
  // The next word, with the one character behind it taken; empty at the end of the file.
  std::string_view next() {
    size_t count = 0;
    for (; at_ < source_.bytes.size(); ++at_) {
      const uint8_t c = source_.bytes[at_];
      if (is_space(c)) {
        if (count == 0) continue;
        ++at_;
        break;
      }
      if (c == '#') {
        while (at_ < source_.bytes.size() && !is_line_end(source_.bytes[at_])) ++at_;
        continue;
      }
      require(count < kLongest, ErrorCode::kFormat,
              "[{}] broken PNM: a number of more than {} digits at byte {}", source_.name, kLongest, at_);
      word_[count++] = static_cast<char>(c);
    }
    return {word_.data(), count};
  }
  int64_t number(const char* what) {
    const std::string_view word = next();
    require(!word.empty(), ErrorCode::kFormat, "[{}] PNM truncated: the file ends at byte {} before {}",
            source_.name, source_.bytes.size(), what);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    require(error == std::errc() && end == word.data() + word.size() && value >= 0, ErrorCode::kFormat,
            "[{}] broken PNM: {} before byte {} is no number", source_.name, what, at_);
    return value;
  }
  uint64_t at() const { return at_; }

 private:
  const Source& source_;
  uint64_t at_;
  std::array<char, kLongest> word_{};
};

void read_scale(const Source& source, Words* words, Header* header) {
  const std::string word(words->next());
  char* end = nullptr;
  const double scale = std::strtod(word.c_str(), &end);
  require(!word.empty() && *end == '\0' && std::isfinite(scale) && scale != 0, ErrorCode::kFormat,
          "[{}] broken PFM: the scale before byte {} is no number other than 0", source.name, words->at());
  header->little_endian = scale < 0;
}

Header read_header(const Source& source) {
  Header header;
  uint64_t at = 0;
  while (at < source.bytes.size() && at < 6 && !is_space(source.bytes[at])) ++at;
  header.magic.assign(reinterpret_cast<const char*>(source.bytes.data()), at);
  const auto kind = std::ranges::find(kKinds, std::string_view(header.magic), &Kind::magic);
  require(kind != std::end(kKinds), ErrorCode::kUnsupported, "[{}] PNM of the kind \"{}\" is not supported",
          source.name, header.magic);
  header.mode = kind->mode;
  header.bands = kind->bands;
  header.plain = kind->plain;
  Words words(source, std::min<uint64_t>(at + (at < 6 ? 1 : 0), source.bytes.size()));
  header.width = words.number("the width");
  header.height = words.number("the height");
  check_size(source, header.width, header.height, 3);
  const std::string_view mode = header.mode;
  if (mode == "F") {
    read_scale(source, &words, &header);
  } else if (mode != "1") {
    header.maximum = words.number("the maximum of a sample");
    require(header.maximum > 0 && header.maximum < 65536, ErrorCode::kFormat,
            "[{}] broken PNM: the maximum of a sample is {}, which is not from 1 to 65535", source.name,
            header.maximum);
    if (mode == "L" && header.maximum > 255) header.mode = "I";
  }
  header.offset = words.at();
  return header;
}

// A sample scaled as Pillow does: to 255, or to 65535 where the grey has more than 8 bits, which is then
// clipped.
uint8_t scale(int64_t value, const Header& header) {
  const bool wide = header.mode[0] == 'I';
  const double scaled =
      static_cast<double>(value) / static_cast<double>(header.maximum) * (wide ? 65535 : 255);
  return static_cast<uint8_t>(std::min(255.0, std::nearbyint(scaled)));
}

void put_row(const uint8_t* samples, const Header& header, uint8_t* rgb) {
  const int64_t width = header.width;
  if (header.bands == 1) return grey_to_rgb(samples, width, rgb);
  const bool cmyk = header.mode[0] == 'C';
  for (int64_t x = 0; x < width; ++x) {
    if (cmyk) {
      cmyk_to_rgb(samples + 4 * x, rgb + 3 * x);
    } else {
      std::memcpy(rgb + 3 * x, samples + header.bands * x, 3);
    }
  }
}

void decode_plain(const Source& source, const Header& header, Image* image) {
  const int64_t count = header.width * header.bands;
  std::vector<uint8_t> row(static_cast<size_t>(count));
  Words words(source, header.offset);
  uint64_t at = header.offset;
  bool comment = false;
  // The digits of a plain bitmap need no space between them.
  const auto next_bit = [&]() -> uint8_t {
    for (; at < source.bytes.size(); ++at) {
      const uint8_t c = source.bytes[at];
      comment = comment ? !is_line_end(c) : c == '#';
      if (comment || is_space(c)) continue;
      require(c == '0' || c == '1', ErrorCode::kFormat, "[{}] broken PBM: byte {} is neither 0 nor 1",
              source.name, at);
      ++at;
      return c == '0' ? 255 : 0;
    }
    fail(ErrorCode::kFormat, "[{}] PNM truncated: the file ends at byte {}", source.name,
         source.bytes.size());
  };
  for (int64_t y = 0; y < header.height; ++y) {
    for (uint8_t& sample : row) {
      if (header.mode[0] == '1') {
        sample = next_bit();
        continue;
      }
      const int64_t value = words.number("all samples were read");
      require(value <= header.maximum, ErrorCode::kFormat,
              "[{}] broken PNM: the sample {} before byte {} is above the maximum of {}", source.name, value,
              words.at(), header.maximum);
      sample = scale(value, header);
    }
    put_row(row.data(), header, &image->rgb[static_cast<size_t>(y * header.width * 3)]);
  }
}

// Clipped as Pillow's "F" is: not-a-number is black.
uint8_t clip_float(const uint8_t* in, bool little_endian) {
  const uint32_t bits = little_endian ? load_le32(in) : load_be32(in);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value > 0 ? static_cast<uint8_t>(std::min(255.0f, value)) : 0;
}

// Bytes of a row of a raw file.
uint64_t row_bytes(const Header& header) {
  const auto width = static_cast<uint64_t>(header.width);
  if (header.mode[0] == '1') return (width + 7) / 8;
  if (header.mode[0] == 'F') return width * 4;
  return width * static_cast<uint64_t>(header.bands) * (header.maximum > 255 ? 2 : 1);
}

void decode_raw(const Source& source, const Header& header, Image* image) {
  const uint64_t stride = row_bytes(header);
  const int64_t count = header.width * header.bands;
  std::vector<uint8_t> row(static_cast<size_t>(count));
  const bool wide = header.maximum > 255;
  std::array<uint8_t, 256>
      scaled{};  // most files have samples of a byte: one division for each value they can have
  for (int64_t v = 0; v < 256; ++v) scaled[static_cast<size_t>(v)] = scale(v, header);
  for (int64_t y = 0; y < header.height; ++y) {
    const uint8_t* in = &source.bytes[header.offset + static_cast<uint64_t>(y) * stride];
    int64_t to = y;
    if (header.mode[0] == '1') {
      unpack_bits(in, 1, 255, count, row.data());
      for (uint8_t& sample : row) sample = static_cast<uint8_t>(~sample);
    } else if (header.mode[0] == 'F') {
      for (int64_t i = 0; i < count; ++i)
        row[static_cast<size_t>(i)] = clip_float(in + 4 * i, header.little_endian);
      to = header.height - 1 - y;  // the bottom row is the first
    } else {
      for (int64_t i = 0; i < count; ++i)
        row[static_cast<size_t>(i)] = wide ? scale(load_be16(in + 2 * i), header) : scaled[in[i]];
    }
    put_row(row.data(), header, &image->rgb[static_cast<size_t>(to * header.width * 3)]);
    if (to == y && (y + 1) % Source::kReadyRows == 0) source.rows_ready(y + 1);
  }
}

// Nothing is allocated for samples that are not there: a plain one takes a digit, and a space behind all but
// bits.
void check_samples(const Source& source, const Header& header) {
  const auto rows = static_cast<uint64_t>(header.height);
  uint64_t needed = row_bytes(header) * rows;
  if (header.plain) {
    const uint64_t samples = static_cast<uint64_t>(header.width * header.bands) * rows;
    needed = header.mode[0] == '1' ? samples : 2 * samples - 1;
  }
  source.slice(header.offset, needed, "the samples");
}

}  // namespace

ImageInfo probe_pnm(const Source& source) {
  const Header header = read_header(source);
  return info_of(header.width, header.height, header.mode);
}

void decode_pnm(const Source& source, Image* image) {
  const Header header = read_header(source);
  check_samples(source, header);
  *image = new_image(source, header.width, header.height, header.mode);
  if (header.plain) {
    decode_plain(source, header, image);
  } else {
    decode_raw(source, header, image);
  }
}

}  // namespace vl3::media
