#include "vl3/processor.h"

#include <algorithm>

#include "base/json.h"
#include "base/model_folder.h"
#include "processor/config_files.h"
#include "processor/item_sizes.h"
#include "processor/messages.h"
#include "processor/open_clip.h"
#include "processor/process_pictures.h"
#include "processor/prompt.h"
#include "processor/read_request.h"
#include "text/media_tokens.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

constexpr int64_t kNoLabel = -100;

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

}  // namespace

PaddedIds pad(const ProcessorOutput& output, int64_t pad_id, bool left) {
  const int64_t rows = static_cast<int64_t>(output.ids.size());
  size_t longest = 0;
  for (const auto& ids : output.ids) longest = std::max(longest, ids.size());
  const int64_t columns = static_cast<int64_t>(longest);
  const auto filled = [&](int64_t value) {
    return Tensor::from<int64_t>({rows, columns}, std::vector<int64_t>(output.ids.size() * longest, value));
  };
  PaddedIds padded{filled(pad_id), filled(0), output.labels.empty() ? Tensor() : filled(kNoLabel)};
  for (int64_t row = 0; row < rows; ++row) {
    const auto& ids = output.ids[static_cast<size_t>(row)];
    const int64_t at = row * columns + (left ? columns - static_cast<int64_t>(ids.size()) : 0);
    std::copy(ids.begin(), ids.end(), padded.input_ids.mutable_data<int64_t>() + at);
    std::fill_n(padded.attention_mask.mutable_data<int64_t>() + at, ids.size(), int64_t{1});
    if (!padded.labels.defined()) continue;
    const auto& labels = output.labels[static_cast<size_t>(row)];
    std::copy(labels.begin(), labels.end(), padded.labels.mutable_data<int64_t>() + at);
  }
  return padded;
}

Processor::Processor(Tokenizer tokenizer, const ChatTemplate& chat_template, const MediaTokens& tokens,
                     ImageProcessorFast images, VideoProcessor videos)
    : tokenizer_(std::move(tokenizer)),
      template_(chat_template.with_text_contents(tokens)),
      images_(std::move(images)),
      videos_(std::move(videos)),
      tokens_(tokens) {
  const auto id = [&](const std::string& token) {
    const auto found = tokenizer_.token_to_id(token);
    require(found.has_value(), ErrorCode::kFormat, "[tokenizer] has no token \"{}\"", token);
    return *found;
  };
  image_token_id_ = id(tokens_.image);
  video_token_id_ = id(tokens_.video);
}

Processor Processor::from_pretrained(const std::filesystem::path& given) {
  const std::filesystem::path folder = model_folder(given);
  Tokenizer tokenizer = Tokenizer::from_pretrained(folder);
  const MediaTokens tokens = find_media_tokens(folder, tokenizer);
  Processor processor(std::move(tokenizer), ChatTemplate::from_pretrained(folder), tokens,
                      ImageProcessorFast::from_pretrained(folder), VideoProcessor::from_pretrained(folder));
  const MediaTokenIds ids = read_media_token_ids(folder);
  processor.image_token_id_ = ids.image.value_or(processor.image_token_id_);
  processor.video_token_id_ = ids.video.value_or(processor.video_token_id_);
  return processor;
}

Processor Processor::with_chat_template(std::string source) const {
  Processor other = *this;
  other.template_ = template_.with_source(std::move(source));
  return other;
}

std::string Processor::render(const Json& messages, bool add_generation_prompt) const {
  return template_.render(messages, add_generation_prompt);
}

std::vector<ChatTemplate::Piece> Processor::prompt_pieces(const ProcessorRequest& request,
                                                          const Json& messages) const {
  if (request.prompt) return {{*request.prompt, false}};
  if (request.continue_final_message) return template_.render_continued(messages, request.template_arguments);
  return template_.render_pieces(messages, request.add_generation_prompt, request.template_arguments);
}

std::vector<int64_t> Processor::encode_text(const std::string& text, bool parse_special) const {
  return tokenizer_.encode(text, parse_special);
}

ReadRequest Processor::read(const ProcessorRequest& request, const MediaLimits& limits,
                            OpenMedia& opened) const {
  check_template_arguments(request, template_);
  require(!request.prompt || (request.conversations.size() == 1 && !request.with_labels),
          ErrorCode::kInvalidArgument,
          "[processor] a prompt as it stands goes with one conversation without labels, and there are {}",
          request.conversations.size());
  ReadRequest read;
  MessageReader reader(request, limits, template_, opened);
  for (const Json& messages : request.conversations) {
    MessageReader::Conversation conversation = reader.read(messages);
    read.conversations.push_back({std::move(conversation.messages), {}});
    for (const MediaItem& item : conversation.media) {
      (item.video ? read.clips : read.pictures).add(item);
      read.conversations.back().is_video.push_back(item.video);
    }
  }
  reader.check_all_shown();
  return read;
}

