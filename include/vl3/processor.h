#pragma once
// Stages 1 to 3 together: conversations with pictures and clips in, everything the network needs out.
// Reference: VideoLlama3Processor with apply_chat_template(tokenize=True).

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vl3/chat_template.h"
#include "vl3/export.h"
#include "vl3/image_processor.h"
#include "vl3/json.h"
#include "vl3/media_limits.h"
#include "vl3/media_source.h"
#include "vl3/open_media.h"
#include "vl3/tokenizer.h"
#include "vl3/video_processor.h"

namespace vl3 {

class VisualStream;
struct MediaItem;
struct ReadRequest;

struct ProcessorRequest {
  // One list of messages per conversation: {"role", "content"}, content a string or parts {"type": "text",
  // "text"},
  // {"type": "image", "image": path}, {"type": "video", "video": path or list of paths, and "fps",
  // "num_frames", "max_frames", "start_time", "end_time", … of this clip}; or these parts as other programs
  // write them (docs/tools.md). What is unknown in them is refused.
  std::vector<Json> conversations;
  // Bytes and frames that messages show: a part that names one of these ({"type": "image", "image": "photo"})
  // has it, not the file of that name. One that no message names is refused.
  std::map<std::string, MediaSource> media;
  PixelOptions images;
  VideoOptions videos;
  ResizeBackend backend = ResizeBackend::kTorchvision;  // for pictures; the reference's default
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // ChatTemplate::render_continued; without a generation prompt then
  bool padding = true;                  // false: conversations of different lengths are refused
  bool padding_left = true;             // of pad()'s rows
  bool with_prompts = false;            // ProcessorOutput::prompts is wanted
  // The reference recognises special tokens anywhere in a prompt, also where a user typed them. By default
  // text that came from messages stays text.
  bool special_tokens_in_messages = false;
  Json template_arguments;  // further variables of the chat template
  // The prompt as it stands, in place of what the chat template makes of the only conversation, whose
  // messages then say no more than what is shown, in the order of the prompt's placeholders
  // (Processor::media_tokens). Special tokens in it are recognised.
  std::optional<std::string> prompt = std::nullopt;
  // Labels for training: what assistants say and the token that ends it. Each answer is tokenised by itself,
  // as it will be when a model makes it.
  bool with_labels = false;
  // It says how many frames of clips are looked at: "fps", "num_frames" or "do_sample_frames".
  bool sampling_told = false;
};

struct ProcessorOutput {
  std::vector<std::vector<int64_t>> ids;     // one list per conversation, of the model's ids
  std::vector<std::vector<int64_t>> labels;  // -100 where nothing is to be learned; with_labels only
  std::vector<std::string> prompts;          // with placeholders expanded; with_prompts only
  ImageFeatures images;                      // undefined tensors where there are no pictures
  VideoFeatures videos;                      // likewise
};

// The ids as the reference's processor has them: in a rectangle.
struct PaddedIds {
  Tensor input_ids, attention_mask;  // [B, T] i64
  Tensor labels;                     // [B, T] i64, -100 in cells of padding; undefined where there are none
};
VL3_API PaddedIds pad(const ProcessorOutput& output, int64_t pad_id, bool left = true);

// What a request amounts to, from headers alone.
struct MediaPlan {
  std::string name;
  bool video = false;
  int64_t height = 0, width = 0, frames = 1;
  int64_t patches = 0;
  int64_t tokens = 0;       // before compression
  int64_t min_tokens = 0;   // the fewest that compression can leave; the same as tokens for pictures
  size_t conversation = 0;  // of the request
  std::vector<std::string> notes = {};  // of clips: what a person should know
};

class VL3_API Processor {
 public:
  // A file of the folder means the folder. Which tokens stand for pictures and clips:
  // src/text/media_tokens.h.
  static Processor from_pretrained(const std::filesystem::path& folder);
  // The same with another chat template. Throws what ChatTemplate::with_source throws.
  Processor with_chat_template(std::string source) const;

