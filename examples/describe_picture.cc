// Describes a picture: example_describe_picture MODEL PICTURE [QUESTION]

#include <cstdio>
#include <nlohmann/json.hpp>

#include "vl3/engine.h"
#include "vl3/error.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL PICTURE [QUESTION]\n", argv[0]);
    return 2;
  }
  try {
    const vl3::Engine engine = vl3::Engine::open(argv[1]);
    vl3::Context context;
    const vl3::Json messages = {
        {{"role", "user"},
         {"content",
          {{{"type", "image"}, {"image", argv[2]}},
           {{"type", "text"}, {"text", argc > 3 ? argv[3] : "Describe this image."}}}}}};
    vl3::GenerationConfig settings = engine.default_settings();
    settings.max_new_tokens = 64;
    vl3::GenerationHooks hooks;
    hooks.on_token = [](const vl3::StreamEvent& event) {  // text arrives as it is made
      std::fwrite(event.text.data(), 1, event.text.size(), stdout);
      return std::fflush(stdout) == 0;
    };
    engine.answer(context, engine.processor().request_for(messages), settings, hooks);
    std::puts("");
  } catch (const vl3::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
