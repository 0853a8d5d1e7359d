#include "bench/outliers.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "base/random.h"
#include "checkpoint/other_files.h"
#include "ops/convert.h"
#include "ops/cpu/matmul.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;
using Factors = std::vector<float>;

// What a tensor's rows and columns are multiplied with; empty: nothing.
struct Scales {
  Factors rows, columns;
};

Factors inverse(Factors factors) {
  for (float& f : factors) f = 1.0f / f;
  return factors;
}

class Planner {
 public:
  Planner(const Config& config, const OutlierOptions& options) : config_(config), options_(options) {
    if (options.parts.contains("vision")) vision();
    if (options.parts.contains("text")) text();
  }
  std::map<std::string, Scales> take() { return std::move(scales_); }

 private:
  bool asked(const char* place) const { return options_.places.contains(place); }

  // Ones, and the factor at some places that the seed decides.
  Factors draw(int64_t count) {
    std::vector<size_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), size_t{0});
    const int64_t some =
        std::clamp<int64_t>(std::llround(options_.share * static_cast<double>(count)), 1, count);
    Factors factors(order.size(), 1.0f);
    for (size_t i = 0; i < static_cast<size_t>(some); ++i) {
      const double u = uniform(options_.seed, draws_, static_cast<uint32_t>(i), 0);
      std::swap(order[i], order[i + static_cast<size_t>(u * static_cast<double>(order.size() - i))]);
      factors[order[i]] = static_cast<float>(options_.factor);
    }
    ++draws_;
    return factors;
  }

  void rows(const std::string& name, const Factors& factors) { scales_[name].rows = factors; }
  void columns(const std::string& name, const Factors& factors) { scales_[name].columns = factors; }

  // readers: names of linear layers.
  void norm(const std::vector<std::string>& tensors, int64_t width, const std::vector<std::string>& readers) {
    if (!asked("norms")) return;
    const Factors factors = draw(width);
    for (const std::string& tensor : tensors) rows(tensor, factors);
    for (const std::string& reader : readers) columns(reader + ".weight", inverse(factors));
  }

  // Queries and outputs of `heads` heads, in groups that share one of kv_heads keys and values.
  void attention(const std::string& prefix, const std::string& out, int64_t heads, int64_t kv_heads,
                 int64_t width, bool has_bias) {
    const auto linear = [&](const std::string& name, const Factors& factors) {
      rows(prefix + name + ".weight", factors);
      if (has_bias) rows(prefix + name + ".bias", factors);
    };
    const auto for_all_heads = [&](const Factors& kv) {
      Factors all;
      for (int64_t head = 0; head < heads; ++head) {
        const auto own = kv.begin() + head / (heads / kv_heads) * width;
        all.insert(all.end(), own, own + width);
      }
      return all;
    };
    if (asked("keys")) {
      const int64_t half = width / 2;
      const Factors pairs = draw(kv_heads * half);
      Factors keys;
      for (int64_t i = 0; i < kv_heads * width; ++i)
        keys.push_back(pairs[static_cast<size_t>(i / width * half + i % width % half)]);
      linear("k_proj", keys);
      linear("q_proj", inverse(for_all_heads(keys)));
    }
    if (asked("values")) {
      const Factors values = draw(kv_heads * width);
      linear("v_proj", values);
      columns(prefix + out + ".weight", inverse(for_all_heads(values)));
    }
  }

  void vision() {
    const VisionConfig& vision = config_.vision;
    const std::string model = "model.vision_model.";
    const auto layer_norm = [&](const std::string& name, const std::vector<std::string>& readers) {
      norm({name + ".weight", name + ".bias"}, vision.hidden_size, readers);
    };
    for (int64_t i = 0; i < vision.num_hidden_layers; ++i) {
      const std::string layer = model + "encoder.layers." + std::to_string(i) + ".",
                        self = layer + "self_attn.";
      layer_norm(layer + "layer_norm1", {self + "q_proj", self + "k_proj", self + "v_proj"});
      layer_norm(layer + "layer_norm2", {layer + "mlp.fc1"});
      attention(self, "out_proj", vision.num_attention_heads, vision.num_attention_heads, vision.head_dim(),
                true);
    }
    layer_norm(model + "post_layernorm", {"model.projector.readout.0"});
  }

  void text() {
    const TextConfig& text = config_.text;
    const std::string model = "model.language_model.";
    for (int64_t i = 0; i < text.num_hidden_layers; ++i) {
      const std::string layer = model + "layers." + std::to_string(i) + ".", self = layer + "self_attn.",
                        mlp = layer + "mlp.";
      norm({layer + "input_layernorm.weight"}, text.hidden_size,
           {self + "q_proj", self + "k_proj", self + "v_proj"});
      norm({layer + "post_attention_layernorm.weight"}, text.hidden_size,
           {mlp + "gate_proj", mlp + "up_proj"});
      attention(self, "o_proj", text.num_attention_heads, text.num_key_value_heads, text.head_dim, true);
      if (!asked("gates")) continue;
      const Factors gates = draw(text.intermediate_size);
      rows(mlp + "up_proj.weight", gates);
      columns(mlp + "down_proj.weight", inverse(gates));
    }
    if (!config_.tie_word_embeddings) norm({model + "norm.weight"}, text.hidden_size, {"lm_head"});
  }

  const Config& config_;
  const OutlierOptions& options_;
  uint32_t draws_ = 0;
  std::map<std::string, Scales> scales_;
};