ProcessorOutput Processor::process(ThreadPool& threads, const ProcessorRequest& request,
                                   const MediaLimits& limits, const ProcessHooks& hooks) const {
  require(!request.conversations.empty(), ErrorCode::kInvalidArgument, "[processor] no conversations");
  OpenMedia own;
  OpenMedia& opened = hooks.opened != nullptr ? *hooks.opened : own;
  const ReadRequest media = read(request, limits, opened);
  const DistinctMedia &pictures = media.pictures, &clips = media.clips;
  ProcessorOutput out;
  if (!pictures.items.empty()) {
    std::vector<PictureInput> inputs;
    for (const MediaItem& item : pictures.items) {
      inputs.push_back(picture_input(opened.picture(item.sources[0], limits), limits));
      inputs.back().shortest_edge = item.options.shortest_edge;
      inputs.back().longest_edge = item.options.longest_edge;
    }
    out.images = process_pictures(threads, request.images, request.backend, inputs, hooks.cancelled);
    if (pictures.items.size() < pictures.shown.size())
      show(pictures.shown, out.images.pixel_values, out.images.image_grid_thw, out.images.image_merge_sizes);
  }
  if (!clips.items.empty()) {
    std::vector<OpenClip> readers;
    std::vector<ClipInput> inputs;
    for (const MediaItem& item : clips.items) {
      readers.push_back(opened.take(item.sources, limits, item.options));
      inputs.push_back({item.name(), readers.back().reader.get(), item.options});
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
  const int64_t merge = request.images.merge_size * request.images.merge_size;
  std::vector<int64_t> picture_tokens;
  for (size_t i = 0; i < pictures.shown.size(); ++i) {
    const int64_t* grid = out.images.image_grid_thw.data<int64_t>() + 3 * i;
    picture_tokens.push_back(grid[0] * grid[1] * grid[2] / merge);
  }
  write_prompts(request, media, picture_tokens, out);
  return out;
}

// out.videos.clips are there; ids, labels and prompts come from here. picture_tokens: of every place.
void Processor::write_prompts(const ProcessorRequest& request, const ReadRequest& read,
                              const std::vector<int64_t>& picture_tokens, ProcessorOutput& out) const {
  size_t picture = 0, clip = 0;
  for (const auto& [messages, is_video] : read.conversations) {
    Placeholders placeholders{tokens_, image_token_id_, video_token_id_, {}, {}, is_video};
    for (const bool video : is_video) {
      if (video) {
        const ClipReport& report = out.videos.clips[clip++];
        placeholders.videos.push_back(clip_runs(report.frames.timestamps, report.kept));
      } else {
        placeholders.images.push_back({{"", picture_tokens[picture++]}});
      }
    }
    const PromptOptions options{
        request.special_tokens_in_messages, request.with_prompts,
        request.with_labels ? answers_of(request, messages) : std::vector<TextRange>()};
    ExpandedPrompt prompt =
        expand_prompt(tokenizer_, prompt_pieces(request, messages), placeholders, options);
    require(request.padding || out.ids.empty() || prompt.ids.size() == out.ids[0].size(),
            ErrorCode::kInvalidArgument,
            "[processor] padding is off, and conversations have {} and {} tokens",
            out.ids.empty() ? 0 : out.ids[0].size(), prompt.ids.size());
    out.ids.push_back(std::move(prompt.ids));
    if (request.with_labels) out.labels.push_back(std::move(prompt.labels));
    if (request.with_prompts) out.prompts.push_back(std::move(prompt.text));
  }
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
                             const MediaLimits& limits, OpenMedia& opened) const {
  MediaPlan plan{item.name(), item.video};
  if (item.video) {
    OpenClip clip = opened.take(item.sources, limits, item.options);
    const VideoInfo& info = clip.reader->info();
    plan.notes = clip_notes(item.name(), *clip.reader, item.options);
    plan.frames = frames_of(item, info);
    plan.height = info.height;
    plan.width = info.width;
    plan.patches = clip_patches(item, info, plan.frames);
    opened.keep(std::move(clip), item.options);
    plan.tokens = plan.patches / (item.options.merge_size * item.options.merge_size);
    const int64_t per_frame = plan.tokens / plan.frames;
    plan.min_tokens = item.options.use_token_compression ? per_frame + plan.frames - 1 : plan.tokens;
  } else {
    const OpenPicture& picture = opened.picture(item.sources[0], limits);
    plan.height = picture.height;
    plan.width = picture.width;
    plan.patches = picture_patches(item, {plan.height, plan.width}, request.backend);
    plan.tokens = plan.min_tokens = plan.patches / (request.images.merge_size * request.images.merge_size);
  }
  return plan;
}

std::vector<MediaPlan> Processor::plan(const ProcessorRequest& request, const MediaLimits& limits,
                                       OpenMedia* opened) const {
  OpenMedia own;
  if (opened == nullptr) opened = &own;
  const ReadRequest media = read(request, limits, *opened);
  std::vector<MediaPlan> pictures, clips, plans;
  size_t picture = 0, clip = 0;
  for (size_t c = 0; c < media.conversations.size(); ++c) {
    for (const bool video : media.conversations[c].is_video) {
      const DistinctMedia& kind = video ? media.clips : media.pictures;
      std::vector<MediaPlan>& distinct = video ? clips : pictures;
      const size_t item = kind.shown[video ? clip++ : picture++];
      if (item == distinct.size()) distinct.push_back(plan_of(request, kind.items[item], limits, *opened));
      plans.push_back(distinct[item]);
      plans.back().conversation = c;
    }
  }
  return plans;
}

}  // namespace vl3
