// Clips through FFmpeg's libraries: read as a stream or by leaps.

#include <algorithm>
#include <iterator>

#include "media/leap_helper.h"
#include "media/video_file.h"

namespace vl3 {
namespace {

// Below so many frames that nobody wants, all are decoded: leaping would not pay.
constexpr int64_t kWorthLeaping = 128;
constexpr int64_t kWorthSeeking = 16;  // frames that a leap leaves out: it empties the decoder
constexpr size_t kWorthHelping = 8;    // leaps: a helper has to open the file

}  // namespace

// The number of the frame in frame_ in here_; false where it is none that is counted.
bool VideoFile::place_frame() {
  if (!leaping_) shown_.push_back(frame_->pts);
  if (leaping_ || (skip_broken_ && index_.ordered())) {
    const int64_t number = index_.frame_of(frame_->pts);
    if (number < floor_ || number <= here_) return false;
    here_ = number;
  } else {
    ++here_;
  }
  return true;
}

// Decodes up to a frame, or, where that one does not come, up to the first behind it. False at the end.
bool VideoFile::advance(int64_t wanted, const Cancelled& cancelled) {
  while (here_ < wanted || frame_->buf[0] == nullptr) {
    check(cancelled);
    if (skip_broken_ && frame_->buf[0] != nullptr && !broken_.contains(here_)) {
      av_frame_unref(before_.get());
      av_frame_move_ref(before_.get(), frame_.get());
    }
    av_frame_unref(frame_.get());
    if (!next_frame()) return false;
    if (!place_frame()) av_frame_unref(frame_.get());
  }
  return true;
}

// The frame that was wanted in image_; in place of one that never came, the last good one.
void VideoFile::deliver(int64_t wanted) {
  const bool came = frame_->buf[0] != nullptr && here_ == wanted;
  const AVFrame& frame = came || before_->buf[0] == nullptr ? *frame_ : *before_;
  if (frame.buf[0] == nullptr) broken("frame {} cannot be decoded, nor one before it", wanted);
  convert(frame, wanted);
  if ((!came || broken_.contains(wanted)) && concealed_++ == 0) first_concealed_ = wanted;
}

bool VideoFile::leaps_pay(std::span<const int64_t> indices) const {
  const int64_t unwanted = indices.back() + 1 - static_cast<int64_t>(indices.size());
  return index_.ordered() && unwanted >= kWorthLeaping && indices.back() < index_.frames() &&
         index_.first_entry() < index_.packets();
}

// Where in the indices leaps begin: at each of the others decoding goes on.
std::vector<size_t> VideoFile::leaps_of(std::span<const int64_t> indices) const {
  std::vector<size_t> leaps = {0};
  for (size_t i = 1; i < indices.size(); ++i) {
    if (index_.entry_before(indices[i]).frame > indices[i - 1] + kWorthSeeking) leaps.push_back(i);
  }
  return leaps;
}

void VideoFile::begin_leaps(std::span<const int64_t> indices) {
  open_decoder();
  decoder_->show_unsure();  // which of them are right, the index knows
  leaping_ = true;
  wanted_.assign(indices.begin(), indices.end());
  if (!first_packet_) return;  // what only a first packet says of the whole stream
  const std::unique_ptr<AVPacket, FreePacket> first(av_packet_clone(first_packet_.get()));
  if (first) decoder_->send(*first, 0, true);
}

// Leaps to the first of the indices and goes on to the last. How many were served: not all of them where the
// clip is not as its packets say, or broken.
size_t VideoFile::leap(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled) {
  size_t i = 0;
  try {
    if (!begin_at(index_.entry_before(indices[0]))) return 0;
    while (i < indices.size()) {
      const int64_t wanted = indices[i];
      last_packet_ = wanted == indices.back() ? index_.last_packet_of(wanted) : index_.packets();
      const bool came = advance(wanted, cancelled) && here_ == wanted;
      if (!came && (!skip_broken_ || strayed_)) return i;
      deliver(wanted);
      for (; i < indices.size() && indices[i] == wanted; ++i) sink(i, image_);
    }
  } catch (const Error& error) {  // reading from the start says what is wrong, if anything is
    if (error.code() != ErrorCode::kFormat) throw;
  }
  return i;
}

// Another reader for every second leap, where there are many and the decoder has one thread. What frames
// that are broken look like may depend on those before: then there is none.
std::unique_ptr<LeapHelper> VideoFile::helper_for(std::span<const int64_t> indices,
                                                  std::span<const size_t> leaps) const {
  if (leaps.size() < kWorthHelping || skip_broken_ || !decoder_->has_one_thread()) return nullptr;
  std::vector<int64_t> others;
  for (size_t k = 1; k < leaps.size(); k += 2) {
    const auto end =
        k + 1 < leaps.size() ? indices.begin() + static_cast<ptrdiff_t>(leaps[k + 1]) : indices.end();
    std::unique_copy(indices.begin() + static_cast<ptrdiff_t>(leaps[k]), end, std::back_inserter(others));
  }
  return std::make_unique<LeapHelper>(std::unique_ptr<VideoFile>(new VideoFile(*this)), std::move(others));
}

// The same as leap() of frames that the helper decodes.
size_t VideoFile::take(LeapHelper& helper, std::span<const int64_t> indices, const Sink& sink,
                       const Cancelled& cancelled) {
  for (size_t i = 0; i < indices.size();) {
    check(cancelled);
    const std::optional<Image> frame = helper.next([&] { check(cancelled); });
    if (!frame) return i;
    for (const int64_t wanted = indices[i]; i < indices.size() && indices[i] == wanted; ++i) sink(i, *frame);
  }
  return indices.size();
}

// Leaps from one wanted frame to the next. How many of the indices were served.
size_t VideoFile::read_by_leaps(std::span<const int64_t> indices, bool alone, const Sink& sink,
                                const Cancelled& cancelled) {
  begin_leaps(indices);
  const std::vector<size_t> leaps = leaps_of(indices);
  const std::unique_ptr<LeapHelper> helper = alone ? nullptr : helper_for(indices, leaps);
  for (size_t k = 0; k < leaps.size(); ++k) {
    const size_t first = leaps[k], end = k + 1 < leaps.size() ? leaps[k + 1] : indices.size();
    const auto some = indices.subspan(first, end - first);
    const Sink behind = [&](size_t i, const Image& frame) { sink(first + i, frame); };
    const size_t served =
        helper && k % 2 == 1 ? take(*helper, some, behind, cancelled) : leap(some, behind, cancelled);
    if (served < some.size()) return first + served;
  }
  if (helper) frames_decoded_ += helper->frames_decoded();
  return indices.size();
}

void VideoFile::read_from_start(std::span<const int64_t> indices, size_t i, const Sink& sink,
                                const Cancelled& cancelled) {
  open_decoder();
  begin_at_start();
  while (i < indices.size()) {
    const int64_t wanted = indices[i];
    const bool came = advance(wanted, cancelled);
    if (!came && !skip_broken_ && cut_off_)
      broken("is cut off or corrupt behind frame {}{}", here_, cut_words_);
    if (!came && (broken_.empty() || cut_off_ || !index_.ordered())) end_early();
    deliver(wanted);
    for (; i < indices.size() && indices[i] == wanted; ++i) sink(i, image_);
  }
}

// Of a file that cannot be read to its end, and whose container does not say what lies behind.
void VideoFile::tell_unread() {
  if (!cut_off_ || lost_packets_ > 0) return;
  const int64_t last = info_.total_frames - 1;
  if (!skip_broken_) broken("cannot be read behind frame {} ({:.2f} s){}", last, time_of(last), cut_words_);
  notes_.push_back(fmt::format("[{}] cannot be read behind frame {} ({:.2f} s){}: what is there is looked at",
                               name_, last, time_of(last), cut_words_));
}

void VideoFile::tell_concealed() {
  if (concealed_ == 0) return;
  notes_.push_back(fmt::format(
      "[{}] {} of the frames looked at {} broken and concealed, the first of them frame {} "
      "({:.2f} s)",
      name_, concealed_, concealed_ == 1 ? "is" : "are", first_concealed_, time_of(first_concealed_)));
}

void VideoFile::read(std::span<const int64_t> indices, const Sink& sink, const Cancelled& cancelled) {
  require(std::is_sorted(indices.begin(), indices.end()) && (indices.empty() || indices[0] >= 0),
          ErrorCode::kInvalidArgument, "[{}] frames are read in ascending order", name_);
  frames_decoded_ = 0;
  concealed_ = 0;
  notes_.clear();
  tell_assumed();
  if (indices.empty()) return;
  require(indices.back() < info_.total_frames, ErrorCode::kInvalidArgument,
          "[{}] frame {} was asked for; there are {}", name_, indices.back(), info_.total_frames);
  complete_index();
  if (indices.back() >= info_.total_frames) {
    throw ClipEnded(fmt::format("[{}] has {} frames, where its list of them says {}", name_,
                                info_.total_frames, listed_.size()));
  }
  tell_unread();
  const size_t served = leaps_pay(indices) ? read_by_leaps(indices, false, sink, cancelled) : 0;
  if (served < indices.size()) read_from_start(indices, served, sink, cancelled);
  tell_concealed();
}

}  // namespace vl3
