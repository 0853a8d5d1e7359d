#include "vl3/quantize.h"

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "checkpoint/column_scales.h"
#include "checkpoint/folder_files.h"
#include "checkpoint/gptq.h"
#include "tensor/quantized.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = 16 << 20;

std::string part_of(std::string_view canonical) {
  if (canonical == "lm_head.weight" || canonical == "model.language_model.embed_tokens.weight") return "head";
  if (canonical.starts_with("model.vision_model.")) return "vision";
  return canonical.starts_with("model.projector.") ? "projector" : "text";
}

void check(const fs::path& out, const QuantizeOptions& options) {
  require(is_quantized(options.to), ErrorCode::kInvalidArgument,
          "[quantize] to {}: int8 and int4 can be made", to_string(options.to));
  for (const std::string& part : options.keep) {
    require(part == "vision" || part == "projector" || part == "text" || part == "head",
            ErrorCode::kInvalidArgument, "[quantize] keep \"{}\" is not one of vision, projector, text, head",
            part);
  }
  std::error_code ignored;
  require(!fs::exists(out, ignored), ErrorCode::kInvalidArgument, "[{}] is there already", out.string());
}

void write_config(const fs::path& source, const fs::path& target, const QuantizeOptions& options) {
  const fs::path path = resolve_link_stub(source / "config.json");
  Json config = parse_json(read_file(path, kMaxConfigBytes), path.string());
  config["quantization_config"] = {{"quant_method", "videollama3"},
                                   {"bits", options.to == DType::kInt8 ? 8 : 4},
                                   {"modules_to_not_convert", options.keep}};
  AtomicFile file(target / "config.json");
  file.write(config.dump(2) + "\n");
  file.commit();
}

}  // namespace

namespace {

// The dtype of every tensor in the new file.
class Types {
 public:
  Types(const Checkpoint& checkpoint, const QuantizeOptions& options) : options_(options) {
    if (options.to == DType::kInt4) spend_bits(checkpoint);
  }
  DType of(const ExpectedTensor& tensor, DType before) const {
    if (tensor.shape.size() != 2 || options_.keep.contains(part_of(tensor.name))) return before;
    return int8_.contains(tensor.name) ? DType::kInt8 : options_.to;
  }

 private:
  // Values and outputs of attention become int8 as long as the language model keeps to its bits.
  void spend_bits(const Checkpoint& checkpoint) {
    int64_t weights = 0, bytes = 0;
    for (const ExpectedTensor& tensor : checkpoint.tensors()) {
      const std::string part = part_of(tensor.name);
      if (tensor.shape.size() != 2 || (part != "text" && part != "head") || options_.keep.contains(part))
        continue;
      weights += num_elements(tensor.shape);
      bytes += bytes_of(DType::kInt4, tensor.shape);
    }
    const auto most = static_cast<int64_t>(options_.bits / 8 * static_cast<double>(weights));
    for (const std::string_view kind : {".self_attn.v_proj.weight", ".self_attn.o_proj.weight"}) {
      for (const ExpectedTensor& tensor : checkpoint.tensors()) {
        if (part_of(tensor.name) != "text" || !tensor.name.ends_with(kind) || options_.keep.contains("text"))
          continue;
        const int64_t more = bytes_of(DType::kInt8, tensor.shape) - bytes_of(DType::kInt4, tensor.shape);
        if (bytes + more > most) continue;
        bytes += more;
        int8_.insert(tensor.name);
      }
    }
  }

  const QuantizeOptions& options_;
  std::set<std::string> int8_;
};

class Quantizer {
 public:
  Quantizer(ThreadPool& threads, const Checkpoint& checkpoint, const QuantizeOptions& options)
      : threads_(threads),
        calibration_(options.calibration),
        exponents_(column_exponents(threads, checkpoint, options.calibration)) {}

  Tensor operator()(const Tensor& tensor, const std::string& canonical, DType dtype) const {
    QuantizedOptions options;
    if (const auto found = exponents_.find(canonical); found != exponents_.end())
      options.exponents = *found->second;
    const auto inputs = calibration_.find(canonical);
    std::optional<Gptq> gptq;
    if (inputs != calibration_.end()) {
      gptq.emplace(threads_, dtype, *inputs->second, tensor.dim(1), options.exponents);
      options.rounding = std::cref(*gptq);
    }
    return quantized(threads_, tensor, dtype, options);
  }

 private:
  ThreadPool& threads_;
  const Calibration& calibration_;
  std::map<std::string, std::shared_ptr<const std::vector<int8_t>>> exponents_;
};

}  // namespace

QuantizeReport quantize_checkpoint(ThreadPool& threads, const fs::path& source, const fs::path& out,
                                   const QuantizeOptions& options) {
  check(out, options);
  const Checkpoint checkpoint = Checkpoint::open(source);
  const Types types(checkpoint, options);
  QuantizeReport report;
  std::vector<TensorInfo> infos;
  std::map<std::string, std::string> canonical;  // by the name in the file
  for (const ExpectedTensor& expected : checkpoint.tensors()) {
    const Tensor tensor = checkpoint.get(expected.name);
    require(!is_quantized(tensor.dtype()), ErrorCode::kUnsupported, "[{}] is quantised already: \"{}\" is {}",
            source.string(), expected.name, to_string(tensor.dtype()));
    infos.push_back({layout_name(expected.name, checkpoint.config().layout),
                     types.of(expected, tensor.dtype()), expected.shape});
    canonical[infos.back().name] = expected.name;
    ++report.tensors;
    report.quantized += is_quantized(infos.back().dtype) ? 1 : 0;
    report.bytes_before += static_cast<int64_t>(tensor.bytes());
    report.bytes_after += bytes_of(infos.back().dtype, expected.shape);
  }

  const Quantizer quantizer(threads, checkpoint, options);
  NewFolder folder(out);
  SafetensorsWriter writer(folder.path() / "model.safetensors", infos, {{"format", "pt"}});
  int64_t done = 0;
  for (const TensorInfo& info : writer.order()) {
    require(!options.cancelled || !options.cancelled(), ErrorCode::kCancelled, "[quantize] cancelled");
    const std::string& name = canonical.at(info.name);
    const Tensor tensor = checkpoint.get(name);
    const Tensor stored = is_quantized(info.dtype) ? quantizer(tensor, name, info.dtype) : tensor;
    writer.write(std::span(stored.raw(), stored.bytes()));
    for (const SafetensorsFile& file : checkpoint.files()) file.let_go();
    done += static_cast<int64_t>(tensor.bytes());
    if (options.progress) options.progress(done, report.bytes_before);
  }
  writer.commit();
  write_config(checkpoint.folder(), folder.path(), options);
  copy_other_files(checkpoint.folder(), folder.path());
  folder.commit();
  return report;
}

}  // namespace vl3
