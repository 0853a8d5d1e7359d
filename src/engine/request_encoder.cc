#include "engine/request_encoder.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "ops/ops.h"

namespace vl3 {
namespace {

// A number for every row of features, the same for the same row of the same content.
void append_row_numbers(int64_t serial, int64_t rows, std::vector<int64_t>& numbers) {
  constexpr int64_t kMostRows = int64_t{1} << 24;
  for (int64_t row = 0; row < rows; ++row) numbers.push_back(-(serial * kMostRows + row));
}

}  // namespace

void Encoding::tell_progress(int64_t patches) {
  encoded_ += patches;
  if (probe_ != nullptr && probe_->progress)
    probe_->progress("encode", std::min(encoded_, patches_), patches_);
}

RequestEncoder::RequestEncoder(const ForConditionalGeneration& model, std::unique_ptr<VisualStream> stream,
                               FeatureCache* cache, bool reuse_static_frames, const Probe* probe,
                               const std::string& salt)
    : Encoding(probe),
      stream_(std::move(stream)),
      cache_(cache),
      reuse_static_(reuse_static_frames),
      pictures_(model, false),
      clips_(model, reuse_static_frames),
      items_(stream_->items().size()) {
  const double started = now_s();
  for (size_t i = 0; cache_ != nullptr && i < items_.size(); ++i) {
    std::string& content = items_[i].content;
    content = stream_->content_key(i);
    if (!content.empty() && !salt.empty()) content += " of " + salt;
  }
  if (items_.empty()) prompts_ = stream_->finish();
  media_s_ = now_s() - started;
}

void RequestEncoder::begin(Context& context) {
  for (size_t i = 0; i < items_.size(); ++i) {
    Item& item = items_[i];
    if (cache_ != nullptr) {
      const bool reuse = reuse_static_ && stream_->items()[i].video;
      item.key = feature_key(context, std::move(item.content), reuse);
      item.found = cache_->find(context, item.key);
    }
    if (item.found)
      stream_->set_known(i, item.found->visual.facts);
    else
      patches_ += stream_->items()[i].patches;
  }
}

bool RequestEncoder::ready() {
  const bool ready = stream_->ready();
  if (!ready && !waits_since_) waits_since_ = now_s();
  return ready;
}

bool RequestEncoder::encode_next(Context& context, int64_t at_once) {
  context.check_cancelled();
  const double asked = waits_since_.value_or(now_s());
  const std::optional<VisualGroup> group = stream_->next();
  media_s_ += now_s() - asked;
  waits_since_.reset();
  const double begun = now_s();
  const bool more = group.has_value() || encode_waiting(context);
  if (group) encode_group(context, *group, at_once);
  encode_s_ += now_s() - begun;
  return more;
}

// What is left where no more groups come.
bool RequestEncoder::encode_waiting(Context& context) {
  for (FrameEncoder* encoder : {&pictures_, &clips_}) {
    if (!encoder->waiting()) continue;
    encoder->encode_waiting(context);
    return true;
  }
  return false;
}

void RequestEncoder::encode_group(Context& context, const VisualGroup& group, int64_t at_once) {
  Item& item = items_[group.item];
  FrameEncoder& encoder = encoder_of(group.item);
  const bool begins = group.first == 0;
  if (begins && item.end > 0)
    encoder.drop_after(item.begin);  // its frames are picked anew
  else if (begins)
    item.begin = encoder.rows();
  encoder.set_patches_at_once(at_once);
  encoder.add(context, group.patches, {group.t, group.h, group.w, group.merge}, group.keep, begins);
  item.end = encoder.rows();
  tell_progress(group.patches.dim(0));
}

// Every item's rows, held by the cache from here on where there is one.
void RequestEncoder::collect(Context& context, const Tensor& pictures, const Tensor& clips) {
  for (size_t i = 0; i < items_.size(); ++i) {
    Item& item = items_[i];
    if (item.found) continue;
    const Tensor& all = stream_->items()[i].video ? clips : pictures;
    VisualFeatures visual{stream_->facts(i),
                          all.rows(static_cast<int64_t>(item.begin), static_cast<int64_t>(item.end))};
    if (cache_ == nullptr) {
      item.found = FeatureCache::Item{{}, std::move(visual), 0};
      continue;
    }
    // A file that was written to while it was decoded is nobody's content.
    if (!item.key.content.empty() && !stream_->unchanged(i)) item.key.content.clear();
    item.found = cache_->add(context, item.key, std::move(visual));
  }
}

// Rows of all places, and their numbers.
Tensor RequestEncoder::show(Context& context, const std::vector<size_t>& shown, std::vector<int64_t>& rows) {
  std::vector<Tensor> parts;
  std::vector<bool> seen(items_.size());
  if (cache_ != nullptr) cache_->count_asked(static_cast<int64_t>(shown.size()));
  for (const size_t i : shown) {
    const FeatureCache::Item& item = *items_[i].found;
    parts.push_back(item.visual.features);
    if (cache_ == nullptr) continue;
    append_row_numbers(item.serial, parts.back().dim(0), rows);
    if (seen[i]) cache_->count_hit();
    seen[i] = true;
  }
  if (parts.empty()) return {};
  return parts.size() == 1 ? parts[0] : ops::concat_rows(context, parts);
}

EncodedRequest RequestEncoder::finish(Context& context) {
  EncodedRequest request;
  const double asked = now_s();
  VisualStream::Prompts prompts = prompts_ ? std::move(*prompts_) : stream_->finish();
  media_s_ += now_s() - asked;
  const Tensor pictures = pictures_.finish(context), clips = clips_.finish(context);
  collect(context, pictures, clips);
  request.inputs = std::move(prompts.output);
  request.named = cache_ != nullptr || items_.empty();
  request.forward.ids = request.inputs.ids;
  request.forward.image_features = show(context, prompts.pictures, request.image_rows);
  request.forward.video_features = show(context, prompts.clips, request.video_rows);
  request.forward.probe = probe_;
  return request;
}

}  // namespace vl3
