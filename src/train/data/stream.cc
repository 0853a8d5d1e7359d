#include "train/data/stream.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "base/random.h"
#include "processor/open_clip.h"

namespace vl3 {
namespace {

constexpr int64_t kNoLabel = -100;
constexpr const char *kStart = "<|stream_start|>", *kEnd = "<|stream_end|>";

// The frames of a clip that a stream uses, as a clip of its own.
class SomeFrames : public VideoReader {
 public:
  SomeFrames(VideoReader& clip, std::vector<int64_t> frames) : clip_(clip), frames_(std::move(frames)) {
    info_ = clip_.info();
    info_.total_frames = static_cast<int64_t>(frames_.size());
  }
  void read(std::span<const int64_t> indices, const std::function<void(size_t, const Image&)>& sink,
            const std::function<bool()>& cancelled) override {
    std::vector<int64_t> wanted;
    for (const int64_t i : indices) wanted.push_back(frames_.at(static_cast<size_t>(i)));
    clip_.skip_broken_frames(skip_broken_);
    clip_.read(wanted, sink, cancelled);
    notes_ = clip_.notes();
  }

 private:
  VideoReader& clip_;
  std::vector<int64_t> frames_;
};

struct Clip {
  std::unique_ptr<VideoReader> reader;
  VideoOptions options;
  SampledFrames frames;
};

Clip clip_of(const ProcessorRequest& request, const TrainRow& row) {
  Json part = row.messages[0]["content"][0];
  std::vector<MediaSource> sources;
  for (const Json& path : part["video"].is_array() ? part["video"] : Json::array({part["video"]}))
    sources.emplace_back(std::filesystem::path(path.get<std::string>()));
  Clip clip{nullptr, request.videos, {}};
  part.erase("type");
  part.erase("video");
  clip.options.merge(part, row.origin);
  clip.reader = open_clip(sources, {}, clip.options);
  clip.frames = sample_frames(clip.reader->info(), clip.options);
  return clip;
}

// Ids and labels as they grow.
class Text {
 public:
  explicit Text(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(std::initializer_list<TextSpan> spans, bool labelled = false) {
    const std::vector<TextSpan> list(spans);
    add(tokenizer_.encode(list), labelled);
  }
  void add(const std::vector<int64_t>& ids, bool labelled) {
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    for (const int64_t id : ids) labels_.push_back(labelled ? id : kNoLabel);
  }
  size_t size() const { return ids_.size(); }
  void label(size_t at) { labels_[at] = ids_[at]; }

  ProcessorOutput output() && {
    ProcessorOutput out;
    out.labels.push_back(std::move(labels_));
    out.ids.push_back(std::move(ids_));
    return out;
  }

 private:
  const Tokenizer& tokenizer_;
  std::vector<int64_t> ids_, labels_;
};

void add_turn(Text& text, const StreamTurn& turn) {
  text.add({{"<|im_start|>" + turn.role + "\n", true}});
  text.add({{turn.text, false}, {"<|im_end|>", true}}, turn.role == "assistant");
  text.add({{"\n", true}});
}

void add_frame(Text& text, int64_t video_token, int64_t kept) {
  text.add({{std::string(kStart) + "stream\n", true}});
  text.add(std::vector<int64_t>(static_cast<size_t>(kept), video_token), false);
  text.add({{"\n", true}, {kEnd, true}}, true);
  text.add({{"\n", true}});
}

// `count` of the positions.
std::vector<size_t> drawn(std::vector<size_t> positions, size_t count, const StreamDraw& draw) {
  constexpr uint64_t kStream = 0x73747265616d;
  for (size_t i = 0; i < count; ++i) {
    const double u = uniform(draw.seed ^ kStream, draw.epoch, draw.row, static_cast<uint32_t>(i));
    std::swap(positions[i],
              positions[i + static_cast<size_t>(u * static_cast<double>(positions.size() - i))]);
  }
  positions.resize(count);
  return positions;
}

}  // namespace

std::vector<StreamItem> interleave(const std::vector<double>& times_s, const TrainRow& row) {
  const size_t most = static_cast<size_t>(kMaxStreamFrames);
  const size_t frames = std::min(times_s.size(), most);
  const double end_s = times_s.size() > most ? times_s[most] : std::numeric_limits<double>::infinity();
  std::vector<StreamItem> events;
  size_t next = 0;
  for (size_t i = 0; i < row.stream.size() && row.stream[i].time_s < end_s; ++i) {
    for (; next < frames && times_s[next] <= row.stream[i].time_s; ++next)
      events.push_back({-1, static_cast<int64_t>(next)});
    events.push_back({static_cast<int64_t>(i), -1});
  }
  require(next > 0, ErrorCode::kFormat, "[{}] no frame of the clip comes before a turn", row.origin);
  return events;
}

void require_stream_tokens(const Tokenizer& tokenizer, int64_t vocabulary, const std::string& origin) {
  for (const char* token : {kStart, kEnd}) {
    if (tokenizer.token_to_id(token)) continue;
    const int64_t used = tokenizer.vocab_size();
    fail(ErrorCode::kUnsupported,
         "[train] {} is a row of a stream, and the model's tokenizer has no token {}. {}", origin, token,
         used + 2 <= vocabulary
             ? fmt::format("Add {} and {}, special, with the ids {} and {} to \"added_tokens\" of its "
                           "tokenizer.json, and to \"added_tokens_decoder\" of its tokenizer_config.json if "
                           "there is one: the embeddings have {} rows, and those are free",
                           kStart, kEnd, used, used + 1, vocabulary)
             : fmt::format("The embeddings have {} rows and no free ones: take a model that has the tokens",
                           vocabulary));
  }
}

std::vector<StreamItem> stream_events(const ProcessorRequest& request, const TrainRow& row) {
  return interleave(clip_of(request, row).frames.timestamps, row);
}

namespace {

ProcessorOutput process_clip(ThreadPool& threads, const Processor& processor, Clip& clip, const TrainRow& row,
                             bool decide, const StreamDraw& draw) {
  const std::vector<StreamItem> events = interleave(clip.frames.timestamps, row);
  const auto used = std::count_if(events.begin(), events.end(), [](const auto& e) { return e.turn < 0; });
  clip.frames.indices.resize(static_cast<size_t>(used));
  SomeFrames frames(*clip.reader, std::move(clip.frames.indices));
  VideoOptions options = clip.options;
  options.do_sample_frames = false;
  options.start_time = options.end_time = std::nullopt;
  options.times = ClipTimes::kFrames;  // the times are those of clip.frames
  const ClipInput input{row.origin, &frames, options};
  VideoFeatures features = processor.video_processor().preprocess(threads, {&input, 1});

  Text text(processor.tokenizer());
  std::vector<size_t> silent, spoken;
  for (size_t i = 0; i < events.size(); ++i) {
    const bool behind_frame = i > 0 && events[i - 1].turn < 0, is_frame = events[i].turn < 0;
    const auto turn = is_frame ? nullptr : &row.stream[static_cast<size_t>(events[i].turn)];
    if (behind_frame && is_frame) silent.push_back(text.size());
    if (behind_frame && !is_frame && turn->role == "assistant") spoken.push_back(text.size());
    if (is_frame)
      add_frame(text, processor.video_token_id(),
                features.clips[0].kept[static_cast<size_t>(events[i].frame)]);
    else
      add_turn(text, *turn);
  }
  // As the original release balances: a sample with decisions of one kind keeps them all.
  const size_t each = silent.empty() || spoken.empty() ? std::max(silent.size(), spoken.size())
                                                       : std::min(silent.size(), spoken.size());
  for (const auto* positions : {&silent, &spoken}) {
    if (!decide) break;
    for (const size_t at : drawn(*positions, std::min(each, positions->size()), draw)) text.label(at);
  }
  ProcessorOutput out = std::move(text).output();
  out.videos = std::move(features);
  return out;
}

}  // namespace

ProcessorOutput process_stream(ThreadPool& threads, const Processor& processor,
                               const ProcessorRequest& request, const TrainRow& row, bool decide,
                               const StreamDraw& draw) {
  Clip clip = clip_of(request, row);
  std::vector<std::string> notes;
  for (;;) {
    const int64_t expected = clip.reader->info().total_frames;
    try {
      ProcessorOutput out = process_clip(threads, processor, clip, row, decide, draw);
      out.videos.clips[0].notes.insert(out.videos.clips[0].notes.begin(), notes.begin(), notes.end());
      return out;
    } catch (const ClipEnded& ended) {  // it is shorter than it said: its frames are picked anew
      if (clip.reader->info().total_frames >= expected) throw;
      notes.push_back(fmt::format("{}: frames are picked from those that there are", ended.what()));
      clip.frames = sample_frames(clip.reader->info(), clip.options);
    }
  }
}

}  // namespace vl3
