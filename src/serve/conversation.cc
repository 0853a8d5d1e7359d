#include "serve/conversation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/says_nothing.h"
#include "media/source_bytes.h"
#include "processor/asked_bounds.h"
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

void refuse_contradiction(const Json& options, const std::string& where) {
  const auto found = contradiction_in(options);
  if (!found) return;
  const std::string param = where + "." + found->key;
  refuse(param, fmt::format("\"{}\": {}.", param, found->words));
}

// What one object of a request says of all clips or pictures, over what others said before.
template <typename Options>
void lay_over(const MediaOptions& said, const FieldReader& from, MediaOptions& all, Options& options) {
  for (const auto& [key, value] : said.named.items()) {
    if (key != "detail") merge_option(options, key, value, from.param_of(key));
    all.named[key] = value;
  }
  if (said.max_tokens) all.max_tokens = said.max_tokens;
}

constexpr const char* kClipGroups[] = {"videos_kwargs", "videos"};
constexpr const char* kPictureGroups[] = {"images_kwargs", "images"};

// Objects of options of one kind, within those of both.
bool is_group(const std::string& key) {
  return std::ranges::count(kClipGroups, key) + std::ranges::count(kPictureGroups, key) > 0;
}

// An option that nobody reads would be dropped in silence.
void read_all_options(const FieldReader& from, bool clips, bool pictures, Conversation& conversation) {
  MediaOptions of_clips, of_pictures;
  for (const auto& [key, value] : from.json().items()) {
    const bool of_pictures_alone = pictures && key == "detail";
    bool known = clips && pictures && is_group(key);
    if (clips && !of_pictures_alone) known = read_media_option(from, key, true, of_clips) || known;
    if (pictures) known = read_media_option(from, key, false, of_pictures) || known;
    if (!known && !says_nothing(value))
      refuse(from.param_of(key),
             fmt::format("\"{}\" is no option here; these are: {}.", from.param_of(key),
                         media_option_names(clips, pictures)),
             "unsupported");
  }
  lay_over(of_clips, from, conversation.all_clips, conversation.videos);
  lay_over(of_pictures, from, conversation.all_pictures, conversation.images);
  refuse_contradiction(of_clips.named, from.param());
  refuse_contradiction(of_pictures.named, from.param());
}

