// Recognising pictures by their first bytes.
#include "media/image_sniff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "media/image_codec.h"

namespace vl3 {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  ImageFormat format;
};
constexpr Signature kSignatures[] = {
    {"\x89PNG\r\n\x1a\n"sv, ImageFormat::kPng},
    {"\xff\xd8\xff"sv, ImageFormat::kJpeg},
    {"GIF87a"sv, ImageFormat::kGif},
    {"GIF89a"sv, ImageFormat::kGif},
    {"BM"sv, ImageFormat::kBmp},
    {"II\x2a\0"sv, ImageFormat::kTiff},
    {"MM\0\x2a"sv, ImageFormat::kTiff},
    {"II\x2b\0"sv, ImageFormat::kTiff},
    {"MM\0\x2b"sv, ImageFormat::kTiff},
    {"\xff\x0a"sv, ImageFormat::kJxl},
    {"\0\0\0\x0cJXL \r\n\x87\n"sv, ImageFormat::kJxl},
    {"\xff\x4f\xff\x51"sv, ImageFormat::kJpeg2000},
    {"\0\0\0\x0cjP  \r\n\x87\n"sv, ImageFormat::kJpeg2000},
    {"qoif"sv, ImageFormat::kQoi},
    {"DDS "sv, ImageFormat::kDds},
    {"\x01\xda"sv, ImageFormat::kSgi},
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// AVIF and HEIC are both boxes of ISO 14496-12; the brands of the first one tell them apart, and from clips.
bool sniff_boxes(std::string_view text, ImageFormat* format) {
  if (text.size() < 12 || text.substr(4, 4) != "ftyp") return false;
  const std::string_view major = text.substr(8, 4);
  const auto is = [&](ImageFormat found) {
    *format = found;
    return true;
  };
  if (major == "avif" || major == "avis") return is(ImageFormat::kAvif);
  for (const std::string_view brand : {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"})
    if (major == brand) return is(ImageFormat::kHeif);
  if (major != "mif1" && major != "msf1") return false;
  const size_t end =
      std::min<size_t>(text.size(), media::load_be32(reinterpret_cast<const uint8_t*>(text.data())));
  for (size_t at = 16; at + 4 <= end; at += 4)
    if (text.substr(at, 4) == "avif" || text.substr(at, 4) == "avis") return is(ImageFormat::kAvif);
  return is(ImageFormat::kHeif);
}

// "P" and a digit or two letters, then a space: text begins so too, but not with a number behind it.
bool is_pnm(std::string_view text) {
  if (text.size() < 3 || text[0] != 'P') return false;
  for (const std::string_view magic : {"P0CMYK"sv, "PyRGBA"sv, "PyCMYK"sv})
    if (text.starts_with(magic)) return true;
  if (text[1] != 'f' && (text[1] < '1' || text[1] > '6')) return false;
  const size_t at = text.find_first_not_of(" \t\n\v\f\r", 2);
  return at != 2 && (at == std::string_view::npos || text[at] == '#' || (text[at] >= '0' && text[at] <= '9'));
}

// Icons (1) or cursors (2), of which there is at least one: a TGA may begin alike, but with zeros behind it.
bool is_icons(std::span<const uint8_t> bytes, uint8_t kind) {
  return bytes.size() >= 6 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == kind && bytes[3] == 0 &&
         media::load_le16(&bytes[4]) > 0;
}

// A bitmap's header of sizes, without the "BM" in front of it.
bool is_dib(std::span<const uint8_t> bytes) {
  if (bytes.size() < 16) return false;
  const uint32_t size = media::load_le32(bytes.data());
  constexpr uint32_t kSizes[] = {12, 40, 52, 56, 64, 108, 124};
  if (std::ranges::find(kSizes, size) == std::end(kSizes)) return false;
  const uint32_t bits = media::load_le16(&bytes[size == 12 ? 10 : 14]),
                 planes = media::load_le16(&bytes[size == 12 ? 8 : 12]);
  constexpr uint32_t kBits[] = {1, 4, 8, 16, 24, 32};
  return planes <= 1 && std::ranges::find(kBits, bits) != std::end(kBits);
}

bool is_pcx(std::span<const uint8_t> bytes) {
  return bytes.size() >= 4 && bytes[0] == 10 &&
         (bytes[1] == 0 || bytes[1] == 2 || bytes[1] == 3 || bytes[1] == 5) && bytes[2] <= 1 &&
         (bytes[3] == 1 || bytes[3] == 2 || bytes[3] == 4 || bytes[3] == 8);
}

}  // namespace

bool sniff_image(std::span<const std::byte> bytes, ImageFormat* format) noexcept {
  const std::string_view text = as_text(bytes.first(std::min<size_t>(bytes.size(), 64)));
  const std::span<const uint8_t> raw(reinterpret_cast<const uint8_t*>(bytes.data()), text.size());
  for (const Signature& signature : kSignatures) {
    if (!text.starts_with(signature.bytes)) continue;
    *format = signature.format;
    return true;
  }
  if (text.starts_with("RIFF") && text.substr(std::min<size_t>(8, text.size()), 4) == "WEBP") {
    *format = ImageFormat::kWebp;
    return true;
  }
  if (sniff_boxes(text, format)) return true;
  const auto is = [&](bool found, ImageFormat kind) {
    if (found) *format = kind;
    return found;
  };
  // Those without a signature of their own come last.
  return is(is_icons(raw, 1), ImageFormat::kIco) || is(is_icons(raw, 2), ImageFormat::kCur) ||
         is(is_pnm(text), ImageFormat::kPnm) || is(is_pcx(raw), ImageFormat::kPcx) ||
         is(is_dib(raw), ImageFormat::kDib) || is(media::looks_like_tga(raw), ImageFormat::kTga);
}

namespace {

struct Foreign {
  size_t at;
  std::string_view bytes;
  const char* words;
};

// What people take for pictures. {at, bytes, words behind "is "}.
constexpr Foreign kForeign[] = {
    {0, "version https://git-lfs",
     "a Git LFS pointer: the file itself was not fetched (git lfs pull fetches it)"},
    {0, "%PDF-", "a PDF document: turn its pages into pictures first (pdftoppm -png)"},
    {0, "%!PS", "a PostScript document: turn it into a picture first (gs -sDEVICE=png16m)"},
    {0, "\xc5\xd0\xd3\xc6", "an EPS document: turn it into a picture first (gs -sDEVICE=png16m)"},
    {0, "8BPS", "a Photoshop document: export it as PNG or JPEG first"},
    {0, "gimp xcf", "a GIMP document: export it as PNG or JPEG first"},
    {0, "PK\3\4", "a ZIP archive (or a document that is one): unpack it first"},
    {0, "PK\5\6"sv, "an empty ZIP archive"},
    {0, "\x1f\x8b", "data compressed with gzip: unpack it first"},
    {0, "\x28\xb5\x2f\xfd"sv, "data compressed with zstd: unpack it first"},
    {0, "BZh", "data compressed with bzip2: unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "data compressed with xz: unpack it first"},
    {0, "7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"},
    {0, "Rar!\x1a\x07", "a RAR archive: unpack it first"},
    {257, "ustar", "a tar archive: unpack it first"},
    {0, "FUJIFILMCCD-RAW", "a raw file of a camera (RAF): develop it to JPEG or PNG first"},
    {0, "IIU\0"sv, "a raw file of a camera (RW2): develop it to JPEG or PNG first"},
    {0, "IIRO", "a raw file of a camera (ORF): develop it to JPEG or PNG first"},
    {0, "IIRS", "a raw file of a camera (ORF): develop it to JPEG or PNG first"},
    {0, "MMOR", "a raw file of a camera (ORF): develop it to JPEG or PNG first"},
    {0, "FOVb", "a raw file of a camera (X3F): develop it to JPEG or PNG first"},
    {0, "II\x1a\0\0\0HEAPCCDR"sv, "a raw file of a camera (CRW): develop it to JPEG or PNG first"},
    {0, "II\xbc\x01"sv, "a JPEG XR picture, which is not supported: convert it to PNG or JPEG first"},
    {0, "v/1\x01", "an OpenEXR picture, which is not supported: convert it to PNG or JPEG first"},
    {0, "#?RADIANCE", "a Radiance HDR picture, which is not supported: convert it to PNG or JPEG first"},
    {0, "SIMPLE  =", "a FITS picture, which is not supported: convert it to PNG or JPEG first"},
    {128, "DICM", "a DICOM picture, which is not supported: convert it to PNG first (dcmj2pnm)"},
    {0, "icns", "a macOS icon, which is not supported: convert it to PNG first"},
    {0, "P7\n", "a PAM picture, which is not supported: convert it to PPM or PNG first"},
    {0, "FORM", "an IFF file, which is not supported"},
    {0, "\x59\xa6\x6a\x95", "a Sun raster picture, which is not supported: convert it to PNG first"},
    {0, "/* XPM */", "an XPM picture, which is not supported: convert it to PNG first"},
    {0, "BPG\xfb", "a BPG picture, which is not supported: convert it to PNG first"},
    {0, "FLIF", "a FLIF picture, which is not supported: convert it to PNG first"},
    {0,
     "\xab"
     "KTX 1",
     "a KTX texture, which is not supported: convert it to PNG first"},
    {0,
     "\xab"
     "KTX 2",
     "a KTX texture, which is not supported: convert it to PNG first"},
    {0, "\xd7\xcd\xc6\x9a", "a WMF drawing: turn it into a picture first"},
    {0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office (or Thumbs.db)"},
    {0, "SQLite format 3", "an SQLite database"},
    {0, "\x93NUMPY", "a NumPy array: save it as a picture first"},
    {0, "\x89HDF\r\n\x1a\n", "an HDF5 file"},
    {0,
     "\x7f"
     "ELF",
     "a program"},
    {0, "MZ", "a program"},
    {0, "GGUF", "a GGUF model"},
};

constexpr const char* kClip = "a clip ({}): give it as a video";

struct Clip {
  size_t at;
  std::string_view bytes;
  const char* name;
};
constexpr Clip kClips[] = {
    {0, "\x1a\x45\xdf\xa3", "Matroska or WebM"},
    {0, "FLV\1", "FLV"},
    {0, "OggS", "Ogg"},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF or WMV"},
    {0, "\0\0\1\xba"sv, "MPEG"},
    {0, "\0\0\1\xb3"sv, "MPEG"},
    {0, "YUV4MPEG2", "YUV4MPEG"},
    {0, "DKIF", "IVF"},
    {0, ".RMF", "RealMedia"},
    {4, "moov", "QuickTime"},
    {4, "mdat", "QuickTime"},
    {4, "wide", "QuickTime"},
};

constexpr Foreign kSounds[] = {
    {0, "ID3", "a sound file (MP3)"},      {0, "fLaC", "a sound file (FLAC)"},
    {0, "#!AMR", "a sound file (AMR)"},    {8, "WAVE", "a sound file (WAV)"},
    {8, "AIFF", "a sound file (AIFF)"},    {4, "ftypM4A", "a sound file (M4A)"},
    {0, "\xff\xfb", "a sound file (MP3)"}, {0, "\xff\xf3", "a sound file (MP3)"},
};

bool holds(std::string_view text, size_t at, std::string_view bytes) {
  return text.size() >= at && text.substr(at).starts_with(bytes);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// What markup begins with, behind a byte order mark, spaces and comments.
std::string describe_markup(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text[start] != '<') return {};
  std::string small(text.substr(start));
  std::ranges::transform(small, small.begin(), lower);
  const auto has = [&](std::string_view word) { return small.find(word) != std::string::npos; };
  if (has("<svg") || has("<!doctype svg"))
    return "an SVG drawing: turn it into a picture first (rsvg-convert -o out.png)";
  if (has("<!doctype html") || has("<html") || has("<head") || has("<body"))
    return "an HTML page, not a picture: what should have been fetched may need a login or another address";
  if (has("<?xml") && has("<error")) return "an XML error message of a server, not a picture";
  if (has("<?xml")) return "an XML document";
  return {};
}

std::string describe_text(std::string_view text) {
  for (const char c : text)
    if (static_cast<uint8_t>(c) < 32 && c != '\n' && c != '\r' && c != '\t' && c != '\f') return {};
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return "a text file of blanks";
  if (text[start] == '{' || text[start] == '[') return "a JSON text";
  if (text.starts_with("data:image/"))
    return "a data: URL as text: a file should hold the picture's own bytes";
  if (text.starts_with("http://") || text.starts_with("https://"))
    return "a text with an address: fetch the picture first";
  return "a text file";
}

// Boxes of ISO 14496-12 that are no picture of ours.
std::string describe_boxes(std::string_view text) {
  if (text.size() < 12 || text.substr(4, 4) != "ftyp") return {};
  const std::string_view brand = text.substr(8, 4);
  if (brand == "crx ") return "a raw file of a camera (CR3): develop it to JPEG or PNG first";
  return fmt::format(kClip, brand == "qt  " ? "QuickTime" : "MP4");
}

}  // namespace

std::string describe_foreign_file(std::span<const std::byte> bytes) {
  ImageFormat format{};
  if (sniff_image(bytes, &format)) return {};
  const std::string_view text = as_text(bytes.first(std::min<size_t>(bytes.size(), 1024)));
  for (const Foreign& kind : kSounds)
    if (holds(text, kind.at, kind.bytes)) return kind.words;
  if (std::string boxes = describe_boxes(text); !boxes.empty()) return boxes;
  for (const Foreign& kind : kForeign)
    if (holds(text, kind.at, kind.bytes)) return kind.words;
  for (const Clip& kind : kClips)
    if (holds(text, kind.at, kind.bytes)) return fmt::format(kClip, kind.name);
  if (text.starts_with("RIFF") && holds(text, 8, "AVI ")) return fmt::format(kClip, "AVI");
  // A transport stream's packets begin alike.
  if (text.size() > 376 && text[0] == 'G' && text[188] == 'G' && text[376] == 'G')
    return fmt::format(kClip, "MPEG transport stream");
  if (std::string markup = describe_markup(text); !markup.empty()) return markup;
  return text.empty() ? std::string() : describe_text(text);
}

namespace media {

std::string first_bytes(std::span<const uint8_t> bytes) {
  std::string hex;
  for (size_t i = 0; i < std::min<size_t>(bytes.size(), 8); ++i)
    hex += fmt::format("{}{:02x}", i > 0 ? " " : "", bytes[i]);
  return "its first bytes are " + hex;
}

}  // namespace media
}  // namespace vl3
