#include "media/packet_facts.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "media/bit_reader.h"
#include "media/quiet.h"

namespace vl3 {
namespace {

using Bytes = std::span<const uint8_t>;

// Where a start code (00 00 01) begins, from `at` on; the size where there is none.
size_t start_code(Bytes bytes, size_t at) {
  for (size_t one = at + 2; one < bytes.size(); ++one) {
    const void* found = std::memchr(bytes.data() + one, 1, bytes.size() - one);
    if (found == nullptr) break;
    one = static_cast<size_t>(static_cast<const uint8_t*>(found) - bytes.data());
    if (bytes[one - 1] == 0 && bytes[one - 2] == 0) return one - 2;
  }
  return bytes.size();
}

// Calls visit(unit) for every NAL unit of an H.264 or HEVC packet until it returns false.
template <class Visit>
void each_nal(Bytes bytes, int length_bytes, Visit&& visit) {
  if (length_bytes > 0) {
    const size_t head = static_cast<size_t>(length_bytes);
    for (size_t at = 0; at + head <= bytes.size();) {
      size_t length = 0;
      for (size_t i = 0; i < head; ++i) length = length << 8 | bytes[at + i];
      at += head;
      const Bytes unit = bytes.subspan(at, std::min(length, bytes.size() - at));
      if (!unit.empty() && !visit(unit)) return;
      at += unit.size();
    }
    return;
  }
  for (size_t at = start_code(bytes, 0); at < bytes.size();) {
    at += 3;
    // A picture's data is long and comes last: its end is not looked for.
    const bool data = at < bytes.size() && (bytes[at] & 0x1f) <= 5 && (bytes[at] & 0x1f) >= 1;
    const size_t end = data ? bytes.size() : start_code(bytes, at);
    if (at < end && !visit(bytes.subspan(at, end - at))) return;
    at = end;
  }
}

// Whether an SEI unit of H.264 promises that all is right from here on: a recovery point without frames to
// wait for, exact, and with no broken link.
bool promises_recovery(Bytes unit) {
  std::vector<uint8_t> plain;  // without the bytes that keep start codes out
  for (size_t i = 1; i < unit.size(); ++i) {
    if (i >= 3 && unit[i] == 3 && unit[i - 1] == 0 && unit[i - 2] == 0) continue;
    plain.push_back(unit[i]);
  }
  for (size_t at = 0; at + 2 < plain.size();) {
    size_t type = 0, size = 0;
    for (; at < plain.size() && plain[at] == 0xff; ++at) type += 255;
    if (at < plain.size()) type += plain[at++];
    for (; at < plain.size() && plain[at] == 0xff; ++at) size += 255;
    if (at < plain.size()) size += plain[at++];
    if (type == 6) {
      BitReader bits(Bytes(plain).subspan(std::min(at, plain.size())));
      const uint32_t wait = bits.golomb(), exact = bits.bit(), broken = bits.bit();
      return wait == 0 && exact == 1 && broken == 0;
    }
    at += size;
  }
  return false;
}

bool h264_entry(Bytes bytes, int length_bytes) {
  bool entry = false;
  each_nal(bytes, length_bytes, [&](Bytes unit) {
    const int type = unit[0] & 0x1f;
    if (type == 6) entry = entry || promises_recovery(unit);
    if (type == 5) entry = true;
    return type == 0 || type > 5;
  });
  return entry;
}

bool hevc_entry(Bytes bytes, int length_bytes) {
  bool entry = false;
  const auto visit = [&](Bytes unit) {
    const int type = (unit[0] >> 1) & 0x3f;
    if (type < 32) entry = type >= 16 && type <= 21;  // IRAP: IDR, CRA, BLA
    return type >= 32;
  };
  if (length_bytes > 0) {
    each_nal(bytes, length_bytes, visit);
    return entry;
  }
  for (size_t at = start_code(bytes, 0); at + 3 < bytes.size(); at = start_code(bytes, at + 3)) {
    if (!visit(bytes.subspan(at + 3))) break;
  }
  return entry;
}

int nal_length(const AVCodecParameters& codec) {
  const uint8_t* extra = codec.extradata;
  if (codec.codec_id == AV_CODEC_ID_H264 && codec.extradata_size >= 7 && extra[0] == 1)
    return (extra[4] & 3) + 1;
  if (codec.codec_id == AV_CODEC_ID_HEVC && codec.extradata_size >= 23 &&
      (extra[0] || extra[1] || extra[2] > 1))
    return (extra[21] & 3) + 1;
  return 0;
}

// One frame of VP9; whether it is shown, and whether it is a key frame.
std::pair<bool, bool> vp9_frame(Bytes bytes) {
  BitReader bits(bytes);
  bits.skip(2);
  const uint32_t profile = bits.bit() | bits.bit() << 1;
  if (profile == 3) bits.skip(1);
  if (bits.bit()) return {true, false};  // shows one that is there already
  const bool key = bits.bit() == 0;
  return {bits.bit() == 1, key};
}

void vp9(Bytes bytes, PacketFacts& facts) {
  facts.shown = 0;
  const uint8_t marker = bytes.back();
  const size_t count = (marker & 7u) + 1, width = ((marker >> 3) & 3u) + 1, index = 2 + width * count;
  if ((marker & 0xe0) == 0xc0 && bytes.size() >= index && bytes[bytes.size() - index] == marker) {
    size_t at = 0;
    for (size_t i = 0; i < count; ++i) {
      const Bytes entry = bytes.subspan(bytes.size() - index + 1 + i * width, width);
      size_t size = 0;
      for (size_t k = 0; k < width; ++k) size |= static_cast<size_t>(entry[k]) << 8 * k;
      if (size == 0 || size > bytes.size() - at) break;
      const auto [shown, key] = vp9_frame(bytes.subspan(at, size));
      facts.shown += shown;
      if (i == 0) facts.entry = key;
      at += size;
    }
    return;
  }
  const auto [shown, key] = vp9_frame(bytes);
  facts.shown = shown;
  facts.entry = key;
}

// A temporal unit of AV1 shows one frame at most: of several layers, the highest.
void av1(Bytes bytes, PacketFacts& facts) {
  facts.shown = 0;
  bool sequence = false, still = false, first = true;
  for (size_t at = 0; at < bytes.size();) {
    const uint8_t head = bytes[at++];
    const int type = (head >> 3) & 15;
    if (head & 4) ++at;
    size_t size = at < bytes.size() ? bytes.size() - at : 0;
    if (head & 2) {  // LEB128
      size = 0;
      for (size_t shift = 0; at < bytes.size() && shift < 56; shift += 7) {
        const uint8_t byte = bytes[at++];
        size |= static_cast<size_t>(byte & 127) << shift;
        if (!(byte & 128)) break;
      }
    }
    if (at >= bytes.size()) return;
    size = std::min(size, bytes.size() - at);
    BitReader bits(bytes.subspan(at, size));
    if (type == 1) {
      sequence = true;
      bits.skip(4);
      still = bits.bit() == 1;
    }
    if (type == 3 || type == 6) {
      const bool existing = !still && bits.bit() == 1;
      const uint32_t frame_type = still || existing ? 0 : bits.bits(2);
      const bool shown = still || existing || bits.bit() == 1;
      if (first) facts.entry = sequence && !existing && frame_type == 0 && shown;
      first = false;
      if (shown) facts.shown = 1;
    }
    at += size;
  }
}

// The bits of a VOP's time, as the header of the video object layer says; 0 where it has no such thing.
int vop_time_bits(Bytes layer) {
  BitReader bits(layer);
  bits.skip(9);
  uint32_t version = 1;
  if (bits.bit()) {
    version = bits.bits(4);
    bits.skip(3);
  }
  if (bits.bits(4) == 15) bits.skip(16);
  if (bits.bit()) {
    bits.skip(3);
    if (bits.bit()) bits.skip(79);
  }
  const uint32_t shape = bits.bits(2);
  if (shape == 3 && version != 1) bits.skip(4);
  bits.skip(1);
  const uint32_t resolution = bits.bits(16);
  if (bits.ended() || resolution == 0) return 0;
  int needed = 1;
  while (needed < 16 && (1u << needed) < resolution) ++needed;
  return needed;
}

// The coding type of the first picture of an MPEG-1 or MPEG-2 packet: 1 for I, 2 for P, 3 for B.
int mpeg12_type(Bytes bytes) {
  for (size_t at = start_code(bytes, 0); at + 6 <= bytes.size(); at = start_code(bytes, at + 3)) {
    if (bytes[at + 3] == 0) return (bytes[at + 5] >> 3) & 7;
  }
  return 0;
}

// The same of MPEG-4 part 2: 0 for I, 1 for P, 2 for B, 3 for S; -1 without a picture.
int vop_type(Bytes bytes) {
  for (size_t at = start_code(bytes, 0); at + 5 <= bytes.size(); at = start_code(bytes, at + 3)) {
    if (bytes[at + 3] == 0xb6) return bytes[at + 4] >> 6;
  }
  return -1;
}

bool h263_is_intra(Bytes bytes) {
  BitReader bits(bytes);
  bits.skip(22 + 8 + 5);
  if (bits.bits(3) != 7) return bits.bit() == 0;
  if (bits.bits(3) == 1) bits.skip(18);
  return bits.bits(3) == 0;
}

bool flv1_is_intra(Bytes bytes) {
  BitReader bits(bytes);
  bits.skip(17 + 5 + 8);
  const uint32_t size = bits.bits(3);
  bits.skip(size == 0 ? 16 : size == 1 ? 32 : 0);
  return bits.bits(2) == 0;
}

bool msmpeg4v1_is_intra(Bytes bytes) {
  BitReader bits(bytes);
  bits.skip(32 + 5);
  return bits.bits(2) == 0;
}

// Of codecs whose packets are a frame each. Containers are free with the word "key" where the codec knows
// better.
bool key_is_intra(AVCodecID codec, Bytes bytes) {
  switch (codec) {
    case AV_CODEC_ID_H263:
    case AV_CODEC_ID_H263P:
      return h263_is_intra(bytes);
    case AV_CODEC_ID_FLV1:
      return flv1_is_intra(bytes);
    case AV_CODEC_ID_MSMPEG4V1:
      return msmpeg4v1_is_intra(bytes);
    case AV_CODEC_ID_MSMPEG4V2:
    case AV_CODEC_ID_MSMPEG4V3:
    case AV_CODEC_ID_WMV1:
    case AV_CODEC_ID_THEORA:
      return (bytes[0] & 0xc0) == 0;
    case AV_CODEC_ID_WMV2:
      return (bytes[0] & 0x80) == 0;
    case AV_CODEC_ID_WMV3:
    case AV_CODEC_ID_VC1:
    case AV_CODEC_ID_FFV1:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_access_unit(Bytes bytes) {
  if (bytes.size() < 5 || bytes[0] != 0 || bytes[1] != 0 || bytes.back() == 0) return false;
  int64_t slice = -1;  // the first macroblock of the last one
  bool first = true;
  for (size_t at = start_code(bytes, 0); at + 4 < bytes.size(); at = start_code(bytes, at + 3)) {
    const int type = bytes[at + 3] & 0x1f;
    const bool begins = type >= 6 && type <= 9;  // SEI, SPS, PPS, delimiter: never behind a slice
    const bool slices = type == 1 || type == 2 || type == 5;
    if (first && (at > 1 || (!begins && !slices))) return false;
    if (begins && slice >= 0) return false;
    if (slices) {
      const int64_t macroblock = BitReader(bytes.subspan(at + 4)).golomb();
      if (slice < 0 ? macroblock != 0 : macroblock <= slice) return false;
      slice = macroblock;
    }
    first = false;
  }
  return slice >= 0;
}

bool reorders(AVCodecID codec) {
  const AVCodecDescriptor* known = avcodec_descriptor_get(codec);
  return known == nullptr || (known->props & AV_CODEC_PROP_REORDER) != 0;
}

struct PacketParser {
  explicit PacketParser(const AVCodecParameters& codec)
      : parser(av_parser_init(codec.codec_id)), context(avcodec_alloc_context3(nullptr)) {
    if (context != nullptr) {
      keep_quiet(*context);
      avcodec_parameters_to_context(context, &codec);
    }
    if (parser != nullptr) parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
  }
  ~PacketParser() {
    av_parser_close(parser);
    avcodec_free_context(&context);
  }
  PacketParser(const PacketParser&) = delete;
  PacketParser& operator=(const PacketParser&) = delete;

  bool works() const { return parser != nullptr && context != nullptr; }
  void operator()(const AVPacket& packet) {
    uint8_t* out = nullptr;
    int out_size = 0;
    parser->picture_structure = AV_PICTURE_STRUCTURE_UNKNOWN;
    av_parser_parse2(parser, context, &out, &out_size, packet.data, packet.size, packet.pts, packet.dts,
                     packet.pos);
  }

  AVCodecParserContext* parser;
  AVCodecContext* context;
};

bool cuts_columns(const AVCodecParameters& codec, const AVPacket& first) {
  if (codec.codec_id == AV_CODEC_ID_THEORA) return true;  // its header is not read here
  if (codec.codec_id != AV_CODEC_ID_H264 && codec.codec_id != AV_CODEC_ID_HEVC) return false;
  PacketParser read(codec);
  if (!read.works()) return false;
  read(first);
  return read.parser->coded_width > read.parser->width;
}

PacketInspector::PacketInspector(const AVCodecParameters& codec, bool find_order)
    : codec_(codec.codec_id), nal_length_bytes_(nal_length(codec)) {
  const AVCodecDescriptor* known = avcodec_descriptor_get(codec_);
  intra_only_ = known != nullptr && (known->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
  const bool has_order = codec_ == AV_CODEC_ID_H264 || codec_ == AV_CODEC_ID_HEVC;
  if (find_order && has_order) {
    parser_ = std::make_unique<PacketParser>(codec);
    if (!parser_->works()) parser_.reset();
  }
  if (codec_ == AV_CODEC_ID_MPEG4 && codec.extradata_size > 0)
    vop_is_coded(Bytes(codec.extradata, static_cast<size_t>(codec.extradata_size)));
}

PacketInspector::~PacketInspector() = default;

void PacketInspector::find_order(const AVPacket& packet, PacketFacts& facts) {
  (*parser_)(packet);
  const AVCodecParserContext& parser = *parser_->parser;
  const bool field =
      codec_ == AV_CODEC_ID_H264 && (parser.picture_structure == AV_PICTURE_STRUCTURE_TOP_FIELD ||
                                     parser.picture_structure == AV_PICTURE_STRUCTURE_BOTTOM_FIELD);
  facts.second_field = field && field_open_;
  field_open_ = field && !field_open_;
  if (facts.second_field) facts.shown = 0;
  facts.order = parser.output_picture_number;
  // An IDR picture, of which the count begins anew; a second field never begins one.
  facts.order_restarts = facts.entry && parser.output_picture_number == 0 && !facts.second_field;
}

// Of MPEG-4 part 2, whose encoders write pictures that say no more than "as before", and whose AVI files have
// packets with two pictures, the second of which takes the place of such a one. Also notes where the header
// of the layer stands in the bytes. True where a frame comes out.
bool PacketInspector::vop_is_coded(Bytes bytes) {
  bool seen = false, coded = true;
  int pictures = 0;
  for (size_t at = start_code(bytes, 0); at + 4 < bytes.size(); at = start_code(bytes, at + 3)) {
    const uint8_t code = bytes[at + 3];
    const Bytes rest = bytes.subspan(at + 4);
    if (code >= 0x20 && code <= 0x2f) vop_time_bits_ = vop_time_bits(rest);
    if (code != 0xb6) continue;
    ++pictures;
    if (seen) continue;
    seen = true;
    if (vop_time_bits_ == 0) continue;
    BitReader bits(rest);
    bits.skip(2);
    while (!bits.ended() && bits.bit() == 1) {
    }
    bits.skip(static_cast<size_t>(1 + vop_time_bits_ + 1));
    coded = bits.ended() || bits.bit() == 1;
  }
  packed_ += std::max(0, pictures - 1);
  if (seen && !coded && packed_ > 0) {
    --packed_;
    return true;
  }
  return coded;
}

// The place of a frame where only B-frames come late in the file: behind the reference before, and before the
// one that is there already.
int64_t PacketInspector::order_by_type(bool between) {
  constexpr int64_t kMost = 1 << 20;  // frames between two references
  if (!between) {
    ++references_;
    between_ = 0;
  }
  return references_ * kMost + (between ? std::min(++between_, kMost - 2) : kMost - 1);
}

PacketFacts PacketInspector::operator()(const AVPacket& packet) {
  PacketFacts facts;
  if (packet.size <= 0 || packet.data == nullptr) {
    facts.shown = 0;
    return facts;
  }
  const Bytes bytes(packet.data, static_cast<size_t>(packet.size));
  const bool key = (packet.flags & AV_PKT_FLAG_KEY) != 0;
  switch (codec_) {
    case AV_CODEC_ID_H264:
      facts.entry = h264_entry(bytes, nal_length_bytes_);
      break;
    case AV_CODEC_ID_HEVC:
      facts.entry = hevc_entry(bytes, nal_length_bytes_);
      break;
    case AV_CODEC_ID_VP8:
      facts.entry = (bytes[0] & 1) == 0;
      facts.shown = (bytes[0] >> 4) & 1;
      break;
    case AV_CODEC_ID_VP9:
      vp9(bytes, facts);
      break;
    case AV_CODEC_ID_AV1:
      av1(bytes, facts);
      break;
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO: {
      const int type = mpeg12_type(bytes);
      facts.entry = key && type == 1;
      if (type != 0) facts.order = order_by_type(type == 3);
      break;
    }
    case AV_CODEC_ID_MPEG4: {
      const int waited = packed_, type = vop_type(bytes);
      facts.shown = vop_is_coded(bytes);
      facts.packed = waited > 0 || packed_ > 0;
      facts.entry = key && type == 0 && facts.shown == 1 && !facts.packed;
      if (facts.shown == 1 && type >= 0) facts.order = order_by_type(type == 2);
      break;
    }
    case AV_CODEC_ID_DIRAC:  // a last packet may hold the end of the sequence alone
      facts.shown = bytes.size() < 5 || bytes[4] != 0x10;
      break;
    default:
      facts.entry = intra_only_ || (key && key_is_intra(codec_, bytes));
  }
  facts.packed = facts.packed || facts.shown > 1;
  if (parser_) find_order(packet, facts);
  return facts;
}

}  // namespace vl3
