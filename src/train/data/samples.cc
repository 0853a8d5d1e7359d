#include "train/data/samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/json.h"
#include "train/data/row_media.h"

namespace vl3 {
namespace {

constexpr int64_t kNoLabel = -100;

// Tensors one below the other; undefined ones are skipped.
Tensor stacked(const std::vector<const Sample*>& samples, Tensor (*of)(const Sample&)) {
  int64_t rows = 0;
  Tensor any;
  for (const Sample* sample : samples) {
    const Tensor part = of(*sample);
    if (!part.defined()) continue;
    any = part;
    rows += part.dim(0);
  }
  if (!any.defined()) return {};
  Shape shape = any.shape();
  shape[0] = rows;
  Tensor result = Tensor::empty(shape, any.dtype());
  std::byte* target = result.mutable_raw();
  for (const Sample* sample : samples) {
    const Tensor part = of(*sample);
    if (!part.defined()) continue;
    std::memcpy(target, part.raw(), part.bytes());
    target += part.bytes();
  }
  return result;
}

}  // namespace

SampleMaker::SampleMaker(Processor processor, const TrainConfig& config)
    : processor_(std::move(processor)),
      media_(config.media),
      max_length_(config.max_length),
      vocabulary_(Config::from_pretrained(config.model).text.vocab_size),
      sees_media_alone_(!config.rates.llm && (config.rates.vision_encoder || config.rates.projector)),
      decide_(config.stream == "decide") {}

ProcessorRequest SampleMaker::request_for(const TrainRow& row) const {
  ProcessorRequest request = processor_.request_for(row.messages);
  request.add_generation_prompt = false;
  request.with_labels = true;
  request.template_arguments = row.template_arguments;
  if (media_.image_merge_size) request.images.merge_size = *media_.image_merge_size;
  if (media_.video_merge_size) request.videos.merge_size = *media_.video_merge_size;
  if (media_.use_token_compression) request.videos.use_token_compression = *media_.use_token_compression;
  if (media_.fps) {
    request.videos.fps = media_.fps;
    request.videos.do_sample_frames = true;
  }
  if (media_.max_frames) request.videos.max_frames = *media_.max_frames;
  if (media_.times) request.videos.times = *media_.times;
  if (media_.rotate) request.videos.rotate = *media_.rotate;
  if (media_.skip_broken_frames) request.videos.skip_broken_frames = *media_.skip_broken_frames;
  if (media_.pictures_rate) request.videos.pictures_rate = media_.pictures_rate;
  return request;
}

Sample SampleMaker::make(ThreadPool& threads, const TrainRow& row, const StreamDraw& draw) const {
  ProcessorRequest request = request_for(row);
  OpenMedia opened;
  const std::vector<MediaPlan> plans = processor_.plan(request, {}, &opened);
  const auto total = [](const std::vector<MediaPlan>& all) {
    int64_t tokens = 0;
    for (const MediaPlan& plan : all) tokens += plan.tokens;
    return tokens;
  };
  int64_t tokens = total(plans);
  for (int round = 0; tokens > media_.max_visual_tokens; ++round) {
    require(round < 32, ErrorCode::kLimitExceeded, "[{}] its media cannot shrink to {} visual tokens",
            row.origin, media_.max_visual_tokens);
    const double ratio = 0.98 * static_cast<double>(media_.max_visual_tokens) / static_cast<double>(tokens);
    for (PixelOptions* options : {&request.images, static_cast<PixelOptions*>(&request.videos)}) {
      options->longest_edge =
          std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(options->longest_edge) * ratio));
      options->shortest_edge = std::min(options->shortest_edge, options->longest_edge);
    }
    tokens = total(processor_.plan(request, {}, &opened));
  }
  ProcessHooks hooks;
  hooks.opened = &opened;
  Sample sample{row.stream.empty() ? processor_.process(threads, request, {}, hooks)
                                   : process_stream(threads, processor_, request, row, decide_, draw)};
  require(sample.tokens() <= max_length_, ErrorCode::kLimitExceeded,
          "[{}] has {} tokens, more than max_length {}", row.origin, sample.tokens(), max_length_);
  for (const int64_t label : sample.out.labels[0]) sample.targets += label != kNoLabel;
  const Tensor& images = sample.out.images.pixel_values;
  const Tensor& videos = sample.out.videos.pixel_values_videos;
  sample.patches = (images.defined() ? images.dim(0) : 0) + (videos.defined() ? videos.dim(0) : 0);
  return sample;
}

void SampleMaker::check(const TrainRow& row) const {
  const ProcessorRequest request = request_for(row);
  if (!row.stream.empty()) {
    stream_events(request, row);
    return;
  }
  require(!sees_media_alone_ || holds_media(row.messages), ErrorCode::kFormat,
          "[{}] has no picture or clip, and \"rates\" has no \"llm\": nothing that trains sees it",
          row.origin);
  processor_.plan(request);
  processor_.render(row.messages, false);
}

void SampleMaker::check_model(const TrainRow& row) const {
  if (!row.stream.empty()) require_stream_tokens(processor_.tokenizer(), vocabulary_, row.origin);
}

ForwardInput collate(const std::vector<const Sample*>& samples) {
  int64_t columns = 0;
  const int64_t rows = static_cast<int64_t>(samples.size());
  for (const Sample* sample : samples) columns = std::max(columns, sample->tokens());
  ForwardInput input;
  input.input_ids = Tensor::zeros({rows, columns}, DType::kI64);
  input.attention_mask = Tensor::zeros({rows, columns}, DType::kI64);
  input.labels = Tensor::empty({rows, columns}, DType::kI64);
  std::fill_n(input.labels.mutable_data<int64_t>(), input.labels.numel(), kNoLabel);
  for (int64_t i = 0; i < rows; ++i) {
    const ProcessorOutput& out = samples[static_cast<size_t>(i)]->out;
    const int64_t at = i * columns, n = static_cast<int64_t>(out.ids[0].size());
    std::copy(out.ids[0].begin(), out.ids[0].end(), input.input_ids.mutable_data<int64_t>() + at);
    std::fill_n(input.attention_mask.mutable_data<int64_t>() + at, n, int64_t{1});
    std::copy(out.labels[0].begin(), out.labels[0].end(), input.labels.mutable_data<int64_t>() + at);
  }
  input.pixel_values = stacked(samples, [](const Sample& s) { return s.out.images.pixel_values; });
  input.image_grid_thw = stacked(samples, [](const Sample& s) { return s.out.images.image_grid_thw; });
  input.image_merge_sizes = stacked(samples, [](const Sample& s) { return s.out.images.image_merge_sizes; });
  input.pixel_values_videos =
      stacked(samples, [](const Sample& s) { return s.out.videos.pixel_values_videos; });
  input.video_grid_thw = stacked(samples, [](const Sample& s) { return s.out.videos.video_grid_thw; });
  input.video_merge_sizes = stacked(samples, [](const Sample& s) { return s.out.videos.video_merge_sizes; });
  input.video_compression_mask =
      stacked(samples, [](const Sample& s) { return s.out.videos.video_compression_mask; });
  return input;
}

}  // namespace vl3