void read_media_fields(const FieldReader& fields, Conversation& conversation) {
  if (const auto io = fields.object("media_io_kwargs")) {
    for (const auto& [key, value] : io->json().items()) {
      if (key != "video" && key != "image" && !says_nothing(value))
        refuse(io->param_of(key),
               fmt::format("\"{}\" is of no kind here: \"video\" and \"image\" are.", io->param_of(key)),
               "unsupported");
    }
    if (const auto video = io->object("video")) read_all_options(*video, true, false, conversation);
    if (const auto image = io->object("image")) read_all_options(*image, false, true, conversation);
  }
  const auto processor = fields.object("mm_processor_kwargs");
  if (!processor) return;
  read_all_options(*processor, true, true, conversation);
  for (const char* group : kClipGroups) {
    if (const auto videos = processor->object(group)) read_all_options(*videos, true, false, conversation);
  }
  for (const char* group : kPictureGroups) {
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
  if (!arguments.empty()) conversation.template_arguments = std::move(arguments);
  conversation.continue_final_message = fields.boolean("continue_final_message").value_or(false);
  const auto prompted = fields.boolean("add_generation_prompt");
  if (conversation.continue_final_message && prompted.value_or(false))
    refuse("continue_final_message",
           "\"continue_final_message\" and \"add_generation_prompt\" exclude each other.");
  conversation.add_generation_prompt = prompted.value_or(!conversation.continue_final_message);
}

Image picture_of(const MediaSource& source, const MediaLimits& limits) {
  if (source.kind() == MediaSource::Kind::kFrames) return source.pictures()[0];
  Image image;
  if (source.decoder())
    source.decoder()->decode_picture(source, limits, &image, nullptr, false);
  else
    image = decode_image(bytes_of(source, limits).bytes, limits, source.name(), false);
  return image;
}

// The frames of a list with the times that were given.
MediaSource timed_frames(const Medium& medium, const std::string& param, const MediaLimits& limits) {
  constexpr int64_t kMostBytes = int64_t{1} << 30;
  std::vector<Image> frames;
  int64_t bytes = 0;
  for (const MediaSource& source : medium.sources) {
    frames.push_back(picture_of(source, limits));
    bytes += static_cast<int64_t>(frames.back().pixels().size());
    if (bytes > kMostBytes)
      refuse(param, fmt::format("The frames of \"{}\" have more than {} bytes of pixels.", param, kMostBytes),
             "limit_exceeded");
  }
  return MediaSource::frames(std::move(frames), medium.timestamps, param);
}

Medium fetched(const MediaSlot& slot, MediaIntake& intake, const Asker& asker) {
  Medium medium;
  medium.frames = slot.listed || slot.joined;
  for (size_t i = 0; i < slot.urls.size(); ++i) {
    const std::string param = slot.listed ? fmt::format("{}[{}]", slot.param, i) : slot.param;
    const MediaKind kind = slot.listed ? MediaKind::kImage : slot.kind;
    std::vector<MediaSource> some = intake.fetch(slot.urls[i], kind, param, asker.cancelled);
    if (kind == MediaKind::kImage && some.size() != 1)
      refuse(param, fmt::format("\"{}\" should be one picture and holds {}.", param, some.size()));
    medium.sources.insert(medium.sources.end(), std::make_move_iterator(some.begin()),
                          std::make_move_iterator(some.end()));
  }
  return medium;
}

double rate_of(const Json& fps, const std::string& param) {
  if (!fps.is_number() || !(fps.get<double>() > 0 && fps.get<double>() <= 1000))
    refuse(param, fmt::format("\"{}\" has {} frames a second; it should be a number above 0 and up to 1000.",
                              param, shown(fps)));
  return fps.get<double>();
}

// What a part shows, with its own times over those that it was remembered with.
Medium medium_of(const MediaSlot& slot, MediaIntake& intake, const Asker& asker) {
  Medium medium = slot.urls.empty() ? intake.recall(asker.client, slot.uuid, slot.kind, slot.param)
                                    : fetched(slot, intake, asker);
  const std::string times = slot.part_param + ".timestamps";
  if (!slot.timestamps.empty()) {
    if (!medium.frames) refuse_timestamps(times);
    medium.timestamps = slot.timestamps;
    medium.frames_fps.reset();
  } else if (medium.frames && slot.options.named.contains("fps")) {
    medium.timestamps.clear();
    medium.frames_fps = rate_of(slot.options.named["fps"], slot.part_param + ".fps");
  }
  if (!medium.timestamps.empty() && medium.timestamps.size() != medium.sources.size())
    refuse(times, fmt::format("\"{}\" has {} times for {} frames.", times, medium.timestamps.size(),
                              medium.sources.size()));
  if (!slot.uuid.empty() && !slot.urls.empty()) intake.remember(asker.client, slot.uuid, slot.kind, medium);
  return medium;
}

// Areas with which a picture, or a clip, has at most max_tokens visual tokens.
void write_budget(int64_t max_tokens, PixelOptions& options, Json& part) {
  const int64_t side = options.patch_size * options.merge_size;
  constexpr int64_t kMostArea = int64_t{1} << 40;
  const int64_t area = max_tokens > kMostArea / (side * side) ? kMostArea : max_tokens * side * side;
  options.longest_edge = std::min(options.longest_edge, area);
  options.shortest_edge = std::min(options.shortest_edge, options.longest_edge);
  for (const char* key : {"size", "shortest_edge", "longest_edge"}) part.erase(key);
  part["min_pixels"] = options.shortest_edge;
  part["max_pixels"] = options.longest_edge;
}

const MediaOptions& options_of_all(const MediaSlot& slot, const Conversation& conversation) {
  return slot.kind == MediaKind::kVideo ? conversation.all_clips : conversation.all_pictures;
}

std::optional<int64_t> max_tokens_of(const MediaSlot& slot, const Conversation& conversation) {
  return slot.options.max_tokens ? slot.options.max_tokens : options_of_all(slot, conversation).max_tokens;
}

void refuse_two_rates(const MediaSlot& slot, const Json& all) {
  const Json& own = slot.options.named;
  const bool told = own.contains("fps") || own.contains("num_frames");
  const Json& said = told ? own : all;
  if (said.contains("fps") && said.contains("num_frames"))
    refuse(told ? slot.part_param + ".num_frames" : slot.part_param,
           fmt::format("\"{}\" should have \"fps\" or \"num_frames\", and has both.", slot.part_param));
}

// All frames of a list are looked at, as often as they come.
void look_at_all(const MediaSlot& slot, const Medium& medium, const Json& all, int64_t max_frames,
                 Json& part) {
  const bool timed = !medium.timestamps.empty();
  std::optional<double> rate = medium.frames_fps;
  if (!rate && !timed && all.contains("fps")) rate = rate_of(all["fps"], slot.part_param);
  if (rate) part["pictures_rate"] = *rate;
  part.erase("fps");
  if (part.contains("num_frames")) return;
  const bool told = all.contains("num_frames");
  if (!told && !timed) {
    part["fps"] = rate.value_or(1);
    return;
  }
  const int64_t wanted =
      told ? all["num_frames"].get<int64_t>() : static_cast<int64_t>(medium.timestamps.size());
  part["num_frames"] = std::min(wanted, max_frames);
  part.erase("min_frames");  // it bounds fps
}

// A clip's part of the processor's own form.
void write_clip(const MediaSlot& slot, const Medium& medium, const Conversation& conversation, Json& part) {
  const Json& all = conversation.all_clips.named;
  VideoOptions clip = conversation.videos;
  for (const auto& [key, value] : slot.options.named.items()) {
    part[key] = value;
    merge_option(clip, key, value, slot.part_param + "." + key);
  }
  refuse_contradiction(slot.options.named, slot.part_param);
  if (medium.frames)
    look_at_all(slot, medium, all, clip.max_frames, part);
  else
    refuse_two_rates(slot, all);
  const auto most = max_tokens_of(slot, conversation);
  if (!most) return;
  write_budget(*most, clip, part);
  if (part.contains("num_frames")) {
    part["num_frames"] = std::min(part["num_frames"].get<int64_t>(), *most);
    for (const char* key : {"min_frames", "max_frames"}) part.erase(key);  // they bound fps
    return;
  }
  part["max_frames"] = std::min(clip.max_frames, *most);
  part["min_frames"] = std::min(clip.min_frames, *most);
}

void write_picture(const MediaSlot& slot, const Conversation& conversation, Json& part) {
  PixelOptions picture = conversation.images;
  const Json& own = slot.options.named;
  const Json detail = own.value("detail", conversation.all_pictures.named.value("detail", Json()));
  constexpr int64_t kLowArea = 512 * 512;
  if (detail == "low") {
    part["detail"] = detail;
    picture.longest_edge = std::min(picture.longest_edge, kLowArea);
  }
  for (const auto& [key, value] : own.items()) {
    if (key == "detail") continue;
    part[key] = value;
    merge_option(picture, key, value, slot.part_param + "." + key);
  }
  refuse_contradiction(own, slot.part_param);
  if (const auto most = max_tokens_of(slot, conversation)) write_budget(*most, picture, part);
}

// The part of the processor's own form, with its options checked one by one.
Json part_of(const MediaSlot& slot, const Medium& medium, const Json& names,
             const Conversation& conversation) {
  const bool video = slot.kind == MediaKind::kVideo;
  const char* type = video ? "video" : "image";
  Json part = {{"type", type}, {type, names}};
  if (video)
    write_clip(slot, medium, conversation, part);
  else
    write_picture(slot, conversation, part);
  return part;
}

void check_budgets(const Conversation& conversation, const Processor& processor, const MediaLimits& limits,
                   const ProcessorRequest& request) {
  const auto& slots = conversation.read.media;
  const auto limited = [&](const MediaSlot& slot) { return max_tokens_of(slot, conversation).has_value(); };
  if (std::none_of(slots.begin(), slots.end(), limited)) return;
  const std::vector<MediaPlan> plans = processor.plan(request, limits);
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto most = max_tokens_of(slots[i], conversation);
    if (most && plans[i].tokens > *most)
      refuse(slots[i].param, fmt::format("\"{}\" has {} visual tokens at least, which are more than its "
                                         "\"max_tokens\", {}.",
                                         slots[i].param, plans[i].tokens, *most));
  }
}

}  // namespace

