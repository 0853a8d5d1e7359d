#include "vl3/quantize.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "checkpoint/other_files.h"
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

QuantizeReport quantize_checkpoint(ThreadPool& threads, const fs::path& source, const fs::path& out,
                                   const QuantizeOptions& options) {
  check(out, options);
  const Checkpoint checkpoint = Checkpoint::open(source);
  QuantizeReport report;
  std::vector<TensorInfo> infos;
  std::map<std::string, std::string> canonical;  // by the name in the file
  for (const ExpectedTensor& expected : checkpoint.tensors()) {
    const Tensor tensor = checkpoint.get(expected.name);
    require(!is_quantized(tensor.dtype()), ErrorCode::kUnsupported, "[{}] is quantised already: \"{}\" is {}",
            source.string(), expected.name, to_string(tensor.dtype()));
    const bool change = expected.shape.size() == 2 && !options.keep.contains(part_of(expected.name));
    infos.push_back({layout_name(expected.name, checkpoint.config().layout),
                     change ? options.to : tensor.dtype(), expected.shape});
    canonical[infos.back().name] = expected.name;
    ++report.tensors;
    report.quantized += change ? 1 : 0;
    report.bytes_before += static_cast<int64_t>(tensor.bytes());
    report.bytes_after += bytes_of(infos.back().dtype, expected.shape);
  }

  NewFolder folder(out);
  SafetensorsWriter writer(folder.path() / "model.safetensors", infos, {{"format", "pt"}});
  int64_t done = 0;
  for (const TensorInfo& info : writer.order()) {
    require(!options.cancelled || !options.cancelled(), ErrorCode::kCancelled, "[quantize] cancelled");
    const Tensor tensor = checkpoint.get(canonical.at(info.name));
    const Tensor stored = is_quantized(info.dtype) ? quantized(threads, tensor, info.dtype) : tensor;
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
