// Asks about a clip, looked at once a second: example_ask_about_clip MODEL CLIP [QUESTION]

#include <cstdio>
#include <nlohmann/json.hpp>

#include "vl3/engine.h"
#include "vl3/error.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL CLIP [QUESTION]\n", argv[0]);
    return 2;
  }
  try {
    const vl3::Engine engine = vl3::Engine::open(argv[1]);
    vl3::Context context;
    const vl3::Json messages = {
        {{"role", "user"},
         {"content",
          {{{"type", "video"}, {"video", argv[2]}, {"fps", 1.0}, {"max_frames", 180}},
           {{"type", "text"}, {"text", argc > 3 ? argv[3] : "What happens in the video?"}}}}}};
    vl3::GenerationConfig settings = engine.default_settings();
    settings.max_new_tokens = 64;
    const vl3::Answers answers = engine.answer(context, engine.processor().request_for(messages), settings);
    for (const vl3::ClipReport& clip : answers.inputs.videos.clips) {
      for (size_t i = 0; i < clip.kept.size(); ++i) {
        std::printf("%6.1f s: %lld of %lld visual tokens kept\n", clip.frames.timestamps[i],
                    static_cast<long long>(clip.kept[i]), static_cast<long long>(clip.tokens_per_frame));
      }
    }
    std::printf("%s\n", answers.results[0].text.c_str());
  } catch (const vl3::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