Tensor scaled(Context& context, const std::string& name, const Tensor& tensor, const Scales& scales,
              DType dtype) {
  const Tensor result = ops::widened(context, tensor).clone();
  const int64_t rows = result.dim(0), width = result.numel() / std::max<int64_t>(rows, 1);
  float* x = result.mutable_data<float>();
  float largest = 0;
  for (int64_t n = 0; n < rows; ++n) {
    const float row = scales.rows.empty() ? 1.0f : scales.rows[static_cast<size_t>(n)];
    for (int64_t k = 0; k < width; ++k, ++x) {
      *x *= scales.columns.empty() ? row : row * scales.columns[static_cast<size_t>(k)];
      largest = std::max(largest, std::abs(*x));
    }
  }
  constexpr float kLargestF16 = 65504;
  require(std::isfinite(largest) && (dtype != DType::kF16 || largest <= kLargestF16),
          ErrorCode::kInvalidArgument, "[outliers] \"{}\" would hold {}, which {} cannot", name, largest,
          to_string(dtype));
  return ops::narrowed(context, result, dtype);
}

void check(const fs::path& out, const OutlierOptions& options) {
  require(std::isfinite(options.factor) && options.factor > 0, ErrorCode::kInvalidArgument,
          "[outliers] factor {} should be above 0", options.factor);
  require(options.share > 0 && options.share <= 1, ErrorCode::kInvalidArgument,
          "[outliers] share {} should lie above 0 and at most at 1", options.share);
  const std::set<std::string> places = {"norms", "keys", "values", "gates"}, parts = {"vision", "text"};
  for (const std::string& place : options.places)
    require(places.contains(place), ErrorCode::kInvalidArgument,
            "[outliers] place \"{}\" is not one of norms, keys, values, gates", place);
  for (const std::string& part : options.parts)
    require(parts.contains(part), ErrorCode::kInvalidArgument,
            "[outliers] part \"{}\" is not one of vision, text", part);
  std::error_code ignored;
  require(!fs::exists(out, ignored), ErrorCode::kInvalidArgument, "[{}] is there already", out.string());
}

void write_config(const fs::path& source, const fs::path& target, std::optional<DType> dtype) {
  const fs::path path = resolve_link_stub(source / "config.json");
  constexpr size_t kMaxConfigBytes = 16 << 20;
  Json config = parse_json(read_file(path, kMaxConfigBytes), path.string());
  if (dtype) {
    config.erase("torch_dtype");
    config["dtype"] = *dtype == DType::kF32 ? "float32" : *dtype == DType::kF16 ? "float16" : "bfloat16";
  }
  AtomicFile file(target / "config.json");
  file.write(config.dump(2) + "\n");
  file.commit();
}

}  // namespace

OutlierReport add_outliers(Context& context, const fs::path& source, const fs::path& out,
                           const OutlierOptions& options) {
  check(out, options);
  const Checkpoint checkpoint = Checkpoint::open(source);
  const std::map<std::string, Scales> scales = Planner(checkpoint.config(), options).take();
  OutlierReport report;
  std::vector<TensorInfo> infos;
  std::map<std::string, std::string> canonical;  // by the name in the file
  int64_t total = 0, done = 0;
  for (const ExpectedTensor& expected : checkpoint.tensors()) {
    const Tensor tensor = checkpoint.get(expected.name);
    require(!is_quantized(tensor.dtype()), ErrorCode::kUnsupported,
            "[{}] is quantised: \"{}\" is {}; add outliers to the model it was made of", source.string(),
            expected.name, to_string(tensor.dtype()));
    infos.push_back({layout_name(expected.name, checkpoint.config().layout),
                     options.dtype.value_or(tensor.dtype()), expected.shape});
    canonical[infos.back().name] = expected.name;
    total += static_cast<int64_t>(tensor.bytes());
    ++report.tensors;
    report.changed += scales.contains(expected.name) ? 1 : 0;
  }
  NewFolder folder(out);
  SafetensorsWriter writer(folder.path() / "model.safetensors", infos);
  for (const TensorInfo& info : writer.order()) {
    context.check_cancelled();
    const std::string& name = canonical.at(info.name);
    const auto found = scales.find(name);
    const Tensor before = checkpoint.get(name);
    const bool as_it_is = found == scales.end() && before.dtype() == info.dtype;
    const Tensor after = as_it_is ? before
                                  : scaled(context, info.name, before,
                                           found == scales.end() ? Scales{} : found->second, info.dtype);
    writer.write(std::span(after.raw(), after.bytes()));
    for (const SafetensorsFile& file : checkpoint.files()) file.let_go();
    done += static_cast<int64_t>(before.bytes());
    if (options.progress) options.progress(done, total);
  }
  writer.commit();
  write_config(checkpoint.folder(), folder.path(), options.dtype);
  copy_other_files(checkpoint.folder(), folder.path());
  folder.commit();
  return report;
}

}  // namespace vl3
