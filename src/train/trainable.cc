#include "train/trainable.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>

#include "autograd/tape.h"
#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "checkpoint/other_files.h"
#include "model/adapters.h"
#include "ops/convert.h"
#include "tensor/quantized.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

bool trains(const TrainRates& rates, Part part) {
  const std::optional<double> all[] = {rates.vision_encoder, rates.projector, rates.llm};
  return all[static_cast<size_t>(part)].has_value();
}

// Norms 1, biases 0, all else normal with the given deviation, by the seed and the tensor's name alone.
void draw(const std::string& name, const Shape& shape, double deviation, uint64_t seed, Tensor& target) {
  const bool norm = shape.size() == 1 && name.ends_with("weight");
  std::fill_n(target.mutable_data<float>(), target.numel(), norm ? 1.0f : 0.0f);
  if (shape.size() == 1) return;
  uint32_t stream = 0;
  for (const unsigned char c : name) stream = (stream ^ c) * 16777619u;  // FNV-1a
  for (int64_t i = 0; i < target.numel(); ++i) {
    const auto index = static_cast<uint32_t>(i), high = static_cast<uint32_t>(i >> 32);
    const double radius = std::sqrt(-2 * std::log(uniform(seed, stream, 2 * high, index))),
                 angle = 2 * std::numbers::pi * uniform(seed, stream, 2 * high + 1, index);
    target.mutable_data<float>()[i] = static_cast<float>(deviation * radius * std::cos(angle));
  }
}

// A as PEFT begins with it, Kaiming's uniform distribution with a = √5: within 1/√K.
Tensor drawn_a(const std::string& name, int64_t rank, int64_t k, uint64_t seed) {
  Tensor a = Tensor::empty({rank, k}, DType::kF32);
  const double limit = 1 / std::sqrt(static_cast<double>(k));
  for (int64_t i = 0; i < a.numel(); ++i) {
    const auto index = static_cast<uint32_t>(i), high = static_cast<uint32_t>(i >> 32);
    const double u = uniform(seed, dropout_stream(name + ".lora_A"), high, index);
    a.mutable_data<float>()[i] = static_cast<float>((2 * u - 1) * limit);
  }
  return a;
}

// The adapter to train, if any: the given one or a new one. The parts that its layers are of.
std::set<std::string> prepare_adapter(const TrainConfig& config, const Config& model,
                                      std::optional<Adapter>& adapter) {
  std::set<std::string> adapted;
  if (!config.lora) return adapted;
  const TrainLora& lora = *config.lora;
  std::vector<AdaptableLayer> layers;
  if (!lora.adapter.empty()) {
    adapter = Adapter::open(lora.adapter, model);
    for (AdaptableLayer& layer : adaptable_layers(model)) {
      if (adapter->layers.contains(layer.name)) layers.push_back(std::move(layer));
    }
  } else {
    adapter.emplace();
    adapter->rank = lora.rank;
    adapter->alpha = lora.alpha;
    layers = targeted_layers(model, lora.targets);
    for (const AdaptableLayer& l : layers) {
      adapter->layers[l.name] = {drawn_a(l.name, lora.rank, l.k, config.seed),
                                 Tensor::zeros({l.n, lora.rank}, DType::kF32)};
    }
  }
  adapter->dropout = lora.dropout;
  adapter->base_model = config.model.string();
  for (const AdaptableLayer& l : layers) adapted.emplace(l.part);
  for (const std::string& part : adapted) {
    const std::optional<double>& rate = part == "llm"         ? config.rates.llm
                                        : part == "projector" ? config.rates.projector
                                                              : config.rates.vision_encoder;
    require(rate.has_value(), ErrorCode::kInvalidArgument,
            "[train] \"lora\" is on layers of {0}, but \"rates\" has no \"{0}\"", part);
  }
  for (const std::string& part : config.fresh) {
    const bool whole =
        !adapted.contains(part) &&
        (part == "projector" ? config.rates.projector : config.rates.vision_encoder).has_value();
    require(part != "llm" && whole, ErrorCode::kInvalidArgument,
            "[train] \"fresh\" has {}, whose new weights an adapter would not hold", part);
  }
  return adapted;
}

}  // namespace

