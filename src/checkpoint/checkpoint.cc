#include "vl3/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "base/check.h"
#include "checkpoint/foreign_files.h"
#include "checkpoint/weight_files.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHead = "lm_head.weight";
constexpr std::string_view kEmbedding = "model.language_model.embed_tokens.weight";

// Where a weight is: which file, under which name, and what it is there.
struct Source {
  size_t file = 0;
  TensorInfo info;
};
using Sources = std::map<std::string, Source, std::less<>>;  // by canonical name

// What is wrong with the tensors of a checkpoint, collected so that one error tells all of it.
class Complaints {
 public:
  void add(const std::string& kind, const std::string& what) { by_kind_[kind].push_back(what); }
  bool empty() const { return by_kind_.empty(); }
  std::string text() const {
    constexpr size_t kShown = 20;
    std::string result;
    for (const auto& [kind, items] : by_kind_) {
      const size_t count = std::min(items.size(), kShown);
      result +=
          fmt::format("{}{} {}: {}", result.empty() ? "" : "; ", items.size(), kind,
                      fmt::join(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count), ", "));
      if (count < items.size()) result += fmt::format(" and {} more", items.size() - count);
    }
    return result;
  }

 private:
  std::map<std::string, std::vector<std::string>> by_kind_;
};

Sources collect(const std::vector<SafetensorsFile>& files, Complaints& complaints) {
  Sources sources;
  for (size_t i = 0; i < files.size(); ++i) {
    for (const TensorInfo& info : files[i].tensors()) {
      if (is_ignorable_tensor(info.name)) continue;
      const auto [place, added] = sources.try_emplace(canonical_name(info.name), Source{i, info});
      if (added) continue;
      const Source& first = place->second;
      complaints.add("there twice", fmt::format("{} as {} in {} and {} in {}", place->first, first.info.name,
                                                files[first.file].path().filename().string(), info.name,
                                                files[i].path().filename().string()));
    }
  }
  return sources;
}

void check_index(const WeightFiles& found, const std::vector<SafetensorsFile>& files,
                 Complaints& complaints) {
  std::map<std::string, const SafetensorsFile*> by_name;
  for (const SafetensorsFile& file : files) by_name[file.path().filename().string()] = &file;
  for (const auto& [tensor, file] : found.entries) {
    if (!by_name.at(file)->contains(tensor)) {
      complaints.add("not in the file the index names", fmt::format("{} in {}", tensor, file));
    }
  }
}

// Only matrices of products are quantised: biases, norms and the convolution of patches are small, and the
// network takes them as numbers.
bool is_weight_type(DType dtype, const Shape& shape) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16 ||
         (is_quantized(dtype) && shape.size() == 2);
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
  const auto tensor = [&](const Source& source) { return files[source.file].get(source.info.name); };
  if (same_bytes(tensor(head->second), tensor(embedding->second))) {
    sources.erase(head);
  } else {
    config.tie_word_embeddings = false;
  }
}

void check_tensors(const std::vector<ExpectedTensor>& expected, const Sources& sources,
                   Complaints& complaints) {
  std::map<std::string_view, const Shape*> wanted;
  for (const ExpectedTensor& tensor : expected) {
    wanted.emplace(tensor.name, &tensor.shape);
    if (!sources.contains(tensor.name)) {
      complaints.add("missing", fmt::format("{} {}", tensor.name, to_string(tensor.shape)));
    }
  }
  for (const auto& [name, source] : sources) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      complaints.add("unexpected", source.info.name);
      continue;
    }
    if (source.info.shape != *found->second) {
      complaints.add("misshapen", fmt::format("{} is {}, not {}", source.info.name,
                                              to_string(source.info.shape), to_string(*found->second)));
    }
    if (!is_weight_type(source.info.dtype, *found->second)) {
      complaints.add(
          "of a type that is no weight's",
          fmt::format("{} is {}, not f32, bf16 or f16{}", source.info.name, to_string(source.info.dtype),
                      found->second->size() == 2 ? ", nor int8 or int4 blocks" : ""));
    }
  }
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
  std::error_code ignored;
  require(fs::exists(path, ignored), ErrorCode::kNotFound, "[{}] there is no such checkpoint folder or file",
          path.string());
  auto contents = std::make_shared<Contents>();
  const bool one_file = !fs::is_directory(path, ignored);
  contents->folder = one_file ? path.parent_path() : path;
  // A file that is no safetensors file is told so before its folder is asked for anything.
  if (one_file) contents->files.push_back(SafetensorsFile::open(path));
  contents->config = Config::from_pretrained(contents->folder / "config.json");
  Complaints complaints;
  if (!one_file) {
    const WeightFiles found = find_weight_files(path);
    for (const fs::path& file : found.files) contents->files.push_back(SafetensorsFile::open(file));
    check_index(found, contents->files, complaints);
  }
  contents->sources = collect(contents->files, complaints);
  settle_head(contents->config, contents->files, contents->sources);
  contents->tensors = expected_tensors(contents->config);
  check_tensors(contents->tensors, contents->sources, complaints);
  require(complaints.empty(), ErrorCode::kFormat, "[{}] the weights do not fit config.json: {}",
          path.string(), complaints.text());
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
  return contents_->files[found->second.file].get(found->second.info.name);
}

void Checkpoint::read_ahead() const noexcept {
  for (const SafetensorsFile& file : contents_->files) file.read_ahead();
}

}  // namespace vl3
