// Bodies of chats, as strangers send them: JSON, every field, messages and their parts.

#include "fuzz.h"
#include "serve/api_error.h"
#include "serve/conversation.h"
#include "serve/request_fields.h"
#include "serve/sampling_fields.h"
#include "serve/strict_json.h"
#include "serve/structured_fields.h"

namespace {

// What is wrong with a body is told with a status that blames it.
template <class F>
void take_or_refuse(F&& f) {
  try {
    vl3::fuzz::read_or_refuse(f);
  } catch (const vl3::serve::ApiError& error) {
    if (error.status >= 500 || *error.what() == '\0') std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vl3;
  using namespace vl3::serve;
  static const Processor processor = Processor::from_pretrained(VL3_FUZZ_DATA "/../../models/tiny");
  static const GenerationConfig settings;
  take_or_refuse([&] {
    const Json body = parse_strictly(fuzz::text_of(data, size));
    const FieldReader fields(body);
    take_or_refuse([&] { read_request_fields(fields, {{"model"}, {"adapter"}}, "client"); });
    take_or_refuse([&] {
      const SamplingSource source{processor.tokenizer(), settings, 512};
      read_sampling(fields, source, {"max_completion_tokens", "max_tokens"}).settings.validate();
    });
    take_or_refuse([&] { read_structured(fields); });
    take_or_refuse([&] {
      const Json* messages = fields.find("messages");
      if (messages != nullptr) read_conversation(fields, *messages, "messages", processor);
    });
  });
  return 0;
}
