#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "model/parameters.h"
#include "train/batches.h"
#include "train/schedule.h"
#include "vl3/checkpoint.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

struct PartPlan {
  int64_t parameters = 0;
  std::optional<double> rate;
};

}  // namespace

Json plan_training(const TrainConfig& config) {
  const Config model = Config::from_pretrained(config.model);
  std::map<std::string, Shape> shapes;
  for (const ExpectedTensor& e : expected_tensors(model)) shapes[e.name] = e.shape;
  PartPlan parts[3] = {{0, config.rates.vision_encoder}, {0, config.rates.projector}, {0, config.rates.llm}};
  ModelWeights weights;
  visit(weights, model, [&](const std::string& name, const Tensor&, Part part) {
    parts[static_cast<size_t>(part)].parameters += num_elements(shapes.at(name));
  });
  Json json = {{"settings", config.to_json()}};
  const char* names[] = {"vision_encoder", "projector", "llm"};
  int64_t trained = 0, all = 0;
  for (size_t i = 0; i < 3; ++i) {
    json["parts"][names[i]] = {{"parameters", parts[i].parameters}, {"trains", parts[i].rate.has_value()}};
    if (parts[i].rate) json["parts"][names[i]]["rate"] = *parts[i].rate;
    all += parts[i].parameters;
    trained += parts[i].rate ? parts[i].parameters : 0;
  }
  const auto batches = config.data[0].tensors.empty() ? row_batches(config, {}) : tensor_batches(config);
  const int64_t epoch = batches->steps_per_epoch();
  const int64_t steps =
      config.steps > 0
          ? config.steps
          : std::max<int64_t>(1, static_cast<int64_t>(std::ceil(config.epochs * static_cast<double>(epoch))));
  json["steps"] = steps;
  if (epoch > 0) json["steps_per_epoch"] = epoch;
  json["warmup_steps"] = warmup_steps(config, steps);
  json["schedule"] = Json::array();
  for (const int64_t at : {int64_t{0}, steps / 4, steps / 2, steps * 3 / 4, steps - 1})
    json["schedule"].push_back({{"step", at + 1}, {"factor", schedule_factor(config, at, steps)}});
  // Master weights, gradients and two moments, and the bf16 values beside them; frozen weights stay in the
  // file's mapping.
  const int64_t each = config.dtype == "bf16" ? 18 : 16;
  json["memory_bytes"] = {{"weights_and_optimizer", trained * each},
                          {"frozen_weights", (all - trained) * 4},
                          {"note", "activations come on top; recompute keeps one layer's"}};
  return json;
}

}  // namespace vl3
