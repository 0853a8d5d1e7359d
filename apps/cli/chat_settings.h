#pragma once
// Settings that a chat can change: those of generation, and how clips and pictures are looked at.

#include <string>

#include "request_options.h"

namespace vl3::cli {

class ChatSettings {
 public:
  // generation: the checkpoint's with what was typed on the command line; options likewise.
  ChatSettings(RequestOptions options, GenerationConfig generation);

  const RequestOptions& options() const noexcept { return options_; }
  const GenerationConfig& generation() const noexcept { return generation_; }

  // value: JSON or a bare word; "default" takes the change back. Names as in the table of settings, with - or
  // _, and fps, num_frames, min_frames, max_frames, start_time, end_time, min_pixels, max_pixels. Throws
  // kInvalidArgument naming the setting, the value and what it should be, or the near name; nothing is
  // changed then.
  void set(const std::string& name, const std::string& value);
  // An address that was typed (AddressOptions::trust).
  void trust(const std::string& address) { options_.addresses.trust(address); }
  // "name = value" and what it is for; "" as name: every setting that is not at its default.
  std::string shown(const std::string& name) const;

 private:
  bool set_media(const std::string& name, const std::string& value);
  [[noreturn]] static void unknown(const std::string& name);

  RequestOptions first_, options_;
  GenerationConfig first_generation_, generation_;
  Json typed_ = Json::object();  // of generation
};

}  // namespace vl3::cli
