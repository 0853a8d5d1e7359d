#pragma once
// What a packet says of itself: how many frames it shows, whether decoding can begin at it, and where its
// frame stands among the others. Read from the first bytes of the packet, which decodes nothing.

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace vl3 {

struct PacketFacts {
  // Frames that come out for it: 0 for the invisible frames of VP8, VP9 and AV1, for frames that are not
  // coded, empty packets, and the second field of a frame whose first field is a packet of its own.
  int shown = 1;
  // A decoder that begins here gives, from this frame on in the order shown, what one that began at the
  // start gives.
  bool entry = false;
  // It has several pictures, or one that waited in the packet before: frames cannot be told apart by packets.
  bool packed = false;
  // A second field: it belongs to the frame of the packet before it.
  bool second_field = false;
  // Place in the order shown, where the codec writes it down: within the run of packets that begins where
  // order_restarts.
  std::optional<int64_t> order;
  bool order_restarts = false;
};

struct PacketParser;

// Reads the packets of one stream in the order of the file.
class PacketInspector {
 public:
  // find_order: fill in `order` and second_field of H.264 and HEVC too, which costs a parser.
  PacketInspector(const AVCodecParameters& codec, bool find_order);
  ~PacketInspector();

  PacketFacts operator()(const AVPacket& packet);

 private:
  void find_order(const AVPacket& packet, PacketFacts& facts);
  int64_t order_by_type(bool between);
  bool vop_is_coded(std::span<const uint8_t> bytes);

  AVCodecID codec_;
  bool intra_only_ = false;
  int nal_length_bytes_ = 0;  // 0: start codes
  std::unique_ptr<PacketParser> parser_;
  bool field_open_ = false;               // the packet before was a first field
  int vop_time_bits_ = 0;                 // MPEG-4: 0 until a header has said it
  int64_t references_ = 0, between_ = 0;  // frames others refer to; those behind the last that none does
  int packed_ = 0;                        // MPEG-4: frames that came in a packet with another, and wait
};

// Whether these bytes of H.264 with start codes are one access unit, and FFmpeg's parser, which looks for
// where the next one begins, would leave them whole, if what lies before and behind is such a one too.
bool is_access_unit(std::span<const uint8_t> bytes);

// Whether columns may be cut off the frames of a stream, as far as its first packet says.
bool cuts_columns(const AVCodecParameters& codec, const AVPacket& first);

// Whether frames of this codec may come in another order than their packets.
bool reorders(AVCodecID codec);

}  // namespace vl3
