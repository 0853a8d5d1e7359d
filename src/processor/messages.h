#pragma once
// Messages as people write them, in one form. docs/tools.md lists what is taken.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/says_nothing.h"
#include "vl3/processor.h"

namespace vl3 {

// A picture or clip of a conversation, in the order of the prompt.
struct MediaItem {
  bool video = false;
  std::vector<MediaSource> sources;  // one; or the frames of a clip
  VideoOptions options;              // of a clip; of a picture its PixelOptions
  std::string name() const;
  bool operator==(const MediaItem&) const = default;
};

// Reads the messages of a request. What the same data: URL holds in several of them is held once, in
// `opened`; the request, the limits and `opened` outlive the reader.
class MessageReader {
 public:
  struct Conversation {
    // As the chat template wants them: of each message "role", "content" and what else the template reads;
    // content a string, or parts that are text, {"type": "text", "text"}, {"type": "image", "image": name} or
    // {"type": "video", "video": name}.
    Json messages;
    std::vector<MediaItem> media;  // in the order of the prompt
  };

  // template_: whose variables decide what a message may have beside role and content.
  MessageReader(const ProcessorRequest& request, const MediaLimits& limits, const ChatTemplate& chat_template,
                OpenMedia& opened)
      : request_(request), limits_(limits), template_(chat_template), opened_(opened) {}

  // Throws kInvalidArgument, naming message, part and key, for what is unknown, given twice or of a wrong
  // type: nothing is passed over but what is null or empty. kUnsupported for addresses; what data: URLs
  // throw.
  Conversation read(const Json& messages);
  // Throws kInvalidArgument, naming it, for an entry of request.media that no conversation named.
  void check_all_shown() const;

 private:
  // A source as a part names it, with what stands beside it there.
  struct Source {
    const Json* value = nullptr;
    std::string key;
  };

  Json read_message(const Json& message, const std::string& where, std::vector<MediaItem>& media);
  Json read_part(const Json& part, const std::string& where, std::vector<MediaItem>& media);
  MediaItem picture(const Source& source, Json rest, const std::string& where);
  MediaItem clip(const Source& source, Json rest, const std::string& where);
  void add_source(const Json& value, const std::string& where, Json* rest, MediaItem& item);
  void add_text(const std::string& text, bool base64, const std::string& where, MediaItem& item);

  const ProcessorRequest& request_;
  const MediaLimits& limits_;
  const ChatTemplate& template_;
  OpenMedia& opened_;
  std::set<std::string> shown_;  // names of request.media
};

// Whether a template may read a variable of this name, or such a key of a message.
bool template_reads(const ChatTemplate& chat_template, const std::string& variable);
bool template_reads_key(const ChatTemplate& chat_template, const std::string& key);

}  // namespace vl3
