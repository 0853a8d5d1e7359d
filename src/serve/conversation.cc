#include "serve/conversation.h"

#include <fmt/format.h>

#include <algorithm>

#include "media/source_bytes.h"
#include "processor/messages.h"
#include "vl3/answer_request.h"
#include "vl3/error.h"
#include "vl3/media_decoder.h"
#include "vl3/visual_stream.h"

namespace vl3::serve {
namespace {

// The words of an option's error without the place that begins them.
std::string words_of(const Error& error) {
  const std::string text = error.what();
  const size_t end = text.starts_with('[') ? text.find("] ") : std::string::npos;
  return end == std::string::npos ? text : text.substr(end + 2);
}

// One option over others; wrong values are refused under its own name.
template <typename Options>
void merge_option(Options& options, const std::string& key, const Json& value, const std::string& param) {
  if (key == "fps" && value.is_number() && !(value.get<double>() > 0))
    refuse(param, fmt::format("\"{}\" is {}; it should be above 0.", param, shown(value)));
  try {
    options.merge(Json{{key, value}}, param);
  } catch (const Error& error) {
    refuse(param, fmt::format("\"{}\": {}", param, words_of(error)));
  }
}

bool is_area(std::string_view key) { return is_picture_option(key) && key != "detail"; }

// Options for all clips, and those that pictures have as well.
void read_all_options(const FieldReader& from, bool clips, bool pictures, Conversation& conversation) {
  for (const auto& [key, value] : from.json().items()) {
    if (value.is_null()) continue;
    const std::string param = from.param_of(key);
    if (clips && is_clip_option(key) && key != "detail") {
      merge_option(conversation.videos, key, value, param);
      conversation.sampling_told =
          conversation.sampling_told || key == "fps" || key == "num_frames" || key == "do_sample_frames";
    }
    if (pictures && is_area(key)) merge_option(conversation.images, key, value, param);
  }
}

void read_media_fields(const FieldReader& fields, Conversation& conversation) {
  if (const auto io = fields.object("media_io_kwargs")) {
    if (const auto video = io->object("video")) read_all_options(*video, true, false, conversation);
    if (const auto image = io->object("image")) read_all_options(*image, false, true, conversation);
  }
  const auto processor = fields.object("mm_processor_kwargs");
  if (!processor) return;
  read_all_options(*processor, true, true, conversation);
  for (const char* group : {"videos_kwargs", "videos"}) {
    if (const auto videos = processor->object(group)) read_all_options(*videos, true, false, conversation);
  }
  for (const char* group : {"images_kwargs", "images"}) {
    if (const auto images = processor->object(group)) read_all_options(*images, false, true, conversation);
  }
}

// Variables that the template does not read change nothing and are let through; tools that it does not read
// would be dropped in silence.
void read_template_fields(const FieldReader& fields, const ChatTemplate& chat_template,
                          Conversation& conversation) {
  Json arguments = Json::object();
  if (const auto given = fields.object("chat_template_kwargs")) {
    for (const auto& [key, value] : given->json().items()) {
      if (key == "messages" || key == "add_generation_prompt")
        refuse(given->param_of(key), fmt::format("\"{}\" cannot be given to the template.", key));
      if (template_reads(chat_template, key)) arguments[key] = value;
    }
  }
  const Json* tools = fields.find("tools");
  if (tools != nullptr && !tools->is_array()) fields.wrong("tools", "a list");
  const Json* choice = fields.find("tool_choice");
  const bool unused = choice != nullptr && *choice == "none";
  if (tools != nullptr && !tools->empty() && !unused) {
    if (!template_reads(chat_template, "tools"))
      refuse("tools",
             "This model calls no tools: \"tools\" should be left out, or \"tool_choice\" be \"none\".",
             "unsupported");
    arguments["tools"] = *tools;
  } else if (choice != nullptr && !unused && *choice != "auto") {
    refuse("tool_choice", fmt::format("\"tool_choice\" is {}, and there are no tools.", shown(*choice)));
  }
  if (fields.has("chat_template"))
    refuse("chat_template", "Requests cannot bring a template of their own.", "unsupported");
  if (fields.boolean("continue_final_message").value_or(false))
    refuse("continue_final_message", "\"continue_final_message\" is not done.", "unsupported");
  if (!arguments.empty()) conversation.template_arguments = std::move(arguments);
  conversation.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
}

Image picture_of(const MediaSource& source, const MediaLimits& limits) {
  if (source.kind() == MediaSource::Kind::kFrames) return source.pictures()[0];
  Image image;
  if (source.decoder())
    source.decoder()->decode_picture(source, limits, &image, nullptr);
  else
    image = decode_image(bytes_of(source, limits).bytes, limits, source.name(), false);
  return image;
}

// The frames of a list with the times that were given.
MediaSource timed_frames(const std::vector<MediaSource>& sources, const MediaSlot& slot,
                         const MediaLimits& limits) {
  constexpr int64_t kMostBytes = int64_t{1} << 30;
  std::vector<Image> frames;
  int64_t bytes = 0;
  for (const MediaSource& source : sources) {
    frames.push_back(picture_of(source, limits));
    bytes += static_cast<int64_t>(frames.back().rgb.size());
    if (bytes > kMostBytes)
      refuse(slot.param,
             fmt::format("The frames of \"{}\" have more than {} bytes of pixels.", slot.param, kMostBytes),
             "limit_exceeded");
  }
  return MediaSource::frames(std::move(frames), slot.timestamps, slot.param);
}

std::vector<MediaSource> sources_of(const MediaSlot& slot, const MediaLimits& limits, MediaIntake& intake,
                                    const Asker& asker) {
  if (slot.urls.empty()) return intake.recall(asker.client, slot.uuid, slot.kind, slot.param);
  std::vector<MediaSource> sources;
  for (size_t i = 0; i < slot.urls.size(); ++i) {
    const std::string param = slot.frames ? fmt::format("{}[{}]", slot.param, i) : slot.param;
    const MediaKind kind = slot.frames ? MediaKind::kImage : slot.kind;
    std::vector<MediaSource> some = intake.fetch(slot.urls[i], kind, param, asker.cancelled);
    if (slot.frames && some.size() != 1)
      refuse(param, fmt::format("\"{}\" should be one frame and holds {}.", param, some.size()));
    sources.insert(sources.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  if (slot.kind == MediaKind::kImage && sources.size() != 1)
    refuse(slot.param, fmt::format("\"{}\" should be one picture and holds {}.", slot.param, sources.size()));
  if (!slot.timestamps.empty()) sources = {timed_frames(sources, slot, limits)};
  if (!slot.uuid.empty()) intake.remember(asker.client, slot.uuid, slot.kind, sources);
  return sources;
}

// Areas and frames so that a picture or clip has at most max_tokens visual tokens.
template <typename Options>
void keep_budget(int64_t max_tokens, Options& options) {
  const int64_t side = options.patch_size * options.merge_size;
  constexpr int64_t kMostArea = int64_t{1} << 40;
  const int64_t area = max_tokens > kMostArea / (side * side) ? kMostArea : max_tokens * side * side;
  options.longest_edge = std::min(options.longest_edge, area);
  options.shortest_edge = std::min(options.shortest_edge, options.longest_edge);
}

// The part of the processor's own form, with its options checked one by one.
Json part_of(const MediaSlot& slot, const Json& names, const Conversation& conversation,
             const std::string& where) {
  const bool video = slot.kind == MediaKind::kVideo;
  const char* type = video ? "video" : "image";
  Json part = {{"type", type}, {type, names}};
  VideoOptions clip = conversation.videos;
  PixelOptions picture = conversation.images;
  for (const auto& [key, value] : slot.options.items()) {
    part[key] = value;
    const std::string param = where + "." + key;
    if (key == "detail") {
      if (value != "low" && value != "high" && value != "auto")
        refuse(param, fmt::format("\"{}\" is {}; it should be auto, low or high.", param, shown(value)));
      constexpr int64_t kLowArea = 512 * 512;
      if (value == "low" && !video) picture.longest_edge = std::min(picture.longest_edge, kLowArea);
    } else if (video) {
      merge_option(clip, key, value, param);
    } else {
      merge_option(picture, key, value, param);
    }
  }
  if (slot.frames) {  // all of them are looked at, as often as they come
    const double rate = slot.frames_fps.value_or(1);
    if (slot.timestamps.empty() && slot.frames_fps) part["pictures_rate"] = rate;
    if (slot.timestamps.empty() && !slot.options.contains("num_frames")) part["fps"] = rate;
    if (!slot.timestamps.empty() && !slot.options.contains("num_frames"))
      part["num_frames"] = std::min(static_cast<int64_t>(slot.timestamps.size()), clip.max_frames);
  }
  if (!slot.max_tokens) return part;
  if (video)
    keep_budget(*slot.max_tokens, clip);
  else
    keep_budget(*slot.max_tokens, picture);
  PixelOptions& areas = video ? clip : picture;
  for (const char* key : {"size", "shortest_edge", "longest_edge"}) part.erase(key);
  part["min_pixels"] = areas.shortest_edge;
  part["max_pixels"] = areas.longest_edge;
  if (!video) return part;
  part["max_frames"] = std::min(clip.max_frames, *slot.max_tokens);
  part["min_frames"] = std::min(clip.min_frames, *slot.max_tokens);
  if (part.contains("num_frames")) part["num_frames"] = std::min(*clip.num_frames, *slot.max_tokens);
  return part;
}

void check_budgets(const Conversation& conversation, const Processor& processor, const MediaLimits& limits,
                   const ProcessorRequest& request) {
  const auto& slots = conversation.read.media;
  if (std::none_of(slots.begin(), slots.end(), [](const MediaSlot& s) { return s.max_tokens.has_value(); }))
    return;
  const std::vector<MediaPlan> plans = processor.plan(request, limits);
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].max_tokens && plans[i].tokens > *slots[i].max_tokens)
      refuse(slots[i].param, fmt::format("\"{}\" has {} visual tokens at least, which are more than its "
                                         "\"max_tokens\", {}.",
                                         slots[i].param, plans[i].tokens, *slots[i].max_tokens));
  }
}

}  // namespace

