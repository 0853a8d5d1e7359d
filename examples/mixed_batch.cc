// A picture, a clip and plain text in one batch, padded on the left: example_mixed_batch MODEL PICTURE CLIP
// Every answer is what the conversation gets alone.

#include <cstdio>
#include <nlohmann/json.hpp>

#include "vl3/engine.h"
#include "vl3/error.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s MODEL PICTURE CLIP\n", argv[0]);
    return 2;
  }
  try {
    const vl3::Engine engine = vl3::Engine::open(argv[1]);
    vl3::Context context;
    const vl3::Json request = {{"conversations",
                                {{{{"role", "user"},
                                   {"content",
                                    {{{"type", "image"}, {"image", argv[2]}},
                                     {{"type", "text"}, {"text", "Describe this image."}}}}}},
                                 {{{"role", "user"},
                                   {"content",
                                    {{{"type", "video"}, {"video", argv[3]}},
                                     {{"type", "text"}, {"text", "What happens in the video?"}}}}}},
                                 {{{"role", "user"}, {"content", "What color is a banana?"}}}}},
                               {"videos", {{"fps", 1}}},
                               {"padding_side", "left"}};
    vl3::GenerationConfig settings = engine.default_settings();
    settings.max_new_tokens = 32;
    const vl3::ProcessorRequest parsed = engine.processor().parse_request(request, "mixed batch");
    for (const vl3::GenerationResult& result : engine.answer(context, parsed, settings).results) {
      std::printf("%lld: %s\n", static_cast<long long>(result.prompt), result.text.c_str());
    }
  } catch (const vl3::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
