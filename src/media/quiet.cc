#include "media/quiet.h"

extern "C" {
#include <libavutil/log.h>
#include <libavutil/opt.h>
}

#include <bit>
#include <cstddef>
#include <cstdint>

namespace vl3 {
namespace {

// Added to a message's level, behind every level that is shown. The bits above these eight mean a colour.
constexpr int kFar = 128;

// An object's class says where its offset of levels stands. Classes without one are copied, and the copy
// points to an int of the object that nothing else reads.
AVClass with_offset_at(const AVClass& original, size_t place) {
  AVClass copy = original;
  copy.log_level_offset_offset = static_cast<int>(place);
  return copy;
}

struct QuietLog {
  const AVClass* av_class;
  int offset;
};

}  // namespace

void keep_quiet(AVCodecContext& context) noexcept { context.log_level_offset = kFar; }

void keep_quiet(AVFormatContext& context) noexcept {
  static const AVClass kClass =
      with_offset_at(*avformat_get_class(), offsetof(AVFormatContext, metadata_header_padding));
  context.metadata_header_padding = kFar;  // of ID3 and FLAC files that are written
  context.av_class = &kClass;
}

void keep_quiet(SwsContext& context) noexcept {
  // A parameter of filters that are not used here is a double, whose upper half becomes that int.
  const AVOption* unused = av_opt_find(&context, "param0", nullptr, 0, 0);
  if (unused == nullptr || unused->type != AV_OPT_TYPE_DOUBLE) return;
  constexpr size_t kUpperHalf = std::endian::native == std::endian::little ? sizeof(int) : 0;
  if (av_opt_set_double(&context, "param0", std::bit_cast<double>(uint64_t{kFar} << 32), 0) < 0) return;
  static const AVClass kClass =
      with_offset_at(*sws_get_class(), static_cast<size_t>(unused->offset) + kUpperHalf);
  *reinterpret_cast<const AVClass**>(&context) = &kClass;
}

void* quiet_log_context() noexcept {
  static const AVClass kClass = [] {
    AVClass made = {};
    made.class_name = "quiet";
    made.item_name = av_default_item_name;
    made.version = LIBAVUTIL_VERSION_INT;
    return with_offset_at(made, offsetof(QuietLog, offset));
  }();
  static const QuietLog kLog = {&kClass, kFar};
  return const_cast<QuietLog*>(&kLog);  // it is only read
}

}  // namespace vl3
