#include "vl3/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/folder_files.h"
#include "checkpoint/model_path.h"
#include "checkpoint/weight_sources.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHead = "lm_head.weight";
constexpr std::string_view kEmbedding = "model.language_model.embed_tokens.weight";

// Training saved the model wrapped for it, with the adapter's layers beside the model's.
void refuse_adapter_layers(const SafetensorsFile& file, const TensorInfo& info) {
  require(info.name.find(".lora_A.") == std::string::npos, ErrorCode::kUnsupported,
          "[{}] holds an adapter's layers (\"{}\"): merge them into the model in Python (merge_and_unload), "
          "or give "
          "the model's own folder, and the adapter's with --adapter",
          file.path().string(), info.name);
}

Sources collect(const std::vector<SafetensorsFile>& files, Problems& problems) {
  Sources sources;
  for (size_t i = 0; i < files.size(); ++i) {
    for (const TensorInfo& info : files[i].tensors()) {
      if (is_ignorable_tensor(info.name)) continue;
      refuse_adapter_layers(files[i], info);
      const auto [place, added] = sources.try_emplace(canonical_name(info.name), Source{i, info, nullptr});
      if (added) continue;
      const Source& first = place->second;
      problems.add("there twice", fmt::format("{} as {} in {} and {} in {}", place->first, first.info.name,
                                              files[first.file].path().filename().string(), info.name,
                                              files[i].path().filename().string()));
    }
  }
  return sources;
}

void check_index(const WeightFiles& found, const std::vector<SafetensorsFile>& files, Problems& problems) {
  std::map<std::string, const SafetensorsFile*> by_name;
  for (const SafetensorsFile& file : files) by_name[file.path().filename().string()] = &file;
  for (const auto& [tensor, file] : found.entries) {
    if (!by_name.at(file)->contains(tensor)) {
      problems.add("not in the file the index names", fmt::format("{} in {}", tensor, file));
    }
  }
}

// Only matrices of products are quantised: biases, norms and the convolution of patches are small, and the
// network takes them as numbers.
bool is_weight_type(DType dtype, const Shape& shape) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16 ||
         (is_quantized(dtype) && shape.size() == 2);
}

Tensor read(const Source& source, const std::vector<SafetensorsFile>& files) {
  return source.packed ? unpacked(source, files) : files[source.file].get(source.info.name);
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

// Head and embedding as the reference ties them: an only one serves as both, two different ones are not tied
// at all.
void settle_head(Config& config, const std::vector<SafetensorsFile>& files, Sources& sources) {
  const auto head = sources.find(kHead), embedding = sources.find(kEmbedding);
  if (!config.tie_word_embeddings || head == sources.end()) return;
  if (embedding == sources.end()) {
    sources.emplace(std::string(kEmbedding), head->second);
    sources.erase(head);
    return;
  }
  if (same_bytes(read(head->second, files), read(embedding->second, files))) {
    sources.erase(head);
  } else {
    config.tie_word_embeddings = false;
  }
}

// AutoGPTQ writes biases of zeros beside every packed weight; the reference passes them over where the layer
// has none.
void drop_biases_of_zeros(const std::vector<ExpectedTensor>& expected,
                          const std::vector<SafetensorsFile>& files, Sources& sources) {
  constexpr std::string_view kBias = ".bias";
  std::set<std::string_view> wanted;
  for (const ExpectedTensor& tensor : expected) wanted.insert(tensor.name);
  std::erase_if(sources, [&](const auto& entry) {
    const auto& [name, source] = entry;
    if (!name.ends_with(kBias) || wanted.contains(name)) return false;
    const auto weight = sources.find(name.substr(0, name.size() - kBias.size()) + ".weight");
    if (weight == sources.end() || weight->second.packed == nullptr) return false;
    const Tensor bias = files[source.file].get(source.info.name);
    return std::all_of(bias.raw(), bias.raw() + bias.bytes(),
                       [](std::byte byte) { return byte == std::byte{0}; });
  });
}

void check_tensors(const std::vector<ExpectedTensor>& expected, const Sources& sources, Problems& problems) {
  std::map<std::string_view, const Shape*> wanted;
  for (const ExpectedTensor& tensor : expected) {
    wanted.emplace(tensor.name, &tensor.shape);
    if (!sources.contains(tensor.name)) {
      problems.add("missing", fmt::format("{} {}", tensor.name, to_string(tensor.shape)));
    }
  }
  for (const auto& [name, source] : sources) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      problems.add("unexpected", source.info.name);
      continue;
    }
    if (source.info.shape != *found->second) {
      problems.add("misshapen", fmt::format("{} is {}, not {}", source.info.name,
                                            to_string(source.info.shape), to_string(*found->second)));
    }
    if (!is_weight_type(source.info.dtype, *found->second)) {
      problems.add(
          "of a type that is no weight's",
          fmt::format("{} is {}, not f32, bf16 or f16{}", source.info.name, to_string(source.info.dtype),
                      found->second->size() == 2 ? ", nor int8 or int4 blocks" : ""));
    }
  }
}

