#pragma once
// From the messages of a request to what the processor takes: media are fetched, options read, budgets of
// visual tokens kept.

#include <functional>
#include <string>
#include <vector>

#include "serve/field_reader.h"
#include "serve/media_intake.h"
#include "serve/message_parts.h"
#include "vl3/media_limits.h"
#include "vl3/processor.h"

namespace vl3::serve {

// Read without touching a medium.
struct Conversation {
  ReadMessages read;
  Json template_arguments;  // of chat_template_kwargs and tools, those that the template reads
  bool add_generation_prompt = true;
  bool continue_final_message = false;
  MediaOptions all_pictures, all_clips;  // what the request says of all of them
  PixelOptions images;                   // the checkpoint's, with that
  VideoOptions videos;
  bool sampling_told = false;
};

// fields: the whole request; messages: in it, at param. Throws ApiError 400.
Conversation read_conversation(const FieldReader& fields, const Json& messages, const std::string& param,
                               const Processor& processor);

// Who asks, and whether an answer is still wanted.
struct Asker {
  std::string client;
  std::function<bool()> cancelled;
};

// Fetches the media and puts everything together. Takes as long as downloads take. Throws what
// MediaIntake::fetch and recall throw, and ApiError 400 for options that are wrong and for a budget that a
// picture or clip cannot be brought down to.
ProcessorRequest fetch_media(const Conversation& conversation, const Processor& processor,
                             const MediaLimits& limits, MediaIntake& intake, const Asker& asker);

// Ids of the prompt, as an answer would have them: media are decoded, nothing is encoded.
std::vector<int64_t> count_prompt(const Processor& processor, ProcessorRequest request,
                                  const MediaLimits& limits, const std::function<bool()>& cancelled);

}  // namespace vl3::serve
