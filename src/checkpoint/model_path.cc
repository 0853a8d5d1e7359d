#include "checkpoint/model_path.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "checkpoint/folder_files.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

struct Foreign {
  const char *ending, *what, *hint;
};
// Formats of weights by the ends of their names.
constexpr Foreign kForeign[] = {
    {".gguf", "a GGUF file", "which the engine does not read: use the original checkpoint"},
    {".ggml", "a GGML file", "which the engine does not read: use the original checkpoint"},
    {".onnx", "an ONNX file", "which the engine does not read: use the original checkpoint"},
    {".h5", "a TensorFlow file", "which the engine does not read: save it as safetensors in Python"},
    {".msgpack", "a Flax file", "which the engine does not read: save it as safetensors in Python"},
    {".tflite", "a TensorFlow Lite file", "which the engine does not read: use the original checkpoint"},
    {".mlpackage", "a Core ML model", "which the engine does not read: use the original checkpoint"},
    {"openvino_model.xml", "an OpenVINO model",
     "which the engine does not read: use the original checkpoint"},
    {"openvino_language_model.xml", "an OpenVINO model",
     "which the engine does not read: use the original checkpoint"},
};

bool there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Of what model, as far as the adapter says.
std::string base_of(const fs::path& folder) {
  try {
    const std::string origin = (folder / "adapter_config.json").string();
    const Json json = parse_json(read_file(origin, 1 << 20), origin);
    return JsonView(json, origin).string("base_model_name_or_path", "");
  } catch (const Error&) {
    return {};
  }
}

[[noreturn]] void fail_as_adapter(const fs::path& folder) {
  const std::string base = base_of(folder);
  fail(ErrorCode::kUnsupported,
       "[{}] is an adapter{}, not a model: give the folder of the model that it was made for, and this one "
       "with "
       "--adapter (or merge the two once: videollama3 merge)",
       folder.string(), base.empty() ? "" : fmt::format(" of \"{}\"", base));
}

// owner/name, as hubs call models: two plain words, of which the first is no folder here.
bool is_hub_name(const fs::path& given) {
  const std::string text = given.string();
  const size_t slash = text.find('/');
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size()) return false;
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  });
  return plain && text.find('/', slash + 1) == std::string::npos && text[0] != '.' &&
         !there(text.substr(0, slash));
}

[[noreturn]] void fail_as_missing(const fs::path& given) {
  require(!is_hub_name(given), ErrorCode::kNotFound,
          "[{0}] there is no such folder; if it is the name of a model on a hub: nothing is downloaded here. "
          "Download "
          "it (hf download {0} --local-dir FOLDER) and give the folder",
          given.string());
  fail(ErrorCode::kNotFound, "[{}] there is no such checkpoint folder or file", given.string());
}

// Whether a file of weights belongs to the folder's model: it alone, or one of its shards.
bool is_of_the_model(const fs::path& file) {
  const std::string name = file.filename().string();
  if (name == "model.safetensors") return true;
  const fs::path index = file.parent_path() / "model.safetensors.index.json";
  if (there(file.parent_path() / "model.safetensors") || !there(index)) return false;
  const std::string text = read_file(resolve_link_stub(index), uint64_t{64} << 20);
  return text.find("\"" + name + "\"") != std::string::npos;
}

// Throws where the first bytes of a file are those of another format.
void refuse_foreign(const fs::path& file) {
  std::ifstream stream(resolve_link_stub(file), std::ios::binary);
  std::byte first[64]{};
  stream.read(reinterpret_cast<char*>(first), sizeof(first));
  const std::string format = foreign_format({first, static_cast<size_t>(stream.gcount())});
  require(format.empty(), ErrorCode::kUnsupported, "[{}] is {}", file.string(), format);
}

ModelPath resolve_file(const fs::path& file) {
  const fs::path folder = model_folder(file);
  const std::string extension = file.extension().string(), name = file.filename().string();
  if (name == "adapter_model.safetensors" || name == "adapter_config.json") {
    if (there(folder / "adapter_config.json")) fail_as_adapter(folder);
  }
  if (extension == ".safetensors" && !is_of_the_model(file)) return {folder, file};
  // A file of a checkpoint, beside its others, means the checkpoint; weights say for themselves what they
  // are.
  if (extension == ".safetensors" || extension == ".json" || extension == ".txt" || extension == ".jinja") {
    if (there(folder / "config.json") || extension != ".safetensors") return resolve_model_path(folder);
    return {folder, file};
  }
  refuse_foreign(file);
  for (const auto& [ending, what, hint] : kForeign) {
    require(!name.ends_with(ending), ErrorCode::kUnsupported, "[{}] is {}, {}", file.string(), what, hint);
  }
  return {folder, file};
}

// A checkpoint one or two levels below, as caches of hubs and trainings leave them.
std::string checkpoint_below(const fs::path& folder) {
  for (const fs::path& child : entries_of(folder)) {
    if (there(child / "config.json")) return child.string();
    if (child.filename() != "snapshots") continue;
    for (const fs::path& snapshot : entries_of(child)) {
      if (there(snapshot / "config.json")) return snapshot.string();
    }
  }
  return {};
}

}  // namespace

std::string what_lies_there(const fs::path& folder) {
  const std::vector<std::string> pickles = pickle_files(folder);
  if (!pickles.empty())
    return fmt::format("; it holds its weights in {}: {}", fmt::join(pickles, ", "), kConvertHint);
  std::vector<std::string> others;
  for (const fs::path& path : entries_of(folder)) {
    const std::string name = path.filename().string();
    for (const auto& [ending, what, hint] : kForeign) {
      if (name.ends_with(ending)) return fmt::format("; it holds {} ({}), {}", what, name, hint);
    }
    std::error_code ignored;
    if (fs::is_symlink(path, ignored) && !there(path) && name.starts_with("model"))
      return fmt::format("; {} is a link to {}, which is not there or leads back to itself", name,
                         fs::read_symlink(path, ignored).string());
    if (path.extension() == ".safetensors" && name != "model.safetensors") others.push_back(name);
  }
  if (others.empty()) return {};
  return fmt::format("; there is {}: if that is the model, give that file, or name it model.safetensors",
                     fmt::join(others, ", "));
}

ModelPath resolve_model_path(const fs::path& given) {
  std::error_code ignored;
  if (!there(given)) fail_as_missing(given);
  if (!fs::is_directory(given, ignored)) return resolve_file(given);
  if (there(given / "config.json")) return {given, {}};
  if (there(given / "adapter_config.json")) fail_as_adapter(given);
  const std::string others = what_lies_there(given);
  require(others.empty(), ErrorCode::kUnsupported, "[{}] has no config.json{}", given.string(), others);
  const std::string below = checkpoint_below(given);
  fail(ErrorCode::kNotFound, "[{}] has no config.json: it is no checkpoint folder{}", given.string(),
       below.empty() ? "" : fmt::format("; {} is one", below));
}

}  // namespace vl3
