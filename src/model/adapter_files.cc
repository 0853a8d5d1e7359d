// The two files of an adapter, as PEFT writes them.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "model/adapters.h"
#include "ops/cpu/kernels/kernels.h"
#include "ops/cpu/matmul.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";
constexpr uint64_t kMaxConfigBytes = 16 << 20;
constexpr int64_t kMaxRank = 1 << 16;
constexpr std::string_view kPrefix = "base_model.model.", kA = ".lora_A.weight", kB = ".lora_B.weight";

// Settings of PEFT that change what is computed and must be off.
constexpr const char* kRefused[] = {"use_dora",          "use_qalora",
                                    "lora_bias",         "rank_pattern",
                                    "alpha_pattern",     "layer_replication",
                                    "use_bdlora",        "alora_invocation_tokens",
                                    "target_parameters", "trainable_token_indices",
                                    "arrow_config",      "fan_in_fan_out"};

bool is_off(const Json& value) {
  return value.is_null() || value == false || ((value.is_object() || value.is_array()) && value.empty());
}

void refuse(const JsonView& view) {
  for (const char* key : kRefused) {
    require(!view.has(key) || is_off(view.json()[key]), ErrorCode::kUnsupported,
            "[{}] \"{}\" is {}: this is not supported", view.origin(), key,
            view.has(key) ? shown(view.json()[key]) : "");
  }
  // These begin by changing the model's own weights, which the adapter alone does not tell.
  static constexpr std::string_view kKeepBase[] = {"gaussian", "eva", "orthogonal"};
  const Json* start = view.find("init_lora_weights");
  const bool fine = start == nullptr || start->is_boolean() ||
                    (start->is_string() && std::find(std::begin(kKeepBase), std::end(kKeepBase),
                                                     start->get<std::string>()) != std::end(kKeepBase));
  require(fine, ErrorCode::kUnsupported,
          "[{}] \"init_lora_weights\" is {}: adapters that begin by changing the model's weights are not "
          "supported; PEFT can save them as plain ones (path_initial_model_for_weight_conversion)",
          view.origin(), start == nullptr ? "" : shown(*start));
}

Adapter read_config(const fs::path& path) {
  const Json json = parse_json(read_file(path, kMaxConfigBytes), path.string());
  const JsonView view(json, path.string());
  const std::string method = view.string("peft_type", "");
  require(method == "LORA", ErrorCode::kUnsupported, "[{}] \"peft_type\" is \"{}\", not \"LORA\"",
          view.origin(), method);
  const std::string bias = view.string("bias", "none");
  require(bias == "none", ErrorCode::kUnsupported, "[{}] \"bias\" is \"{}\"; only \"none\" is supported",
          view.origin(), bias);
  refuse(view);
  Adapter adapter;
  adapter.rank = view.integer("r", 8, 1, kMaxRank);
  adapter.alpha = view.number("lora_alpha", 8);
  require(std::isfinite(adapter.alpha), ErrorCode::kFormat, "[{}] \"lora_alpha\" is no number",
          view.origin());
  adapter.rslora = view.boolean("use_rslora", false);
  adapter.dropout = view.number("lora_dropout", 0);
  require(adapter.dropout >= 0 && adapter.dropout < 1, ErrorCode::kFormat,
          "[{}] \"lora_dropout\" is {}; it should be from 0 to below 1", view.origin(), adapter.dropout);
  adapter.base_model = view.string("base_model_name_or_path", "");
  return adapter;
}

Tensor as_f32(const Tensor& stored) {
  Tensor wide = Tensor::empty(stored.shape(), DType::kF32);
  baseline_kernels()->widen(stored.raw(), ops::weight_type(stored), stored.numel(),
                            wide.mutable_data<float>());
  return wide;
}

// The tensors of the file, sorted into adapter; what is wrong with them goes to problems.
class Sorter {
 public:
  Sorter(const Config& config, Adapter& adapter) : adapter_(adapter) {
    for (const ExpectedTensor& e : expected_tensors(config)) shapes_[e.name] = e.shape;
    for (const AdaptableLayer& layer : adaptable_layers(config)) layers_[layer.name] = layer;
  }
  void take(const std::string& name, const Tensor& tensor) {
    const DType dtype = tensor.dtype();
    if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16) {
      problems_.push_back(fmt::format("\"{}\" is {}, not f32, bf16 or f16", name, to_string(dtype)));
    } else if (!name.starts_with(kPrefix)) {
      problems_.push_back(fmt::format("\"{}\" does not begin with \"{}\"", name, kPrefix));
    } else {
      const std::string inner = canonical_name(std::string_view(name).substr(kPrefix.size()));
      if (inner.ends_with(kA) || inner.ends_with(kB))
        take_half(name, inner, tensor);
      else
        take_whole(name, inner, tensor);
    }
  }
  std::vector<std::string> problems() {
    for (const auto& [name, layer] : adapter_.layers) {
      if (!layer.a.defined() || !layer.b.defined())
        problems_.push_back(fmt::format("{} has no lora_{}", name, layer.a.defined() ? "B" : "A"));
    }
    if (adapter_.layers.empty() && problems_.empty()) problems_.push_back("there is no lora_A in it");
    return problems_;
  }

 private:
  void take_half(const std::string& name, const std::string& inner, const Tensor& tensor) {
    const std::string layer = inner.substr(0, inner.size() - kA.size());
    const auto found = layers_.find(layer);
    if (found == layers_.end()) {
      problems_.push_back(
          fmt::format("\"{}\" is of no linear layer of this model that can be adapted", name));
      return;
    }
    const bool first = inner.ends_with(kA);
    const Shape wanted =
        first ? Shape{adapter_.rank, found->second.k} : Shape{found->second.n, adapter_.rank};
    if (tensor.shape() != wanted) {
      problems_.push_back(
          fmt::format("\"{}\" is {}, not {}", name, to_string(tensor.shape()), to_string(wanted)));
      return;
    }
    AdapterLayer& target = adapter_.layers[layer];
    (first ? target.a : target.b) = as_f32(tensor);
  }
  void take_whole(const std::string& name, const std::string& inner, const Tensor& tensor) {
    const auto found = shapes_.find(inner);
    if (found == shapes_.end())
      problems_.push_back(fmt::format("\"{}\" is no tensor of this model", name));
    else if (found->second != tensor.shape())
      problems_.push_back(
          fmt::format("\"{}\" is {}, not {}", name, to_string(tensor.shape()), to_string(found->second)));
    else
      adapter_.whole[inner] = tensor;
  }

  Adapter& adapter_;
  std::map<std::string, Shape> shapes_;
  std::map<std::string, AdaptableLayer> layers_;
  std::vector<std::string> problems_;
};

