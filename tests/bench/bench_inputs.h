#pragma once
// What tests of comparisons run on: the small models, and prompts with and without pictures and clips.

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "bench/logit_change.h"
#include "support/support.h"
#include "vl3/forward_input.h"
#include "vl3/processor.h"

namespace vl3::test {

inline std::filesystem::path small_model(const std::string& name) {
  return data_path("../../models/" + name);
}

inline ForwardInput text_input(const std::vector<int64_t>& ids) {
  ForwardInput input;
  input.ids = {ids};
  return input;
}

// ids between the special ones and the end of the vocabulary, the same for the same seed.
inline std::vector<int64_t> some_ids(int64_t count, int64_t vocabulary, int64_t seed) {
  constexpr int64_t kFirst = 64, kStep = 7919;
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(kFirst + (i * i + kStep * (i + seed)) % (vocabulary - kFirst));
  return ids;
}

// A question about a picture or a clip ("image", "video") of the examples.
inline ForwardInput media_input(Context& context, const std::string& model, const std::string& kind) {
  const Processor processor = Processor::from_pretrained(small_model(model));
  const std::string file = kind == "image" ? "shapes.png" : "moving.mp4";
  Json content = Json::array(), messages = Json::array();
  content.push_back({{"type", kind}, {kind, data_path("../../examples/media/" + file).string()}});
  content.push_back({{"type", "text"}, {"text", "What is this?"}});
  messages.push_back({{"role", "user"}, {"content", content}});
  ProcessorRequest request = processor.request_for(messages);
  request.videos.fps.reset();
  request.videos.num_frames = 4;
  ProcessorOutput made = processor.process(context.threads(), request);
  return forward_input(made);
}

inline ComparedPrompts prompts_of(std::vector<ForwardInput> inputs) {
  const int64_t count = static_cast<int64_t>(inputs.size());
  return {count, [inputs = std::move(inputs)](int64_t i) { return inputs[static_cast<size_t>(i)]; }};
}

inline void expect_error(const std::function<void()>& f, ErrorCode code, const std::string& word) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown; expected " << word;
  } catch (const Error& error) {
    EXPECT_STREQ(to_string(error.code()), to_string(code)) << error.what();
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word << " in " << error.what();
  }
}

}  // namespace vl3::test
