// The report of what is in a checkpoint, which has to work where the checkpoint does not.

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/model_folder.h"
#include "checkpoint/folder_files.h"
#include "checkpoint/model_path.h"
#include "checkpoint/quantized_entries.h"
#include "vl3/checkpoint.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

// Files that a checkpoint folder may have, and what is lost without them. One of each group is enough.
struct Wanted {
  std::vector<const char*> names;
  const char* purpose;
};
const std::vector<Wanted> kWanted = {
    {{"config.json"}, "the model's shape"},
    {{"model.safetensors", "model.safetensors.index.json"}, "the weights"},
    {{"generation_config.json"}, "default generation settings"},
    {{"tokenizer.json", "vocab.json"}, "the vocabulary"},
    {{"tokenizer_config.json"}, "the tokenizer's settings"},
    {{"preprocessor_config.json", "processor_config.json"}, "how pictures are prepared"},
    {{"video_preprocessor_config.json", "processor_config.json", "preprocessor_config.json"},
     "how clips are prepared"},
    {{"chat_template.jinja", "chat_template.json", "tokenizer_config.json"}, "the chat template"},
};

std::string part_of(std::string_view canonical) {
  if (canonical.starts_with("model.vision_model.")) return "vision_encoder";
  if (canonical.starts_with("model.projector.")) return "projector";
  if (canonical.starts_with("model.language_model.embed_tokens.")) return "embeddings";
  if (canonical.starts_with("model.language_model.")) return "language_model";
  if (canonical.starts_with("lm_head.")) return "head";
  return "other";
}

void add_files(const fs::path& folder, Json& report) {
  Json files = Json::array(), missing = Json::array();
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) entries.push_back(entry);
  }
  std::sort(entries.begin(), entries.end());
  for (const auto& entry : entries) {
    files.push_back({{"name", entry.path().filename().string()}, {"bytes", entry.file_size(error)}});
  }
  for (const Wanted& wanted : kWanted) {
    const bool there = std::any_of(wanted.names.begin(), wanted.names.end(),
                                   [&](const char* name) { return fs::exists(folder / name, error); });
    if (!there) missing.push_back({{"file", wanted.names.front()}, {"purpose", wanted.purpose}});
  }
  report["files"] = std::move(files);
  report["missing_files"] = std::move(missing);
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

void add_config(const Config& config, Json& report) {
  const TextConfig& t = config.text;
  const VisionConfig& v = config.vision;
  report["layout"] = to_string(config.layout);
  report["dtype"] = config.dtype ? Json(to_string(*config.dtype)) : Json();
  report["tie_word_embeddings"] = config.tie_word_embeddings;
  report["context_length"] = t.max_position_embeddings;
  report["tokens"] = {{"image", config.image_token_id},
                      {"video", config.video_token_id},
                      {"eos", t.eos_token_ids},
                      {"bos", or_null(t.bos_token_id)},
                      {"pad", or_null(t.pad_token_id)}};
  report["text"] = {{"layers", t.num_hidden_layers},
                    {"hidden_size", t.hidden_size},
                    {"heads", t.num_attention_heads},
                    {"kv_heads", t.num_key_value_heads},
                    {"head_dim", t.head_dim},
                    {"intermediate_size", t.intermediate_size},
                    {"vocab_size", t.vocab_size},
                    {"rms_norm_eps", t.rms_norm_eps},
                    {"rope", t.rope.type},
                    {"rope_theta", t.rope.theta},
                    {"rope_factor", t.rope.factor}};
  report["vision"] = {{"layers", v.num_hidden_layers},
                      {"hidden_size", v.hidden_size},
                      {"heads", v.num_attention_heads},
                      {"head_dim", v.head_dim()},
                      {"intermediate_size", v.intermediate_size},
                      {"patch_size", v.patch_size},
                      {"hidden_act", v.hidden_act}};
}

// Parameters and bytes by part and by dtype, over every tensor found.
void add_weights(const std::vector<SafetensorsFile>& files, Json& report) {
  struct Sum {
    int64_t tensors = 0, parameters = 0;
    uint64_t bytes = 0;
    Json json() const {
      const double bits =
          parameters == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters);
      return {
          {"tensors", tensors}, {"parameters", parameters}, {"bytes", bytes}, {"bits_per_parameter", bits}};
    }
    void add(const TensorInfo& info) {
      const int64_t count = num_elements(info.shape);
      ++tensors;
      parameters += count;
      bytes += bytes_of(info);
    }
  };
  Sum total;
  std::map<std::string, Sum> parts, dtypes;
  for (const SafetensorsFile& file : files) {
    for (const TensorInfo& info : file.tensors()) {
      if (is_ignorable_tensor(info.name)) continue;
      total.add(info);
      parts[part_of(canonical_name(info.name))].add(info);
      dtypes[to_string(info.dtype)].add(info);
    }
  }
  report["total"] = total.json();
  report["parts"] = Json::object();
  for (const char* part : {"vision_encoder", "projector", "embeddings", "language_model", "head", "other"}) {
    if (parts.contains(part)) report["parts"][part] = parts[part].json();
  }
  report["dtypes"] = Json::object();
  for (const auto& [dtype, sum] : dtypes) report["dtypes"][dtype] = sum.json();
}

Json inspect_file(const fs::path& path) {
  Json report{{"path", path.string()}, {"kind", "safetensors"}, {"problems", Json::array()}};
  try {
    const SafetensorsFile file = SafetensorsFile::open(path);
    report["bytes"] = file.file_bytes();
    report["metadata"] = Json::object();
    for (const auto& [key, value] : file.metadata()) {
      if (!is_quantized_entry(key)) report["metadata"][key] = value;  // the list of tensors tells the same
    }
    add_weights({file}, report);
    Json& tensors = report["tensors"] = Json::array();
    for (const TensorInfo& info : file.tensors()) {
      tensors.push_back({{"name", info.name}, {"dtype", to_string(info.dtype)}, {"shape", info.shape}});
    }
  } catch (const Error& error) {
    report["problems"].push_back(error.what());
  }
  return report;
}

Json inspect_folder(const fs::path& path) {
  Json report{{"path", path.string()}, {"kind", "checkpoint"}};
  Json problems = Json::array();
  const auto attempt = [&](const auto& step) {
    try {
      step();
      return true;
    } catch (const Error& error) {
      problems.push_back(error.what());
      return false;
    }
  };
  const bool configured = attempt([&] {
    resolve_model_path(path);  // says what else it is
    add_config(Config::from_pretrained(path), report);
  });
  std::vector<SafetensorsFile> files;
  attempt([&] {
    // File by file, so that one broken shard does not hide the others.
    bool all = true;
    for (const fs::path& file : find_weight_files(path).files) {
      all = attempt([&] { files.push_back(SafetensorsFile::open(file)); }) && all;
    }
    // Opened whole once more: that checks names and shapes, and settles whether the head is tied.
    if (configured && all) add_config(Checkpoint::open(path).config(), report);
  });
  add_weights(files, report);
  add_files(path, report);
  report["problems"] = std::move(problems);
  return report;
}

}  // namespace

Json inspect(const fs::path& path) {
  std::error_code ignored;
  require(fs::exists(path, ignored), ErrorCode::kNotFound, "[{}] there is no such file or folder",
          path.string());
  if (fs::is_directory(path, ignored)) return inspect_folder(path);
  // A file of a checkpoint that holds no weights means the checkpoint.
  const std::string extension = path.extension().string();
  const bool text = extension == ".json" || extension == ".txt" || extension == ".jinja";
  return text ? inspect_folder(model_folder(path)) : inspect_file(path);
}

}  // namespace vl3
