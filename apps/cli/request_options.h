#pragma once
// What run and plan are asked: a request file, or pictures, clips and a question on the command line. eval
// takes the options of pictures and clips alone.

#include <memory>
#include <string>
#include <vector>

#include "address_options.h"
#include "cli.h"
#include "standard_input.h"
#include "vl3/answer_request.h"
#include "vl3/engine.h"

namespace vl3::cli {

struct RequestOptions {
  std::string model, request_file, system, prompt;
  std::vector<std::string> images, videos;
  std::vector<std::pair<std::string, std::string>> settings;  // of generation, as typed
  // Of pictures and clips; unset ones are the checkpoint's.
  std::optional<double> fps, start_time, end_time, pictures_rate;
  std::optional<std::string> rotate;
  std::optional<int64_t> num_frames, min_frames, max_frames, min_pixels, max_pixels;
  std::string times;  // empty: the checkpoint's
  bool skip_broken_frames = false;
  bool all_frames = false, keep_all_tokens = false, special_tokens_in_messages = false;
  std::string backend = "torchvision";
  EngineOptions engine;
  AddressOptions addresses;
  double max_memory_gib = 0, disk_cache_gib = 4;

  // The form of answers; empty: none.
  std::string json_schema, regex;
  std::vector<std::string> choices;
  bool json_object = false;

  bool no_history = false;                                  // of a chat
  std::shared_ptr<const StandardInputFile> standard_input;  // after take_media(), where it was asked for

  void add_to(CLI::App& command);
  // Of these, how pictures and clips are looked at, and limits.
  void add_media_to(CLI::App& command);
  // Options of the form of answers.
  void add_form_to(CLI::App& command);
  // Whether any of them, or the request file, asks for a form.
  bool asks_for_form(const Json* request) const;
  // The hook that keeps it; none where none is asked for. Throws what StructuredCompiler throws, and
  // kInvalidArgument where two are asked for.
  GenerationHooks form(const Engine& engine, const GenerationConfig& settings, const Json* request) const;
  // Reads standard input where it is named as a picture or clip, and checks that --image and --video fit
  // their files. Throws kInvalidArgument where standard input is asked for twice, or also for a chat's lines.
  void take_media(bool chats);
  // Fetches what the request names by http(s) address; ends with kCancelled where the context is cancelled.
  void fetch(ProcessorRequest& request, const Context& context) const;
  // text as people should see it: the name of what came through standard input instead of its path.
  std::string shown(const std::string& text) const;
  // Runs work, whose errors name what came through standard input as people should see it.
  template <class Work>
  void with_names(const Work& work) const {
    try {
      work();
    } catch (const Error& error) {
      throw Error(error.code(), shown(error.what()));
    }
  }
  // chats: what one question needed is kept for the next.
  Engine open(bool chats = false) const;
  // The settings typed over the checkpoint's, and over those of the request file where there is one.
  GenerationConfig generation(const Engine& engine, const Json* request) const;
  // Pictures and clips of the command line with a text, as a user's message.
  Json user_message(const std::string& text) const;
  // The system message, where there is one, and the question with its pictures and clips.
  Json messages() const;
  // What was typed of add_media_to and can change an answer.
  Json media_settings() const;
  ProcessorRequest make(const Engine& engine, const Json& messages) const;
  // The request of the file, with its "generate" left to the caller.
  ProcessorRequest parse(const Engine& engine, const Json& request) const;
  void apply(ProcessorRequest& request) const;

 private:
  Json clip_settings() const;  // of those that a clip can say itself
  // What add_media_to adds, under a heading each.
  void add_clips_to(CLI::App& command);
  void add_pictures_to(CLI::App& command);
  void add_limits_to(CLI::App& command);
  void add_disk_cache_to(CLI::App& command);
};

}  // namespace vl3::cli