std::optional<PackedFormat> packed_format_of(const fs::path& folder) {
  const std::string path = resolve_link_stub(folder / "config.json").string();
  const Json json = parse_json(read_file(path, 16 << 20), path);
  return read_packed_format(JsonView(json, path));
}

}  // namespace

struct Checkpoint::Contents {
  fs::path folder;
  Config config;
  std::vector<SafetensorsFile> files;
  std::vector<ExpectedTensor> tensors;
  Sources sources;
};

Checkpoint::Checkpoint(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}

Checkpoint Checkpoint::open(const fs::path& path) {
  auto contents = std::make_shared<Contents>();
  const ModelPath found = resolve_model_path(path);
  contents->folder = found.folder;
  // A file that is no safetensors file is told so before its folder is asked for anything.
  if (!found.file.empty()) contents->files.push_back(SafetensorsFile::open(found.file));
  contents->config = Config::from_pretrained(contents->folder / "config.json");
  Problems problems;
  if (found.file.empty()) {
    const WeightFiles weights = find_weight_files(contents->folder);
    for (const fs::path& file : weights.files) contents->files.push_back(SafetensorsFile::open(file));
    check_index(weights, contents->files, problems);
  }
  contents->sources = collect(contents->files, problems);
  if (const auto format = packed_format_of(contents->folder))
    gather_packed(*format, contents->files, contents->sources, problems);
  settle_head(contents->config, contents->files, contents->sources);
  contents->tensors = expected_tensors(contents->config);
  drop_biases_of_zeros(contents->tensors, contents->files, contents->sources);
  check_tensors(contents->tensors, contents->sources, problems);
  require(problems.empty(), ErrorCode::kFormat, "[{}] the weights do not fit config.json: {}", path.string(),
          problems.text());
  return Checkpoint(std::move(contents));
}

const Config& Checkpoint::config() const noexcept { return contents_->config; }
const fs::path& Checkpoint::folder() const noexcept { return contents_->folder; }
const std::vector<ExpectedTensor>& Checkpoint::tensors() const noexcept { return contents_->tensors; }
const std::vector<SafetensorsFile>& Checkpoint::files() const noexcept { return contents_->files; }

bool Checkpoint::contains(std::string_view name) const noexcept {
  return contents_->sources.contains(name == kHead && contents_->config.tie_word_embeddings ? kEmbedding
                                                                                            : name);
}

Tensor Checkpoint::get(std::string_view name) const {
  const auto found =
      contents_->sources.find(name == kHead && contents_->config.tie_word_embeddings ? kEmbedding : name);
  require(found != contents_->sources.end(), ErrorCode::kNotFound, "[{}] has no tensor \"{}\"",
          contents_->folder.string(), name);
  return read(found->second, contents_->files);
}

void Checkpoint::read_ahead() const noexcept {
  for (const SafetensorsFile& file : contents_->files) file.read_ahead();
}

}  // namespace vl3
