// What people ask of the processor, as JSON.

#include "base/json.h"
#include "base/near_names.h"
#include "base/one_of.h"
#include "processor/asked_bounds.h"
#include "processor/messages.h"
#include "vl3/processor.h"

namespace vl3 {
namespace {

void refuse_unknown(const std::vector<std::string>& keys, const std::string& origin) {
  require(keys.empty(), ErrorCode::kInvalidArgument, "[{}] \"{}\" is not an option{}", origin,
          keys.empty() ? "" : keys[0],
          keys.empty()
              ? ""
              : did_you_mean(keys[0], {"fps", "num_frames", "min_frames", "max_frames", "start_time",
                                       "end_time", "do_sample_frames", "use_token_compression", "size",
                                       "min_pixels", "max_pixels", "shortest_edge", "longest_edge"}));
}

// Settings of the reference's tokenizer call; the last ones change nothing here.
constexpr std::string_view kTextOptions[] = {"padding",
                                             "padding_side",
                                             "truncation",
                                             "max_length",
                                             "pad_to_multiple_of",
                                             "add_special_tokens",
                                             "return_attention_mask",
                                             "return_tensors"};

void read_padding(const JsonView& from, ProcessorRequest& request) {
  if (const Json* padding = from.find("padding")) {
    if (padding->is_boolean()) {
      request.padding = padding->get<bool>();
    } else {
      require(*padding == "longest" || *padding == "do_not_pad", ErrorCode::kInvalidArgument,
              "[{}] \"padding\" should be true or \"longest\", false or \"do_not_pad\", not {}",
              from.origin(), shown(*padding));
      request.padding = *padding == "longest";
    }
  }
  const std::string side = from.string("padding_side", request.padding_left ? "left" : "right");
  require(side == "left" || side == "right", ErrorCode::kInvalidArgument,
          "[{}] \"padding_side\" should be left or right, not {}", from.origin(), side);
  request.padding_left = side == "left";
  // Cutting a prompt would leave placeholders without their features: the reference refuses the result, too.
  require(!from.has("truncation") || *from.find("truncation") == false ||
              *from.find("truncation") == "do_not_truncate",
          ErrorCode::kUnsupported, "[{}] \"truncation\" is not done", from.origin());
  for (const char* key : {"max_length", "pad_to_multiple_of"}) {
    require(!from.has(key), ErrorCode::kUnsupported,
            "[{}] \"{}\" is not done: rows are padded to the longest", from.origin(), key);
  }
}

// What to say of a key that stands where it should not: where it belongs, or what was meant.
std::string hint(const std::string& key) {
  constexpr std::string_view kOfGeneration[] = {
      "max_new_tokens", "max_length", "do_sample",    "temperature",        "top_p",
      "top_k",          "num_beams",  "stop_strings", "repetition_penalty", "num_return_sequences",
      "seed",           "min_p",      "eos_token_id"};
  const std::string_view ours = our_name_of(key), name = ours.empty() ? std::string_view(key) : ours;
  if (is_one_of(name, kOfGeneration))
    return fmt::format(": it is a setting of generation; write \"generate\": {{\"{}\": …}}", name);
  constexpr std::string_view kOfForm[] = {"response_format", "structured_outputs", "guided_json",
                                          "guided_regex",    "guided_choice",      "json_schema"};
  if (is_one_of(key, kOfForm))
    return R"(: it is a form of the answer; write "structured": {"json": …} (or "regex", "choice", "json_object"))";
  return did_you_mean(key, {"conversations",
                            "messages",
                            "images",
                            "videos",
                            "generate",
                            "padding",
                            "padding_side",
                            "add_generation_prompt",
                            "continue_final_message",
                            "chat_template_kwargs",
                            "fps",
                            "num_frames",
                            "max_frames",
                            "start_time",
                            "end_time",
                            "max_pixels",
                            "tools",
                            "max_tokens",
                            "max_new_tokens",
                            "temperature",
                            "do_sample",
                            "top_p",
                            "top_k",
                            "num_beams",
                            "repetition_penalty"});
}

// Of a body made for an HTTP API: which model, how the answer is sent, whose it is. The model is the one that
// is loaded, and who sends the request says how its answer comes, so these have no meaning here.
constexpr std::string_view kOfHttp[] = {"model", "stream", "stream_options", "store", "user", "metadata"};

// Options that stand beside "images" and "videos" go to whichever of them has such an option, as in the
// reference.
void read_options_beside(const Json& json, const std::string& origin, const std::vector<std::string>& others,
                         ProcessorRequest& request) {
  constexpr std::string_view kKnown[] = {"conversations",
                                         "conversation",
                                         "messages",
                                         "tools",
                                         "images",
                                         "images_kwargs",
                                         "videos",
                                         "videos_kwargs",
                                         "text",
                                         "text_kwargs",
                                         "add_generation_prompt",
                                         "continue_final_message",
                                         "special_tokens_in_messages",
                                         "chat_template_kwargs"};
  Json beside = Json::object();
  for (const auto& [key, value] : json.items()) {
    const bool known = is_one_of(key, kKnown) || is_one_of(key, kTextOptions) || is_one_of(key, kOfHttp) ||
                       is_one_of(key, others);
    if (known) continue;
    for (const char* group : {"images", "images_kwargs", "videos", "videos_kwargs"}) {
      require(!json.contains(group) || !json[group].is_object() || !json[group].contains(key),
              ErrorCode::kInvalidArgument, "[{}] \"{}\" is given twice: beside \"{}\" and in it", origin, key,
              group);
    }
    beside[key] = value;
  }
  if (beside.empty()) return;
  const std::vector<std::string> not_images = request.images.merge(beside, origin);
  const std::vector<std::string> not_videos = request.videos.merge(beside, origin);
  for (const std::string& key : not_images) {
    require(!is_one_of(key, not_videos), ErrorCode::kInvalidArgument,
            "[{}] \"{}\" is not a part of a request, nor an option{}", origin, key, hint(key));
  }
  check_bounds(beside, fmt::format("[{}]", origin));
}

// The conversations of a request, under whichever name.
const Json& conversations_of(const JsonView& view) {
  const Json* found = nullptr;
  const char* name = "conversations";
  for (const char* key : {"conversations", "messages", "conversation"}) {
    if (!view.has(key)) continue;
    require(found == nullptr, ErrorCode::kInvalidArgument,
            "[{}] has its messages twice: \"{}\" is beside another name for them", view.origin(), key);
    found = view.find(key);
    name = key;
  }
  const bool other = found == nullptr && !view.json().empty();
  require(found != nullptr, ErrorCode::kInvalidArgument,
          "[{}] has no \"messages\" and no \"conversations\"{}", view.origin(),
          other ? fmt::format(", but \"{}\": what is asked stands there, as a list of messages",
                              view.json().begin().key())
                : "");
  require(found->is_array() && !found->empty(), ErrorCode::kInvalidArgument,
          "[{}] \"{}\" should be a list of at least one conversation or message, not {}", view.origin(), name,
          shown(*found));
  for (const Json& messages : *found)
    require(!messages.is_array() || !messages.empty(), ErrorCode::kInvalidArgument,
            "[{}] \"{}\" has a conversation without messages", view.origin(), name);
  return *found;
}

bool tells_sampling(const JsonView& view) {
  for (const char* key : {"fps", "num_frames", "do_sample_frames"}) {
    if (view.has(key)) return true;
  }
  return false;
}

// An option in both of two objects that mean the same.
void refuse_twice(const JsonView& view, const char* one, const char* other, const std::string& origin) {
  if (!view.has(one) || !view.has(other)) return;
  const JsonView first = view.child(one);
  for (const auto& [name, value] : view.child(other).json().items())
    require(says_nothing(value) || !first.has(name), ErrorCode::kInvalidArgument,
            "[{}] \"{}\" is given twice: in \"{}\" and in \"{}\"", origin, name, one, other);
}

}  // namespace

ProcessorRequest Processor::request_for(Json messages) const {
  ProcessorRequest request;
  request.conversations.push_back(std::move(messages));
  request.images = images_.options();
  request.videos = videos_.options();
  return request;
}

ProcessorRequest Processor::parse_request(const Json& json, const std::string& origin,
                                          const std::vector<std::string>& others) const {
  if (json.is_array() && !json.empty()) return parse_request({{"conversations", json}}, origin, others);
  require(json.is_object(), ErrorCode::kInvalidArgument,
          "[{}] should be a JSON object, or a list of messages, not {}", origin, shown(json));
  const JsonView view(json, origin);
  ProcessorRequest request;
  request.images = images_.options();
  request.videos = videos_.options();
  const Json& conversations = conversations_of(view);
  if (conversations[0].is_object())
    request.conversations.push_back(conversations);
  else
    for (const Json& messages : conversations) request.conversations.push_back(messages);
  for (const auto& [one, other] : {std::pair{"images", "images_kwargs"}, std::pair{"videos", "videos_kwargs"},
                                   std::pair{"text", "text_kwargs"}})
    refuse_twice(view, one, other, origin);
  for (const char* key : {"images", "images_kwargs"}) {
    if (!view.has(key)) continue;
    refuse_unknown(request.images.merge(json[key], origin + ": " + key), origin + ": " + key);
    check_bounds(json[key], fmt::format("[{}: {}]", origin, key));
  }
  for (const char* key : {"videos", "videos_kwargs"}) {
    if (!view.has(key)) continue;
    refuse_unknown(request.videos.merge(json[key], origin + ": " + key), origin + ": " + key);
    check_bounds(json[key], fmt::format("[{}: {}]", origin, key));
    request.sampling_told = request.sampling_told || tells_sampling(view.child(key));
  }
  request.sampling_told = request.sampling_told || tells_sampling(view);
  read_padding(view, request);
  for (const char* key : {"text", "text_kwargs"}) {
    if (!view.has(key)) continue;
    const JsonView inner = view.child(key);
    read_padding(inner, request);
    for (const auto& [name, value] : inner.json().items()) {
      if (!is_one_of(name, kTextOptions)) refuse_unknown({name}, origin + ": " + key);
    }
  }
  request.add_generation_prompt = view.boolean("add_generation_prompt", request.add_generation_prompt);
  request.continue_final_message = view.boolean("continue_final_message", request.continue_final_message);
  if (request.continue_final_message) {
    require(!view.boolean("add_generation_prompt", false), ErrorCode::kInvalidArgument,
            "[{}] continue_final_message and add_generation_prompt exclude each other", origin);
    request.add_generation_prompt = false;
  }
  request.special_tokens_in_messages =
      view.boolean("special_tokens_in_messages", request.special_tokens_in_messages);
  if (view.has("chat_template_kwargs"))
    request.template_arguments = view.child("chat_template_kwargs").json();
  if (view.has("tools") && !says_nothing(json["tools"])) {
    if (request.template_arguments.is_null()) request.template_arguments = Json::object();
    require(!request.template_arguments.contains("tools"), ErrorCode::kInvalidArgument,
            "[{}] \"tools\" is given twice: beside \"chat_template_kwargs\" and in it", origin);
    request.template_arguments["tools"] = json["tools"];
  }
  read_options_beside(json, origin, others, request);
  return request;
}

Json to_json(const std::vector<ClipReport>& clips) {
  Json list = Json::array();
  for (const ClipReport& clip : clips) {
    list.push_back({{"name", clip.name},
                    {"total_num_frames", clip.info.total_frames},
                    {"fps", clip.info.fps ? Json(*clip.info.fps) : Json(1.0)},
                    {"fps_assumed", clip.frames.fps_assumed},
                    {"height", clip.info.height},
                    {"width", clip.info.width},
                    {"frames_indices", clip.frames.indices},
                    {"timestamps", clip.frames.timestamps},
                    {"tokens_per_frame", clip.tokens_per_frame},
                    {"kept", clip.kept},
                    {"variable_rate", !clip.info.times_s.empty()},
                    {"notes", clip.notes}});
  }
  return list;
}

}  // namespace vl3
