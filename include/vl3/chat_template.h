#pragma once
// Chat templates: messages in, prompt out. A checkpoint's template is a Jinja2 program; this is the small
// interpreter that runs it, as Transformers' apply_chat_template(tokenize=False) does (jinja2's
// ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, loop controls, and the `generation` tag).
// docs/decisions/jinja.md lists what is covered.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vl3/export.h"
#include "vl3/json.h"
#include "vl3/template_limits.h"

namespace vl3 {

// What a prompt holds for a picture and for a clip.
struct MediaTokens {
  std::string image = "<|image_pad|>", video = "<|video_pad|>";
};

class VL3_API ChatTemplate {
 public:
  // source: the template's text. special_tokens: an object of variables that every rendering sees
  // (bos_token, eos_token, …). name begins every error. Throws kFormat (syntax, with the line),
  // kUnsupported (a tag, filter or test that is not covered, by name), kLimitExceeded.
  explicit ChatTemplate(std::string source, const Json& special_tokens = nullptr,
                        std::string name = "chat template", const TemplateLimits& limits = {});

  // The template of a checkpoint folder: chat_template.jinja, else chat_template.json, else the
  // "chat_template" of tokenizer_config.json (a string, or a list of {name, template}: the one called
  // "default"). Special tokens come from tokenizer_config.json. Throws kNotFound where there is none. The
  // template is one with_text_contents().
  static ChatTemplate from_pretrained(const std::filesystem::path& folder, const TemplateLimits& limits = {});

  // The same template, but where it can only take text as a message's content (tried with a message once,
  // when the first list of parts comes), such a list is given to it as text: the texts one behind the other,
  // tokens and a new line in place of pictures and clips. So are lists with pictures or clips where the
  // template takes lists but leaves these out. Lists that it takes are left as they are.
  ChatTemplate with_text_contents(MediaTokens tokens) const;

  // Another template with the special tokens, limits and with_text_contents() of this one. Throws what the
  // constructor throws.
  ChatTemplate with_source(std::string source, std::string name = "chat_template") const;

  // messages: a list of objects. extra: an object of further variables (tools, documents,
  // enable_thinking, …), which hide the special tokens of the same name. tools and documents are none
  // where extra does not have them. Throws kInvalidArgument (messages of a wrong shape, what the template
  // raises with raise_exception, and operations that fail on the values given), kUnsupported,
  // kLimitExceeded. Renderings of one template may run at the same time.
  std::string render(const Json& messages, bool add_generation_prompt, const Json& extra = nullptr) const;

  // A span of the prompt. from_message is true where its text came out of messages or extra, whatever the
  // template did with it (cut, joined, replaced, upper-cased, printed as JSON): such text is tokenised as
  // plain text, so that nobody can write control tokens into the prompt.
  struct Piece {
    std::string text;
    bool from_message = false;
    bool operator==(const Piece&) const = default;
  };
  // The pieces joined are what render gives. No piece is empty and neighbours differ in from_message. A
  // piece may begin or end within a character only where the template cut one.
  std::vector<Piece> render_pieces(const Json& messages, bool add_generation_prompt,
                                   const Json& extra = nullptr) const;
  // The prompt ends within the last message, behind the last text of its content, which an answer goes on
  // with; white space at its end is left out where the template leaves it out. As the reference's
  // continue_final_message. Throws kInvalidArgument where that message has no text, or the template does not
  // show it.
  std::vector<Piece> render_continued(const Json& messages, const Json& extra = nullptr) const;

  const std::string& source() const;
  const std::string& name() const;

 private:
  static ChatTemplate read_template(const std::filesystem::path& folder, const TemplateLimits& limits);

  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

}  // namespace vl3
