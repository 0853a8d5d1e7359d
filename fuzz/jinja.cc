// Chat templates, rendered with two messages.

#include "base/json.h"
#include "fuzz.h"
#include "vl3/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  static const Json messages = parse_json(
      R"([{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "Hi 1 ä"}]},
          {"role": "assistant", "content": "a b\nc", "extra": {"n": [1, 2.5, -3, null, true]}}])",
      "messages");
  TemplateLimits limits;
  limits.max_steps = 5000;
  limits.max_output_bytes = 1 << 20;
  limits.max_memory_bytes = 32 << 20;
  limits.max_range = 1000;
  fuzz::read_or_refuse([&] {
    const ChatTemplate chat(std::string(fuzz::text_of(data, size)), nullptr, "fuzz", limits);
    std::string joined;
    bool message = false, first = true;
    for (const ChatTemplate::Piece& piece : chat.render_pieces(messages, true)) {
      if (piece.text.empty() || (!first && piece.from_message == message)) std::abort();
      message = piece.from_message;
      first = false;
    }
  });
  return 0;
}