Conversation read_conversation(const FieldReader& fields, const Json& messages, const std::string& param,
                               const Processor& processor) {
  Conversation conversation;
  conversation.images = processor.image_processor().options();
  conversation.videos = processor.video_processor().options();
  read_media_fields(fields, conversation);
  for (const char* key : {"fps", "num_frames", "do_sample_frames"})
    conversation.sampling_told = conversation.sampling_told || conversation.all_clips.named.contains(key);
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
    const Medium medium = medium_of(slot, intake, asker);
    const std::vector<MediaSource> sources =
        medium.timestamps.empty() ? medium.sources : std::vector{timed_frames(medium, slot.param, limits)};
    Json names = Json::array();
    for (size_t s = 0; s < sources.size(); ++s) {
      names.push_back(fmt::format("media:{}:{}", i, s));
      request.media.emplace(names.back(), sources[s]);
    }
    messages[slot.message]["content"][slot.part] =
        part_of(slot, medium, names.size() == 1 ? names[0] : names, conversation);
  }
  request.conversations = {std::move(messages)};
  request.images = conversation.images;
  request.videos = conversation.videos;
  request.sampling_told = conversation.sampling_told;
  request.add_generation_prompt = conversation.add_generation_prompt;
  request.continue_final_message = conversation.continue_final_message;
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
