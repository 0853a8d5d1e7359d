#include "vl3/processor.h"

#include <algorithm>

#include "base/json.h"
#include "base/memory_file.h"
#include "base/model_folder.h"
#include "base/thread_pool.h"
#include "processor/config_files.h"
#include "processor/messages.h"
#include "processor/open_clip.h"
#include "processor/process_pictures.h"
#include "processor/prompt.h"
#include "text/media_tokens.h"

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
  std::fill_n(out.input_ids.mutable_data<int64_t>(), out.input_ids.numel(), pad_id);
  if (request.with_labels) {
    out.labels = Tensor::empty({rows, columns}, DType::kI64);
    std::fill_n(out.labels.mutable_data<int64_t>(), out.labels.numel(), int64_t{-100});
  }
  for (int64_t row = 0; row < rows; ++row) {
    const auto& ids = out.ids[static_cast<size_t>(row)];
    require(request.padding || ids.size() == longest, ErrorCode::kInvalidArgument,
            "[processor] padding is off, and conversations have {} and {} tokens", ids.size(), longest);
    const int64_t offset =
        row * columns + (request.padding_left ? columns - static_cast<int64_t>(ids.size()) : 0);
    std::copy(ids.begin(), ids.end(), out.input_ids.mutable_data<int64_t>() + offset);
    std::fill_n(out.attention_mask.mutable_data<int64_t>() + offset, ids.size(), int64_t{1});
    if (request.with_labels) {
      const auto& of_row = labels[static_cast<size_t>(row)];
      std::copy(of_row.begin(), of_row.end(), out.labels.mutable_data<int64_t>() + offset);
    }
  }
}

// Media of a request: each different one once, and which of them every place shows.
struct DistinctMedia {
  std::vector<MediaItem> items;
  std::vector<size_t> shown;

  void add(const MediaItem& item) {
    const auto found = std::find(items.begin(), items.end(), item);
    shown.push_back(static_cast<size_t>(found - items.begin()));
    if (found == items.end()) items.push_back(item);
  }
};

// Runs of rows of a tensor, one behind the other. counts: rows of each run.
Tensor repeat_rows(const Tensor& tensor, const std::vector<int64_t>& counts,
                   const std::vector<size_t>& shown) {
  std::vector<int64_t> begins = {0};
  for (const int64_t count : counts) begins.push_back(begins.back() + count);
  Shape shape = tensor.shape();
  shape[0] = 0;
  for (const size_t i : shown) shape[0] += counts[i];
  Tensor result = Tensor::empty(shape, tensor.dtype());
  std::byte* target = result.mutable_raw();
  for (const size_t i : shown) {
    const Tensor run = tensor.rows(begins[i], begins[i + 1]);
    target = std::copy_n(run.raw(), run.bytes(), target);
  }
  return result;
}

// Features of distinct media → of all places.
void show(const std::vector<size_t>& shown, Tensor& pixels, Tensor& grid_thw, Tensor& merge_sizes,
          Tensor* mask = nullptr) {
  std::vector<int64_t> patches, tokens;
  const std::vector<int64_t> one(static_cast<size_t>(grid_thw.dim(0)), 1);
  for (size_t i = 0; i < one.size(); ++i) {
    const int64_t* grid = grid_thw.data<int64_t>() + 3 * i;
    const int64_t merge = merge_sizes.data<int64_t>()[i];
    patches.push_back(grid[0] * grid[1] * grid[2]);
    tokens.push_back(grid[0] * (grid[1] / merge) * (grid[2] / merge));
  }
  pixels = repeat_rows(pixels, patches, shown);
  if (mask != nullptr) *mask = repeat_rows(*mask, tokens, shown);
  grid_thw = repeat_rows(grid_thw, one, shown);
  merge_sizes = repeat_rows(merge_sizes, one, shown);
}

