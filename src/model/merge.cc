// An adapter's product in a model's own weights.

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "checkpoint/other_files.h"
#include "model/adapters.h"
#include "ops/convert.h"
#include "ops/cpu/matmul.h"
#include "tensor/quantized.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

// The layer of the adapter that changes this tensor; null for none.
const AdapterLayer* layer_of(const Adapter& adapter, const std::string& tensor) {
  constexpr std::string_view kEnding = ".weight";
  if (!tensor.ends_with(kEnding)) return nullptr;
  const auto found = adapter.layers.find(tensor.substr(0, tensor.size() - kEnding.size()));
  return found == adapter.layers.end() ? nullptr : &found->second;
}

// Weights that another program packed are written as plain ones: what said how they were packed goes.
std::string config_of_dense_weights(const std::string& text, const std::string& origin) {
  Json json = parse_json(text, origin);
  const JsonView view(json, origin);
  if (!view.has("quantization_config") ||
      view.child("quantization_config").string("quant_method", "") == "videollama3")
    return text;
  json.erase("quantization_config");
  return json.dump(2) + "\n";
}

}  // namespace

Tensor merged(Context& context, const std::string& name, const Tensor& weight, const AdapterLayer& layer,
              float scale) {
  require(!is_quantized(weight.dtype()), ErrorCode::kUnsupported,
          "[merge] \"{}\" is {}: merge into the model that was quantised, then quantise the result", name,
          to_string(weight.dtype()));
  // The rows of Aᵀ are what B's are multiplied with.
  const Tensor at = ops::transposed(context, layer.a);  // [K, r]
  Tensor sum = Tensor::empty(weight.shape(), DType::kF32);
  ops::matmul(context, layer.b.data<float>(), layer.b.dim(0), layer.b.dim(1), at, sum.mutable_data<float>());
  const Tensor wide = ops::widened(context, weight);
  const float* w = wide.data<float>();
  for (int64_t i = 0; i < sum.numel(); ++i)
    sum.mutable_data<float>()[i] = w[i] + scale * sum.data<float>()[i];
  return ops::narrowed(context, sum, weight.dtype());
}

MergeReport merge_adapter(Context& context, const fs::path& model, const fs::path& adapter_folder,
                          const fs::path& out, const MergeOptions& options) {
  std::error_code ignored;
  require(!fs::exists(out, ignored), ErrorCode::kInvalidArgument, "[{}] is there already", out.string());
  const Checkpoint checkpoint = Checkpoint::open(model);
  const Config& config = checkpoint.config();
  const Adapter adapter = Adapter::open(adapter_folder, config);
  MergeReport report;
  std::vector<TensorInfo> infos;
  std::map<std::string, std::string> canonical;  // by the name in the file
  int64_t total = 0, done = 0;
  const auto source = [&](const std::string& name) {
    const auto found = adapter.whole.find(name);
    return found == adapter.whole.end() ? checkpoint.get(name) : found->second;
  };
  for (const ExpectedTensor& expected : checkpoint.tensors()) {
    const Tensor tensor = source(expected.name);
    infos.push_back({layout_name(expected.name, config.layout), tensor.dtype(), expected.shape});
    canonical[infos.back().name] = expected.name;
    total += static_cast<int64_t>(tensor.bytes());
    ++report.tensors;
    report.merged += layer_of(adapter, expected.name) != nullptr ? 1 : 0;
    report.replaced += adapter.whole.contains(expected.name) ? 1 : 0;
  }
  NewFolder folder(out);
  SafetensorsWriter writer(folder.path() / "model.safetensors", infos, {{"format", "pt"}});
  for (const TensorInfo& info : writer.order()) {
    context.check_cancelled();
    const std::string& name = canonical.at(info.name);
    const AdapterLayer* layer = layer_of(adapter, name);
    const Tensor before = source(name);
    const Tensor after =
        layer == nullptr ? before : merged(context, info.name, before, *layer, adapter.scale());
    writer.write(std::span(after.raw(), after.bytes()));
    for (const SafetensorsFile& file : checkpoint.files()) file.let_go();
    done += static_cast<int64_t>(before.bytes());
    if (options.progress) options.progress(done, total);
  }
  writer.commit();
  const std::string text = read_file(resolve_link_stub(checkpoint.folder() / "config.json"), 16 << 20);
  AtomicFile file(folder.path() / "config.json");
  file.write(config_of_dense_weights(text, checkpoint.folder().string()));
  file.commit();
  copy_other_files(checkpoint.folder(), folder.path());
  folder.commit();
  return report;
}

}  // namespace vl3
