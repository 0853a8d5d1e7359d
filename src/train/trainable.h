#pragma once
// A model whose weights change: the same structs as any model's, over memory of its own.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/model_parts.h"
#include "model/parameters.h"
#include "vl3/adapter.h"
#include "vl3/checkpoint.h"
#include "vl3/context.h"
#include "vl3/model.h"
#include "vl3/train.h"

namespace vl3 {

// One tensor that trains. `value` is what the model computes with: the master itself, or the rounding to bf16
// of a master of f32. Moments are f32.
struct TrainedTensor {
  std::string name;  // canonical
  Part part = Part::kLanguageModel;
  Tensor value, master;
  Tensor m, v;        // AdamW's moments, zero at first
  int64_t steps = 0;  // that it has made
  bool decays() const { return value.rank() > 1; }
};

class Trainable {
 public:
  // Opens config.model: trained parts are copied into memory, frozen ones stay mapped, fresh ones are drawn.
  // With config.lora the layers that it names get an adapter, drawn as PEFT does (A uniform within 1/√K, B
  // 0) or the given one's, and it trains in place of their parts. Throws what Checkpoint::open and
  // Adapter::open throw; kUnsupported where a part that trains is quantised; kInvalidArgument for targets
  // that name nothing or are of a part without a rate.
  Trainable(Context& context, const TrainConfig& config);

  ForConditionalGeneration model() const { return model_of(config_, weights_); }
  const Config& config() const noexcept { return config_; }
  std::vector<TrainedTensor>& tensors() noexcept { return tensors_; }
  const std::vector<TrainedTensor>& tensors() const noexcept { return tensors_; }
  void watch(Tape& tape) const;

  // Before a pass through the network: which draws of dropout are its own.
  void begin_pass(int64_t step, size_t pass);
  // After masters changed: the values that the model computes with.
  void round_masters(Context& context);
  // config.json, model.safetensors in the model's layout, and what else was in its folder. With lora the
  // adapter alone, in which parts that train fully are whole.
  void save(const std::filesystem::path& folder) const;

 private:
  void add_adapter(const TrainConfig& config);

  std::filesystem::path source_;
  Config config_;
  std::shared_ptr<ModelWeights> weights_;
  std::vector<TrainedTensor> tensors_;
  std::optional<Adapter> adapter_;
  std::shared_ptr<ops::Dropout> dropout_;  // null: none
};

}  // namespace vl3