// What the chat template does not read would be passed over.
void check_template_arguments(const ProcessorRequest& request, const ChatTemplate& chat_template) {
  for (const auto& [key, value] : request.template_arguments.items()) {
    require(says_nothing(value) || template_reads(chat_template, key), ErrorCode::kInvalidArgument,
            "[processor] \"{}\" is given and the chat template does not read it", key);
  }
}

// The message with the path of a file in memory, "[path]" or in other words, as the file's name.
std::string with_name(std::string message, const MemoryFile& file) {
  const std::string path = file.path().string();
  for (size_t at = message.find(path); at != std::string::npos; at = message.find(path, at)) {
    const size_t end = at + path.size();
    const bool longer = end < message.size() && message[end] >= '0' && message[end] <= '9';
    const bool bracketed = at > 0 && message[at - 1] == '[' && end < message.size() && message[end] == ']';
    if (longer)
      at = end;
    else
      message.replace(bracketed ? at - 1 : at, path.size() + (bracketed ? 2 : 0), file.name());
  }
  return message;
}

// Errors of media that are not in files name them as their messages do.
template <class Body>
auto with_names(const std::vector<MediaItem>& items, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    std::string message = error.what();
    for (const MediaItem& item : items) {
      for (const auto& file : item.held) message = with_name(std::move(message), *file);
    }
    throw Error(error.code(), message);
  }
}

}  // namespace

Processor::Processor(Tokenizer tokenizer, const ChatTemplate& chat_template, const MediaTokens& tokens,
                     ImageProcessorFast images, VideoProcessor videos)
    : tokenizer_(std::move(tokenizer)),
      template_(chat_template.with_text_contents(tokens)),
      images_(std::move(images)),
      videos_(std::move(videos)),
      image_token_(tokens.image),
      video_token_(tokens.video) {
  const auto id = [&](const std::string& token) {
    const auto found = tokenizer_.token_to_id(token);
    require(found.has_value(), ErrorCode::kFormat, "[tokenizer] has no token \"{}\"", token);
    return *found;
  };
  image_token_id_ = id(image_token_);
  video_token_id_ = id(video_token_);
}

