// The four stages of the paper with the settings of its published scripts (stage1_2b.sh to stage4_2b.sh).
// What all four share, and the reference's trainer by default, is what TrainConfig begins with.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

struct Stage {
  const char* name;
  double vision_encoder, projector;
  double llm;  // 0: frozen
  int64_t image_merge_size;
  bool use_token_compression;
};

constexpr Stage kStages[] = {
    {"vision_encoder_adaptation", 1e-5, 1e-3, 0, 1, false},
    {"vision_language_alignment", 2e-6, 1e-5, 1e-5, 1, false},
    {"multi_task_fine_tuning", 2e-6, 1e-5, 1e-5, 1, true},
    {"video_centric_fine_tuning", 2e-6, 1e-5, 1e-5, 2, true},
};

}  // namespace

std::vector<std::string> stage_names() {
  std::vector<std::string> names;
  for (const Stage& stage : kStages) names.emplace_back(stage.name);
  return names;
}

Json stage_preset(std::string_view name) {
  const auto* stage =
      std::find_if(std::begin(kStages), std::end(kStages), [&](const Stage& s) { return s.name == name; });
  require(stage != std::end(kStages), ErrorCode::kInvalidArgument, "[train] stage \"{}\" is not one of {}",
          name, fmt::join(stage_names(), ", "));
  Json rates = {{"vision_encoder", stage->vision_encoder}, {"projector", stage->projector}};
  if (stage->llm > 0) rates["llm"] = stage->llm;
  return {{"stage", stage->name},
          {"rates", rates},
          {"media",
           {{"image_merge_size", stage->image_merge_size},
            {"video_merge_size", 2},
            {"use_token_compression", stage->use_token_compression},
            {"fps", 1},
            {"max_frames", 180},
            {"max_visual_tokens", 10240}}},
          {"batch", 128},
          {"max_length", 16384},
          {"weight_decay", 0},
          {"schedule", "cosine"},
          {"warmup_ratio", 0.03},
          {"epochs", 1},
          {"dtype", "bf16"},
          {"recompute", true},
          {"save_every", 1000},
          {"keep", 2}};
}

}  // namespace vl3