// The modules that PEFT would wrap for these tensors: a part of the model, or else what holds the tensor.
std::string module_of(const std::string& tensor, const Config& config) {
  for (const std::string part : {"model.vision_model", "model.projector"}) {
    if (!tensor.starts_with(part + ".")) continue;
    const std::string name = layout_name(part + ".", config.layout);
    return name.substr(0, name.size() - 1);
  }
  const std::string name = layout_name(tensor, config.layout);
  return name.substr(0, name.rfind('.'));
}

Json as_json(const Adapter& adapter, const Config& config) {
  Json targets = Json::array();
  for (const auto& [name, layer] : adapter.layers) targets.push_back(layout_name(name, config.layout));
  std::set<std::string> modules;
  for (const auto& [name, tensor] : adapter.whole) modules.insert(module_of(name, config));
  const double whole = std::round(adapter.alpha);
  return {{"alpha_pattern", Json::object()},
          {"auto_mapping", nullptr},
          {"base_model_name_or_path", adapter.base_model},
          {"bias", "none"},
          {"fan_in_fan_out", false},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"lora_alpha", whole == adapter.alpha ? Json(static_cast<int64_t>(whole)) : Json(adapter.alpha)},
          {"lora_dropout", adapter.dropout},
          {"modules_to_save", modules.empty() ? Json() : Json(modules)},
          {"peft_type", "LORA"},
          {"r", adapter.rank},
          {"rank_pattern", Json::object()},
          {"target_modules", targets},
          {"task_type", nullptr},
          {"use_dora", false},
          {"use_rslora", adapter.rslora}};
}

}  // namespace

Adapter Adapter::open(const fs::path& folder, const Config& config) {
  std::error_code ignored;
  require(fs::is_directory(folder, ignored), ErrorCode::kNotFound, "[{}] there is no such adapter folder",
          folder.string());
  require(fs::exists(folder / kConfigFile, ignored), ErrorCode::kNotFound,
          "[{}] has no {}: it is no adapter folder", folder.string(), kConfigFile);
  Adapter adapter = read_config(folder / kConfigFile);
  const fs::path path = folder / kWeightsFile;
  require(fs::exists(path, ignored) || !fs::exists(folder / "adapter_model.bin", ignored),
          ErrorCode::kUnsupported,
          "[{}] holds its weights in adapter_model.bin, which can run code when it is opened; save it again "
          "with safe_serialization",
          folder.string());
  const SafetensorsFile file = SafetensorsFile::open(path);
  Sorter sorter(config, adapter);
  for (const TensorInfo& info : file.tensors()) sorter.take(info.name, file.get(info.name));
  std::vector<std::string> problems = sorter.problems();
  constexpr size_t kShown = 10;
  const size_t count = problems.size();
  if (count > kShown) problems.resize(kShown);
  require(count == 0, ErrorCode::kFormat, "[{}] does not fit the model and {}: {}{}", path.string(),
          kConfigFile, fmt::join(problems, "; "),
          count > kShown ? fmt::format("; and {} more", count - kShown) : "");
  return adapter;
}

void Adapter::save(const fs::path& folder, const Config& config) const {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, layer] : layers) {
    const std::string stem = std::string(kPrefix) + layout_name(name, config.layout);
    tensors.emplace_back(stem + std::string(kA), layer.a);
    tensors.emplace_back(stem + std::string(kB), layer.b);
  }
  for (const auto& [name, tensor] : whole)
    tensors.emplace_back(std::string(kPrefix) + layout_name(name, config.layout), tensor);
  AtomicFile file(folder / kConfigFile);
  file.write(as_json(*this, config).dump(2) + "\n");
  file.commit();
  write_safetensors(folder / kWeightsFile, tensors);
}

}  // namespace vl3
