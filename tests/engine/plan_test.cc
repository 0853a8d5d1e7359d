// A plan says what answering takes: memory, by the context's own count, and operations of each conversation.

#include <algorithm>

#include "base/json.h"
#include "engine/request_encoder.h"
#include "generate/model_decoder.h"
#include "model/cost.h"
#include "support/support.h"
#include "vl3/engine.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

std::string media(const char* name) { return test::data_path("../../examples/media").string() + "/" + name; }

Json user(const Json& part, const std::string& text) {
  return Json::array(
      {{{"role", "user"}, {"content", Json::array({part, {{"type", "text"}, {"text", text}}})}}});
}
Json picture() { return {{"type", "image"}, {"image", media("shapes.png")}}; }
Json clip(double fps) { return {{"type", "video"}, {"video", media("moving.mp4")}, {"fps", fps}}; }

// On the path whose packed panels of weights are the smallest: they are no part of the estimate.
ContextOptions one_thread() { return {.num_threads = 1, .compute = Compute::kF32, .cpu = "baseline"}; }

class Plans : public ::testing::Test {
 protected:
  Plan plan(Context* context, const ProcessorRequest& request, GenerationConfig settings) const {
    return engine_.plan(context, request, settings, nullptr, false);
  }
  GenerationConfig settings(int64_t tokens = 16) const {
    GenerationConfig settings = engine_.default_settings();
    settings.max_new_tokens = tokens;
    return settings;
  }
  ProcessorRequest request(const Json& messages) const { return engine_.processor().request_for(messages); }

  const Engine engine_ = Engine::open(test::data_path("../../models/demo"));
};

// What operations held at once, against the plan's activations. The comparison is of prompts as long as they
// come out: marks of media and the times of frames are estimated.
TEST_F(Plans, ActivationsAreNearWhatThePassTakes) {
  struct Case {
    const char* name;
    Json messages;
  };
  std::string text;
  for (int i = 0; i < 300; ++i) text += "word ";
  const Case cases[] = {{"picture", user(picture(), "What is it?")},
                        {"clip", user(clip(4), "What moves?")},
                        {"text", user({{"type", "text"}, {"text", "Read this:"}}, text)}};
  for (const Case& c : cases) {
    Context context(one_thread());
    RequestEncoder encoder(engine_.model(), engine_.processor().stream(request(c.messages)), nullptr, false);
    encoder.begin(context);
    while (encoder.encode_next(context)) {
    }
    EncodedRequest encoded = encoder.finish(context);
    AnswerShape shape;
    for (const auto* grids : {&encoded.inputs.images.image_grid_thw, &encoded.inputs.videos.video_grid_thw}) {
      if (!grids->defined()) continue;
      const int64_t* thw = grids->data<int64_t>();
      const Tensor& features = grids == &encoded.inputs.images.image_grid_thw
                                   ? encoded.forward.image_features
                                   : encoded.forward.video_features;
      shape.visuals.push_back({thw[0], thw[1] * thw[2], features.dim(0)});
    }
    shape.prompts = {static_cast<int64_t>(encoded.inputs.ids[0].size())};
    ModelDecoder decoder(engine_.model());
    for (const Prompt& prompt : make_prompts(context, engine_.model(), encoded.forward))
      prefill(context, decoder, prompt);
    const auto measured = static_cast<double>(context.peak_bytes());
    const auto estimate = static_cast<double>(answer_activation_bytes(engine_.model().config(), shape));
    std::printf("%s: %.0f kB estimated, %.0f measured\n", c.name, estimate / 1000, measured / 1000);
    EXPECT_GT(estimate, 0.85 * measured) << c.name;
    EXPECT_LT(estimate, 1.6 * measured) << c.name;
  }
}

TEST_F(Plans, TextIsCounted) {
  const ProcessorRequest asked =
      request(Json::array({{{"role", "user"}, {"content", "Hello, what is this?"}}}));
  ThreadPool threads(1);
  const auto tokens = static_cast<int64_t>(engine_.processor().process(threads, asked).ids[0].size());
  const Plan planned = plan(nullptr, asked, settings());
  EXPECT_EQ(planned.prompt_tokens, tokens);
  EXPECT_EQ(planned.min_prompt_tokens, tokens);
}

TEST_F(Plans, CachesAreCountedAsTheyAreKept) {
  const ProcessorRequest asked = request(user(picture(), "What is it?"));
  Context exact(ContextOptions{.num_threads = 1, .cache = CacheType::kF32}),
      half(ContextOptions{.num_threads = 1, .cache = CacheType::kF16}),
      eighth(ContextOptions{.num_threads = 1, .cache = CacheType::kInt8});
  const int64_t f32 = plan(&exact, asked, settings()).cache_bytes,
                f16 = plan(&half, asked, settings()).cache_bytes,
                int8 = plan(&eighth, asked, settings()).cache_bytes;
  const int64_t width = engine_.model().config().text.head_dim;
  EXPECT_EQ(f32, 2 * f16);
  EXPECT_EQ(int8 * 4 * width, f32 * (width + 4));
  EXPECT_EQ(f32, cache_bytes(engine_.model().config().text, CacheType::kF32,
                             plan(&exact, asked, settings()).prompt_tokens + 16));
}

TEST_F(Plans, ConversationsCostWhatEachCostsAlone) {
  const Json messages = user({{"type", "text"}, {"text", "A text of some length, for all of them."}}, "?");
  const ProcessorRequest one = request(messages);
  ProcessorRequest eight = one;
  eight.conversations.assign(8, messages);
  Context context(one_thread());
  const Plan alone = plan(&context, one, settings()), together = plan(&context, eight, settings());
  EXPECT_DOUBLE_EQ(together.prefill_flops, 8 * alone.prefill_flops);
  EXPECT_EQ(together.cache_bytes, 8 * alone.cache_bytes);
  EXPECT_EQ(together.prompt_tokens, alone.prompt_tokens);
}

TEST_F(Plans, ALongClipsPixelsAreNotAllThereAtOnce) {
  ProcessorRequest asked = request(user(clip(20), "?"));
  asked.videos.shortest_edge = 60000;
  asked.videos.longest_edge = 4000000;
  Context context(one_thread());
  const Plan planned = plan(&context, asked, settings());
  const int64_t all = planned.patches * engine_.model().config().vision.patch_width() * 4;
  EXPECT_GT(planned.patches, 8 * VisualStream::kGroupPatches);
  EXPECT_LT(planned.pixel_bytes, all / 2);
}

}  // namespace
}  // namespace vl3
