#include "vl3/processor.h"

#include <algorithm>

#include "base/json.h"
#include "base/thread_pool.h"
#include "processor/config_files.h"
#include "processor/open_clip.h"
#include "processor/patches.h"
#include "processor/prompt.h"

namespace vl3 {
namespace {

// Ids of several conversations in one rectangle.
void pad(const ProcessorRequest& request, int64_t pad_id, const std::vector<std::vector<int64_t>>& labels,
         ProcessorOutput& out) {
  const int64_t rows = static_cast<int64_t>(out.ids.size());
  size_t longest = 0;
  for (const auto& ids : out.ids) longest = std::max(longest, ids.size());
  const int64_t columns = static_cast<int64_t>(longest);
  out.input_ids = Tensor::empty({rows, columns}, DType::kI64);
  out.attention_mask = Tensor::zeros({rows, columns}, DType::kI64);
  std::fill_n(out.input_ids.data<int64_t>(), out.input_ids.numel(), pad_id);
  if (request.with_labels) {
    out.labels = Tensor::empty({rows, columns}, DType::kI64);
    std::fill_n(out.labels.data<int64_t>(), out.labels.numel(), int64_t{-100});
  }
  for (int64_t row = 0; row < rows; ++row) {
    const auto& ids = out.ids[static_cast<size_t>(row)];
    require(request.padding || ids.size() == longest, ErrorCode::kInvalidArgument,
            "[processor] padding is off, and conversations have {} and {} tokens", ids.size(), longest);
    const int64_t offset =
        row * columns + (request.padding_left ? columns - static_cast<int64_t>(ids.size()) : 0);
    std::copy(ids.begin(), ids.end(), out.input_ids.data<int64_t>() + offset);
    std::fill_n(out.attention_mask.data<int64_t>() + offset, ids.size(), int64_t{1});
    if (request.with_labels) {
      const auto& of_row = labels[static_cast<size_t>(row)];
      std::copy(of_row.begin(), of_row.end(), out.labels.data<int64_t>() + offset);
    }
  }
}

}  // namespace

Processor::Processor(Tokenizer tokenizer, ChatTemplate chat_template, ImageProcessorFast images,
                     VideoProcessor videos)
    : tokenizer_(std::move(tokenizer)),
      template_(std::move(chat_template)),
      images_(std::move(images)),
      videos_(std::move(videos)),
      image_token_("<|image_pad|>"),
      video_token_("<|video_pad|>") {
  const auto id = [&](const std::string& token) {
    const auto found = tokenizer_.token_to_id(token);
    require(found.has_value(), ErrorCode::kFormat, "[tokenizer] has no token \"{}\"", token);
    return *found;
  };
  image_token_id_ = id(image_token_);
  video_token_id_ = id(video_token_);
}

Processor Processor::from_pretrained(const std::filesystem::path& folder) {
  return Processor(Tokenizer::from_pretrained(folder), ChatTemplate::from_pretrained(folder),
                   ImageProcessorFast::from_pretrained(folder), VideoProcessor::from_pretrained(folder));
}

std::string Processor::render(const Json& messages, bool add_generation_prompt) const {
  return template_.render(messages, add_generation_prompt);
}

std::vector<int64_t> Processor::encode_text(const std::string& text, bool parse_special) const {
  const std::vector<int32_t> ids = tokenizer_.encode(text, parse_special);
  return {ids.begin(), ids.end()};
}

ProcessorOutput Processor::process(ThreadPool& threads, const ProcessorRequest& request,
                                   const MediaLimits& limits, const ProcessHooks& hooks) const {
  require(!request.conversations.empty(), ErrorCode::kInvalidArgument, "[processor] no conversations");
  ProcessorOutput out;
  std::vector<std::filesystem::path> pictures;
  std::vector<ClipInput> clips;
  std::vector<std::unique_ptr<VideoReader>> readers;
  std::vector<std::pair<size_t, size_t>> counts;  // of each conversation: pictures, clips
  for (const Json& messages : request.conversations) {
    const size_t pictures_before = pictures.size(), clips_before = clips.size();
    for (const MediaItem& item : media_of(request, messages)) {
      if (item.video) {
        readers.push_back(open_clip(item.paths, limits));
        clips.push_back({item.name(), readers.back().get(), item.options});
      } else {
        pictures.push_back(item.paths[0]);
      }
    }
    counts.emplace_back(pictures.size() - pictures_before, clips.size() - clips_before);
  }
  if (!pictures.empty()) {
    Image image;  // one decoded at a time
    out.images = preprocess_images(threads, request.images, request.backend, pictures.size(),
                                   [&](size_t i) -> const Image& {
                                     require(!hooks.cancelled || !hooks.cancelled(), ErrorCode::kCancelled,
                                             "[processor] cancelled before {}", pictures[i].string());
                                     return image = read_image(pictures[i], limits);
                                   });
  }
  if (!clips.empty()) out.videos = videos_.preprocess(threads, clips, hooks);

  std::vector<std::vector<int64_t>> labels;
  size_t picture = 0, clip = 0;
  for (size_t c = 0; c < request.conversations.size(); ++c) {
    Placeholders placeholders{image_token_, video_token_, {}, {}};
    for (size_t i = 0; i < counts[c].first; ++i, ++picture) {
      const int64_t* grid = out.images.image_grid_thw.data<int64_t>() + 3 * picture;
      const int64_t tokens =
          grid[0] * grid[1] * grid[2] / (request.images.merge_size * request.images.merge_size);
      std::string text;
      for (int64_t n = 0; n < tokens; ++n) text += image_token_;
      placeholders.images.push_back(std::move(text));
    }
    for (size_t i = 0; i < counts[c].second; ++i, ++clip) {
      const ClipReport& report = out.videos.clips[clip];
      placeholders.videos.push_back(clip_text(report.frames.timestamps, report.kept, video_token_));
    }
    const auto pieces = template_.render_pieces(request.conversations[c], request.add_generation_prompt,
                                                request.template_arguments);
    const auto answers =
        request.with_labels ? answers_of(request, request.conversations[c]) : std::vector<TextRange>();
    ExpandedPrompt prompt =
        expand_prompt(tokenizer_, pieces, placeholders, request.special_tokens_in_messages, answers);
    out.ids.push_back(std::move(prompt.ids));
    labels.push_back(std::move(prompt.labels));
    out.prompts.push_back(std::move(prompt.text));
  }
  pad(request, tokenizer_.pad_id().value_or(0), labels, out);
  return out;
}

// Where the text of answers lies in the rendered prompt: behind what asks for it, up to and with the token
// that ends it.
std::vector<TextRange> Processor::answers_of(const ProcessorRequest& request, const Json& messages) const {
  std::vector<TextRange> answers;
  const std::string all =
      template_.render(messages, request.add_generation_prompt, request.template_arguments);
  Json before = Json::array();
  for (const Json& message : messages) {
    if (message["role"] != "assistant") {
      before.push_back(message);
      continue;
    }
    const std::string asked = template_.render(before, true, request.template_arguments);
    before.push_back(message);
    const std::string said = template_.render(before, false, request.template_arguments);
    require(said.starts_with(asked) && all.starts_with(said), ErrorCode::kUnsupported,
            "[{}] writes an earlier turn differently once a later one is there: answers cannot be labelled",
            template_.name());
    size_t end = said.size();
    while (end > asked.size() && said[end - 1] == '\n') --end;
    answers.emplace_back(asked.size(), end);
  }
  return answers;
}

std::vector<MediaPlan> Processor::plan(const ProcessorRequest& request, const MediaLimits& limits) const {
  std::vector<MediaPlan> plans;
  for (const Json& messages : request.conversations) {
    for (const MediaItem& item : media_of(request, messages)) {
      MediaPlan plan{item.name(), item.video};
      if (item.video) {
        const auto reader = open_clip(item.paths, limits);
        plan.frames = static_cast<int64_t>(sample_frames(reader->info(), item.options).indices.size());
        plan.height = reader->info().height;
        plan.width = reader->info().width;
        plan.patches =
            VideoProcessor::get_num_of_video_patches(item.options, plan.frames, plan.height, plan.width);
        plan.tokens = plan.patches / (item.options.merge_size * item.options.merge_size);
        const int64_t per_frame = plan.tokens / plan.frames;
        plan.min_tokens = item.options.use_token_compression ? per_frame + plan.frames - 1 : plan.tokens;
      } else {
        const ImageInfo info = probe_image(item.paths[0], limits);
        plan.height = info.height;
        plan.width = info.width;
        plan.patches = ImageProcessor(request.images, request.backend)
                           .get_number_of_image_patches(info.height, info.width);
        plan.tokens = plan.min_tokens =
            plan.patches / (request.images.merge_size * request.images.merge_size);
      }
      plans.push_back(std::move(plan));
    }
  }
  return plans;
}

}  // namespace vl3