Trainable::Trainable(Context& context, const TrainConfig& config)
    : source_(config.model), weights_(std::make_shared<ModelWeights>()) {
  const bool all_fresh = config.fresh.size() == 3;  // then a folder without weights will do
  std::optional<Checkpoint> checkpoint;
  if (!all_fresh) checkpoint = Checkpoint::open(config.model);
  config_ = checkpoint ? checkpoint->config() : Config::from_pretrained(config.model);
  if (checkpoint) source_ = checkpoint->folder();
  std::vector<ExpectedTensor> expected = expected_tensors(config_);
  std::map<std::string, Shape> shapes;
  for (const ExpectedTensor& e : expected) shapes[e.name] = e.shape;

  const std::set<std::string> adapted = prepare_adapter(config, config_, adapter_);
  const bool rounded = config.dtype == "bf16";
  visit(*weights_, config_, [&](const std::string& name, Tensor& tensor, Part part) {
    const bool fresh = config.fresh.contains(part_name(part));
    const double deviation =
        part == Part::kVisionEncoder ? config_.vision.initializer_range : config_.text.initializer_range;
    const bool learns = trains(config.rates, part) && !adapted.contains(part_name(part));
    const bool replaced = adapter_ && adapter_->whole.contains(name);
    const Tensor stored = fresh ? Tensor() : replaced ? adapter_->whole.at(name) : checkpoint->get(name);
    if (!learns && !fresh) {
      tensor = stored;
      return;
    }
    require(fresh || !is_quantized(stored.dtype()), ErrorCode::kUnsupported,
            "[train] \"{}\" of {} is {}; quantised weights cannot be trained", name, config.model.string(),
            to_string(stored.dtype()));
    TrainedTensor t{name, part};
    t.master = Tensor::empty(shapes.at(name), DType::kF32);
    if (fresh)
      draw(name, shapes.at(name), deviation, config.seed, t.master);
    else
      ops::widen_into(context, stored, t.master);
    t.value = rounded ? Tensor::empty(t.master.shape(), DType::kBF16) : t.master;
    tensor = t.value;
    if (!learns || config.masters == "bf16") {
      if (rounded) ops::narrow_into(context, t.master, t.value);
      t.master = t.value;
    }
    if (!learns) return;  // fresh and frozen
    t.m = Tensor::zeros(t.master.shape(), DType::kF32);
    t.v = Tensor::zeros(t.master.shape(), DType::kF32);
    tensors_.push_back(std::move(t));
  });
  if (config_.tie_word_embeddings) weights_->text.lm_head = weights_->text.embed_tokens;
  if (adapter_) add_adapter(config);
  round_masters(context);
}

void Trainable::add_adapter(const TrainConfig& config) {
  if (adapter_->dropout > 0)
    dropout_ = std::make_shared<ops::Dropout>(ops::Dropout{adapter_->dropout, config.seed, 0, 0});
  // The names of what trains fully: the adapter holds these tensors, too.
  for (const TrainedTensor& t : tensors_) adapter_->whole[t.name] = t.value;
  attach(*adapter_, config_, *weights_, dropout_);
  for (const AdaptableLayer& layer : adaptable_layers(config_)) {
    const auto found = adapter_->layers.find(layer.name);
    if (found == adapter_->layers.end()) continue;
    const Part part = layer.part == "llm"         ? Part::kLanguageModel
                      : layer.part == "projector" ? Part::kProjector
                                                  : Part::kVisionEncoder;
    for (const auto& [end, half] :
         {std::pair(".lora_A.weight", found->second.a), std::pair(".lora_B.weight", found->second.b)}) {
      TrainedTensor t{layer.name + end, part, half, half};
      t.m = Tensor::zeros(half.shape(), DType::kF32);
      t.v = Tensor::zeros(half.shape(), DType::kF32);
      tensors_.push_back(std::move(t));
    }
  }
}

void Trainable::begin_pass(int64_t step, size_t pass) {
  if (!dropout_) return;
  dropout_->step = static_cast<uint32_t>(step);
  dropout_->pass = static_cast<uint32_t>(pass);
}

void Trainable::watch(Tape& tape) const {
  for (const TrainedTensor& t : tensors_) tape.watch(t.value);
}

void Trainable::round_masters(Context& context) {
  for (TrainedTensor& t : tensors_) {
    if (t.value.dtype() != t.master.dtype()) ops::narrow_into(context, t.master, t.value);
  }
}

void Trainable::save(const fs::path& folder) const {
  if (adapter_) return adapter_->save(folder, config_);
  std::vector<std::pair<std::string, Tensor>> tensors;
  ModelWeights weights = *weights_;  // the tensors' memory is not copied
  visit(weights, config_, [&](const std::string& name, const Tensor& tensor, Part) {
    tensors.emplace_back(layout_name(name, config_.layout), tensor);
  });
  copy_other_files(source_, folder);
  const fs::path source = resolve_link_stub(source_ / "config.json");
  Json json = parse_json(read_file(source, 16 << 20), source.string());
  const std::string dtype = weights.text.embed_tokens.dtype() == DType::kBF16  ? "bfloat16"
                            : weights.text.embed_tokens.dtype() == DType::kF16 ? "float16"
                                                                               : "float32";
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (json.contains(key)) json[key] = dtype;
  }
  AtomicFile file(folder / "config.json");
  file.write(json.dump(2) + "\n");
  file.commit();
  write_safetensors(folder / "model.safetensors", tensors);
}

}  // namespace vl3