Conversation read_conversation(const FieldReader& fields, const Json& messages, const std::string& param,
                               const Processor& processor) {
  Conversation conversation;
  conversation.images = processor.image_processor().options();
  conversation.videos = processor.video_processor().options();
  read_media_fields(fields, conversation);
  read_template_fields(fields, processor.chat_template(), conversation);
  conversation.read = read_messages(messages, param);
  return conversation;
}

ProcessorRequest fetch_media(const Conversation& conversation, const Processor& processor,
                             const MediaLimits& limits, MediaIntake& intake, const Asker& asker) {
  Json messages = conversation.read.messages;
  ProcessorRequest request = processor.request_for(nullptr);
  for (size_t i = 0; i < conversation.read.media.size(); ++i) {
    const MediaSlot& slot = conversation.read.media[i];
    const std::vector<MediaSource> sources = sources_of(slot, limits, intake, asker);
    Json names = Json::array();
    for (size_t s = 0; s < sources.size(); ++s) {
      names.push_back(fmt::format("media:{}:{}", i, s));
      request.media.emplace(names.back(), sources[s]);
    }
    const size_t dot = slot.param.find(']', slot.param.find("content"));
    const std::string where = slot.param.substr(0, dot == std::string::npos ? dot : dot + 1);
    messages[slot.message]["content"][slot.part] =
        part_of(slot, names.size() == 1 ? names[0] : names, conversation, where);
  }
  request.conversations = {std::move(messages)};
  request.images = conversation.images;
  request.videos = conversation.videos;
  request.sampling_told = conversation.sampling_told;
  request.add_generation_prompt = conversation.add_generation_prompt;
  request.template_arguments = conversation.template_arguments;
  sample_as_trained(request);
  check_budgets(conversation, processor, limits, request);
  return request;
}

std::vector<int64_t> count_prompt(const Processor& processor, ProcessorRequest request,
                                  const MediaLimits& limits, const std::function<bool()>& cancelled) {
  ProcessHooks hooks;
  hooks.cancelled = cancelled;
  const auto stream = processor.stream(std::move(request), limits, hooks, 1);
  while (stream->next()) {
  }
  return std::move(stream->finish().output.ids[0]);
}

}  // namespace vl3::serve
