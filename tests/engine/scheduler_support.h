#pragma once
// Requests for a scheduler over the tiny model.

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "support/support.h"
#include "vl3/scheduler.h"

namespace vl3 {

inline std::string media(const char* name) {
  return test::data_path("../../examples/media").string() + "/" + name;
}

inline Json picture() { return {{"type", "image"}, {"image", media("shapes.png")}}; }
inline Json clip() { return {{"type", "video"}, {"video", media("moving.mp4")}}; }
inline Json absent() { return {{"type", "image"}, {"image", media("absent.png")}}; }

inline Json question(std::vector<Json> parts, const std::string& text) {
  Json content = Json::array();
  for (Json& part : parts) content.push_back(std::move(part));
  content.push_back({{"type", "text"}, {"text", text}});
  return Json::array({{{"role", "user"}, {"content", content}}});
}

// Tokens of which no test waits for the last. The context of models/tiny holds 32,768.
inline constexpr int64_t kEndless = 30'000;

class SchedulerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    EngineOptions options;
    options.feature_cache_bytes = int64_t{64} << 20;
    engine_ = std::make_unique<Engine>(Engine::open(test::data_path("../../models/tiny"), options));
  }
  static void TearDownTestSuite() { engine_.reset(); }

  static const Engine& engine() { return *engine_; }
  static ProcessorRequest request(std::vector<Json> parts, const std::string& text) {
    return engine_->processor().request_for(question(std::move(parts), text));
  }
  static RequestOptions options(int64_t new_tokens = 8) {
    RequestOptions made;
    made.generation = engine_->default_settings();
    made.generation.eos_token_id.clear();
    made.generation.do_sample = false;
    made.generation.max_new_tokens = new_tokens;
    return made;
  }
  static SchedulerOptions here() {
    SchedulerOptions made;
    made.processing_threads = 0;
    return made;
  }
  std::vector<int64_t> alone(const ProcessorRequest& asked, const GenerationConfig& settings) {
    return engine_->answer(context_, asked, settings).results[0].new_ids;
  }
  static void step_until(Scheduler& scheduler, RequestId id, RequestState state) {
    while (scheduler.status(id).state < state) {
      if (!scheduler.step()) scheduler.wait_for_work(0.01);
    }
  }

  Context context_{ContextOptions{.compute = Compute::kF32}};

 private:
  static inline std::unique_ptr<Engine> engine_;
};

}  // namespace vl3