  const Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  const ChatTemplate& chat_template() const noexcept { return template_; }
  const ImageProcessorFast& image_processor() const noexcept { return images_; }
  const VideoProcessor& video_processor() const noexcept { return videos_; }
  // Under which ids prompts hold visual tokens: those that config.json gives the model (an original
  // checkpoint has one for both), else the tokenizer's.
  int64_t image_token_id() const noexcept { return image_token_id_; }
  int64_t video_token_id() const noexcept { return video_token_id_; }
  // What prompts have in the place of a picture and of a clip; both may be the same.
  const MediaTokens& media_tokens() const noexcept { return tokens_; }

  // {"conversations": [[message…]…], "images": {…}, "videos": {…}} with options under the reference's names
  // ("images_kwargs" and "videos_kwargs" mean the same), and beside them "padding", "padding_side",
  // "add_generation_prompt", "continue_final_message", "special_tokens_in_messages", "chat_template_kwargs",
  // "tools". "messages" and
  // "conversation" are other names of "conversations"; a list of messages is one conversation, and may stand
  // alone in place of the object. Keys in `others` are left to the caller; any other is refused.
  ProcessorRequest parse_request(const Json& request, const std::string& origin,
                                 const std::vector<std::string>& others = {}) const;
  // A request with this checkpoint's options for one conversation.
  ProcessorRequest request_for(Json messages) const;

  // A picture or clip that conversations ask for several times, with the same options, is decoded once.
  // Throws what decoding, templates and tokenising throw, and kInvalidArgument where placeholders and media
  // disagree.
  ProcessorOutput process(ThreadPool& threads, const ProcessorRequest& request,
                          const MediaLimits& limits = {}, const ProcessHooks& hooks = {}) const;
  // The same a group of frames at a time, while the next are decoded: vl3/visual_stream.h. Headers are read
  // here, pixels with the first next(). hooks.cancelled may be asked by another thread. threads: that decode;
  // 0: as many as this process may use. group_patches: of a group of frames at most, unless one frame has
  // more; 0: VisualStream::kGroupPatches. Throws what process() throws of requests and headers.
  std::unique_ptr<VisualStream> stream(ProcessorRequest request, const MediaLimits& limits = {},
                                       const ProcessHooks& hooks = {}, int threads = 0,
                                       int64_t group_patches = 0) const;
  // Reads headers and, of clips, packets. What was opened stays in `opened` for process() and stream() where
  // that is given.
  std::vector<MediaPlan> plan(const ProcessorRequest& request, const MediaLimits& limits = {},
                              OpenMedia* opened = nullptr) const;
  // The prompt as text, placeholders not expanded, and its ids: no media are needed.
  std::string render(const Json& messages, bool add_generation_prompt) const;
  // The prompt of one of the request's conversations, ended as the request says.
  std::vector<ChatTemplate::Piece> prompt_pieces(const ProcessorRequest& request, const Json& messages) const;
  std::vector<int64_t> encode_text(const std::string& text, bool parse_special) const;

 private:
  friend class VisualStream;
  Processor(Tokenizer tokenizer, const ChatTemplate& chat_template, const MediaTokens& tokens,
            ImageProcessorFast images, VideoProcessor videos);
  std::vector<std::pair<size_t, size_t>> answers_of(const ProcessorRequest& request,
                                                    const Json& messages) const;
  ReadRequest read(const ProcessorRequest& request, const MediaLimits& limits, OpenMedia& opened) const;
  void write_prompts(const ProcessorRequest& request, const ReadRequest& read,
                     const std::vector<int64_t>& picture_tokens, ProcessorOutput& out) const;
  MediaPlan plan_of(const ProcessorRequest& request, const MediaItem& item, const MediaLimits& limits,
                    OpenMedia& opened) const;

  Tokenizer tokenizer_;
  ChatTemplate template_;
  ImageProcessorFast images_;
  VideoProcessor videos_;
  MediaTokens tokens_;
  int64_t image_token_id_ = -1, video_token_id_ = -1;
};

// The reports of clips as JSON: a list of {"name", "total_num_frames", "fps", "fps_assumed",
// "frames_indices", "timestamps", "tokens_per_frame", "kept"}.
VL3_API Json to_json(const std::vector<ClipReport>& clips);

}  // namespace vl3
