#pragma once
// What was said in a chat, what waits to be said, and the way back.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"

namespace vl3::cli {

// Nothing is lost by a step that can be taken: every change keeps what was before for undo().
class Conversation {
 public:
  explicit Conversation(const std::string& system);  // "": no system message

  // Messages as requests have them: {"role", "content"}.
  const Json& messages() const noexcept { return messages_; }
  // Pictures and clips for the next question, as parts of a message.
  const Json& pending() const noexcept { return pending_; }

  // kind: "image" or "video".
  void attach(const std::string& kind, const std::string& path);
  // The messages with this question, and what is pending, behind them; the conversation stays as it is.
  Json with_question(const std::string& question) const;
  // messages, as with_question or with_last_question gave them, were answered so.
  void answered(Json messages, const std::string& answer);
  // The messages up to and with the last question that was answered; null where there is none.
  Json with_last_question() const;
  void clear();

  // Back to before the last question, attached file, retry, clear or load. What was taken back, for people;
  // "" where there is nothing.
  std::string undo();

  // A list of messages; bytes that are no UTF-8 are written as U+FFFD. Throws kIo, and kInvalidArgument
  // where a file stands that is none of ours (that does not begin like JSON).
  void save(const std::filesystem::path& path) const;
  // Takes the place of this conversation: a list of messages, or a request of one conversation. Throws what
  // reading and parsing throw, kFormat for what is no conversation, kNotFound for a picture or clip that is
  // not there; the conversation is then as before. A last question without an answer is left out of the
  // messages and comes back.
  std::string load(const std::filesystem::path& path);

 private:
  struct State {
    Json messages, pending;
    std::string step;  // what was done to it then
  };
  void remember(std::string step);

  std::string system_;
  Json messages_, pending_ = Json::array();
  std::vector<State> before_;
};

// The text of a message; "" where it has none.
std::string text_of(const Json& message);

}  // namespace vl3::cli