Processor Processor::from_pretrained(const std::filesystem::path& given) {
  const std::filesystem::path folder = model_folder(given);
  Tokenizer tokenizer = Tokenizer::from_pretrained(folder);
  const MediaTokens tokens = find_media_tokens(folder, tokenizer);
  return Processor(std::move(tokenizer), ChatTemplate::from_pretrained(folder), tokens,
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
  std::vector<MediaItem> all;
  return with_names(all, [&] { return process_named(threads, request, limits, hooks, all); });
}

// all: media of the request, as soon as they are known.
ProcessorOutput Processor::process_named(ThreadPool& threads, const ProcessorRequest& request,
                                         const MediaLimits& limits, const ProcessHooks& hooks,
                                         std::vector<MediaItem>& all) const {
  require(!request.conversations.empty(), ErrorCode::kInvalidArgument, "[processor] no conversations");
  check_template_arguments(request, template_);
  ProcessorOutput out;
  DistinctMedia pictures, clips;
  std::vector<Json> conversations;
  std::vector<std::pair<size_t, size_t>> counts;  // of each conversation: pictures, clips
  MessageReader reader(request, limits, template_);
  for (const Json& messages : request.conversations) {
    const size_t pictures_before = pictures.shown.size(), clips_before = clips.shown.size();
    MessageReader::Conversation read = reader.read(messages);
    for (const MediaItem& item : read.media) (item.video ? clips : pictures).add(item);
    all.insert(all.end(), read.media.begin(), read.media.end());
    counts.emplace_back(pictures.shown.size() - pictures_before, clips.shown.size() - clips_before);
    conversations.push_back(std::move(read.messages));
  }
  if (!pictures.items.empty()) {
    std::vector<PictureInput> inputs;
    for (const MediaItem& item : pictures.items) {
      inputs.push_back(picture_input(item.paths[0], limits));
      inputs.back().shortest_edge = item.options.shortest_edge;
      inputs.back().longest_edge = item.options.longest_edge;
    }
    out.images = process_pictures(threads, request.images, request.backend, inputs, hooks.cancelled);
    if (pictures.items.size() < pictures.shown.size())
      show(pictures.shown, out.images.pixel_values, out.images.image_grid_thw, out.images.image_merge_sizes);
  }
  if (!clips.items.empty()) {
    std::vector<std::unique_ptr<VideoReader>> readers;
    std::vector<ClipInput> inputs;
    for (const MediaItem& item : clips.items) {
      readers.push_back(hooks.opened != nullptr ? hooks.opened->take(item.paths, limits, item.options)
                                                : open_clip(item.paths, limits, item.options));
      inputs.push_back({item.name(), readers.back().get(), item.options});
    }
    out.videos = videos_.preprocess(threads, inputs, hooks);
    if (clips.items.size() < clips.shown.size()) {
      show(clips.shown, out.videos.pixel_values_videos, out.videos.video_grid_thw,
           out.videos.video_merge_sizes, &out.videos.video_compression_mask);
      std::vector<ClipReport> reports;
      for (const size_t i : clips.shown) reports.push_back(out.videos.clips[i]);
      out.videos.clips = std::move(reports);
    }
  }

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
    const auto pieces =
        template_.render_pieces(conversations[c], request.add_generation_prompt, request.template_arguments);
    const auto answers =
        request.with_labels ? answers_of(request, conversations[c]) : std::vector<TextRange>();
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

MediaPlan Processor::plan_of(const ProcessorRequest& request, const MediaItem& item,
                             const MediaLimits& limits, OpenClips& opened) const {
  MediaPlan plan{item.name(), item.video};
  if (item.video) {
    std::unique_ptr<VideoReader> reader = opened.take(item.paths, limits, item.options);
    plan.notes = clip_notes(item.name(), *reader, item.options);
    plan.frames = static_cast<int64_t>(sample_frames(reader->info(), item.options).indices.size());
    plan.height = reader->info().height;
    plan.width = reader->info().width;
    opened.keep(item.paths, std::move(reader), item.options);
    plan.patches =
        VideoProcessor::get_num_of_video_patches(item.options, plan.frames, plan.height, plan.width);
    plan.tokens = plan.patches / (item.options.merge_size * item.options.merge_size);
    const int64_t per_frame = plan.tokens / plan.frames;
    plan.min_tokens = item.options.use_token_compression ? per_frame + plan.frames - 1 : plan.tokens;
  } else {
    const ImageInfo info = probe_image(item.paths[0], limits);
    plan.height = info.height;
    plan.width = info.width;
    plan.patches =
        ImageProcessor(item.options, request.backend).get_number_of_image_patches(info.height, info.width);
    plan.tokens = plan.min_tokens = plan.patches / (request.images.merge_size * request.images.merge_size);
  }
  return plan;
}

std::vector<MediaPlan> Processor::plan(const ProcessorRequest& request, const MediaLimits& limits,
                                       OpenClips* opened) const {
  OpenClips own;
  if (opened == nullptr) opened = &own;
  check_template_arguments(request, template_);
  DistinctMedia media;
  std::vector<MediaPlan> distinct, plans;
  std::vector<MediaItem> all;
  MessageReader reader(request, limits, template_);
  return with_names(all, [&] {
    for (size_t c = 0; c < request.conversations.size(); ++c) {
      all = reader.read(request.conversations[c]).media;
      for (const MediaItem& item : all) {
        media.add(item);
        if (distinct.size() < media.items.size()) distinct.push_back(plan_of(request, item, limits, *opened));
        plans.push_back(distinct[media.shown.back()]);
        plans.back().conversation = c;
      }
    }
    return plans;
  });
}

}  // namespace vl3
