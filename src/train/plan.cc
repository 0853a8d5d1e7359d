#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "model/cost.h"
#include "model/model_parts.h"
#include "model/parameters.h"
#include "train/data/batches.h"
#include "train/schedule.h"
#include "vl3/adapter.h"
#include "vl3/checkpoint.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

constexpr const char* kParts[] = {"vision_encoder", "projector", "llm"};

struct Plan {
  const TrainConfig& config;
  Config model;
  std::shared_ptr<ModelWeights> weights = std::make_shared<ModelWeights>();
  int64_t parameters[3] = {}, frozen_bytes = 0, trained = 0;
  // Of the adapter, which trains in place of the parts that it is on.
  int64_t rank = 0, adapted_layers = 0, adapter_parameters[3] = {};

  std::optional<double> rate(size_t part) const {
    const std::optional<double> all[] = {config.rates.vision_encoder, config.rates.projector,
                                         config.rates.llm};
    return all[part];
  }
};

// The layers of the configuration's adapter get one of memory that nobody touches.
void add_adapter(Plan& plan) {
  if (!plan.config.lora) return;
  const TrainLora& lora = *plan.config.lora;
  std::vector<AdaptableLayer> layers;
  plan.rank = lora.rank;
  if (lora.adapter.empty()) {
    layers = targeted_layers(plan.model, lora.targets);
  } else {
    const Adapter adapter = Adapter::open(lora.adapter, plan.model);
    plan.rank = adapter.rank;
    layers = adaptable_layers(plan.model);
    std::erase_if(layers, [&](const AdaptableLayer& l) { return !adapter.layers.contains(l.name); });
  }
  plan.adapted_layers = static_cast<int64_t>(layers.size());
  std::map<std::string, const AdaptableLayer*> named;
  for (const AdaptableLayer& l : layers) named[l.name] = &l;
  visit_linears(*plan.weights, plan.model, [&](const std::string& name, LinearWeights& layer, Part part) {
    const auto found = named.find(name);
    if (found == named.end()) return;
    const auto [n, k] = std::pair(found->second->n, found->second->k);
    layer.low_rank = std::make_shared<const ops::LowRank>(
        ops::LowRank{Tensor::empty({plan.rank, k}, DType::kF32), Tensor::empty({n, plan.rank}, DType::kF32)});
    plan.adapter_parameters[static_cast<size_t>(part)] += plan.rank * (n + k);
  });
}

// Weights as far as counting needs them: of those in the file the mapping, of fresh ones memory that nobody
// touches.
Plan open(const TrainConfig& config) {
  std::optional<Checkpoint> checkpoint;
  if (config.fresh.size() < 3) checkpoint = Checkpoint::open(config.model);
  Plan plan{config, checkpoint ? checkpoint->config() : Config::from_pretrained(config.model)};
  add_adapter(plan);
  std::map<std::string, Shape> shapes;
  for (const ExpectedTensor& e : expected_tensors(plan.model)) shapes[e.name] = e.shape;
  visit(*plan.weights, plan.model, [&](const std::string& name, Tensor& tensor, Part part) {
    const size_t p = static_cast<size_t>(part);
    tensor = config.fresh.contains(kParts[p]) ? Tensor::empty(shapes.at(name), DType::kF32)
                                              : checkpoint->get(name);
    const int64_t parameters = num_elements(shapes.at(name));
    plan.parameters[p] += parameters;
    if (plan.rate(p) && plan.adapter_parameters[p] == 0)
      plan.trained += parameters;
    else
      plan.frozen_bytes += static_cast<int64_t>(tensor.bytes());
  });
  if (plan.model.tie_word_embeddings) plan.weights->text.lm_head = plan.weights->text.embed_tokens;
  return plan;
}

void add_schedule(const TrainConfig& config, int64_t epoch, Json& json) {
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
}

void add_first_step(const Plan& plan, const StepBatch& batch, Json& json) {
  const ForConditionalGeneration network = model_of(plan.model, plan.weights);
  const TrainedParts trains{plan.rate(0).has_value(), plan.rate(1).has_value(), plan.rate(2).has_value()};
  const TrainingShape training{trains, plan.config.recompute, plan.config.lora.has_value()};
  int64_t activations = 0, patches = 0;
  double flops = 0;
  for (const ForwardInput& pass : batch.passes) {
    const PassShape shape = shape_of(pass);
    activations = std::max(activations, training_activation_bytes(plan.model, training, shape));
    patches += shape.patches;
    flops += training_flops(network, pass, trains);
  }
  json["first_step"] = {{"samples", batch.samples},      {"tokens", batch.tokens},
                        {"targets", batch.targets},      {"patches", patches},
                        {"passes", batch.passes.size()}, {"gflop", flops * 1e-9}};
  // Gradients, two moments and master weights of f32, with bf16 values beside them; or these alone. Frozen
  // weights stay in the file's mapping. Pixels: this step's, and the next one's as samples and put together.
  const int64_t weight_bytes = plan.config.dtype == "f32" ? 4 : plan.config.masters == "f32" ? 6 : 2;
  int64_t optimizer = plan.trained * (12 + weight_bytes);
  for (const int64_t parameters : plan.adapter_parameters) optimizer += 16 * parameters;  // always f32
  const int64_t pixels = 3 * 4 * patches * plan.model.vision.patch_width();
  json["memory_bytes"] = {{"weights_and_optimizer", optimizer},
                          {"frozen_weights", plan.frozen_bytes},
                          {"activations", activations},
                          {"batches", pixels},
                          {"total", optimizer + plan.frozen_bytes + activations + pixels}};
}

}  // namespace

Json plan_training(const TrainConfig& config, const TrainHooks& hooks) {
  const Plan plan = open(config);
  Json json = {{"settings", config.to_json()}};
  for (size_t i = 0; i < 3; ++i) {
    json["parts"][kParts[i]] = {{"parameters", plan.parameters[i]}, {"trains", plan.rate(i).has_value()}};
    if (plan.rate(i)) json["parts"][kParts[i]]["rate"] = *plan.rate(i);
  }
  if (config.lora) {
    const int64_t* each = plan.adapter_parameters;
    json["adapter"] = {
        {"layers", plan.adapted_layers}, {"rank", plan.rank}, {"parameters", each[0] + each[1] + each[2]}};
  }
  const auto batches = config.data[0].tensors.empty() ? row_batches(config, hooks) : tensor_batches(config);
  add_schedule(config, batches->steps_per_epoch(), json);
  add_first_step(plan, batches->at(0), json);
  return json;
}

}  // namespace vl3
