#include "train/training_state.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "base/new_folder.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kState = "training.safetensors";
constexpr const char* kFacts = "training.json";
constexpr uint64_t kMaxFactsBytes = 64 << 20;

fs::path folder_of(const TrainConfig& config, int64_t step) {
  return config.output / "checkpoints" / fmt::format("step-{:08}", step);
}

// Checkpoint folders, the newest first. Folders of interrupted writes have other names.
std::vector<fs::path> checkpoints(const TrainConfig& config) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(config.output / "checkpoints", ignored)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.size() == 13 && name.starts_with("step-") &&
                      name.find_first_not_of("0123456789", 5) == std::string::npos;
    if (ours) found.push_back(entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

// What interrupted writes left behind.
void clear_partial(const TrainConfig& config) {
  std::error_code ignored;
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(config.output / "checkpoints", ignored)) {
    if (entry.path().filename().string().find(".partial-") != std::string::npos) left.push_back(entry.path());
  }
  for (const fs::path& path : left) fs::remove_all(path, ignored);
}

std::vector<std::pair<std::string, Tensor>> state_tensors(const std::vector<TrainedTensor>& tensors) {
  std::vector<std::pair<std::string, Tensor>> result;
  std::vector<int64_t> steps;
  for (const TrainedTensor& t : tensors) {
    result.emplace_back(t.name + ".m", t.m);
    result.emplace_back(t.name + ".v", t.v);
    result.emplace_back(t.name + ".master", t.master);
    steps.push_back(t.steps);
  }
  result.emplace_back("steps", Tensor::from<int64_t>({static_cast<int64_t>(steps.size())}, steps));
  return result;
}

// CRC-32 of every weights file of a checkpoint, by file name.
Json checksums(const fs::path& folder) {
  Json sums = Json::object();
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    uint32_t sum = 0;
    read_in_pieces(entry.path(), [&](std::span<const std::byte> piece) {
      sum = libdeflate_crc32(sum, piece.data(), piece.size());
    });
    sums[entry.path().filename().string()] = sum;
  }
  return sums;
}

// Throws kFormat for the first file that is missing, new, or not as it was written.
void check_checksums(const fs::path& folder, const JsonView& facts) {
  const Json& written = facts.child("crc32").json();
  const Json found = checksums(folder);
  for (const auto& [name, sum] : written.items()) {
    require(found.contains(name), ErrorCode::kFormat, "[{}] is missing", (folder / name).string());
    require(found[name] == sum, ErrorCode::kFormat,
            "[{}] is damaged: its CRC-32 is {}, and was {} when written", (folder / name).string(),
            shown(found[name]), shown(sum));
  }
  require(found.size() == written.size(), ErrorCode::kFormat,
          "[{}] has {} weights files, and {} when written", folder.string(), found.size(), written.size());
}

void restore(const fs::path& folder, std::vector<TrainedTensor>& tensors) {
  const SafetensorsFile file = SafetensorsFile::open(folder / kState);
  // All of it is checked before any of it is used.
  const auto wanted = state_tensors(tensors);
  require(file.names().size() == wanted.size(), ErrorCode::kFormat, "[{}] has {} tensors, not {}",
          file.path().string(), file.names().size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    const Tensor stored = file.get(name);
    require(stored.shape() == tensor.shape() && stored.dtype() == tensor.dtype(), ErrorCode::kFormat,
            "[{}] \"{}\" is {} {}, not {} {}", file.path().string(), name, to_string(stored.dtype()),
            to_string(stored.shape()), to_string(tensor.dtype()), to_string(tensor.shape()));
  }
  for (const auto& [name, tensor] : wanted) {
    if (name != "steps") std::memcpy(tensor.mutable_raw(), file.get(name).raw(), tensor.bytes());
  }
  const Tensor steps = file.get("steps");
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].steps = steps.data<int64_t>()[i];
}

Json read_facts(const fs::path& folder) {
  const fs::path path = folder / kFacts;
  return parse_json(read_file(path, kMaxFactsBytes), path.string());
}

// The settings of a checkpoint in the order of ours; keys that came later have their defaults.
Json with_later_keys(const Json& settings, const Json& ours) {
  const Json defaults = TrainConfig().to_json();
  Json result = Json::object();
  for (const auto& [key, value] : ours.items()) result[key] = defaults.at(key);
  result.update(settings);
  return result;
}

// What of two fingerprints differs, for a person.
std::string difference(const Json& a, const Json& b) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key) || a[key] != value)
      keys.push_back(fmt::format("{} (there {}, here {})", key, a.contains(key) ? shown(a[key]) : "absent",
                                 shown(value)));
  }
  return fmt::format("{}", fmt::join(keys, ", "));
}

}  // namespace

Json fingerprint(const TrainConfig& config, int64_t steps) {
  Json json = config.to_json();
  for (const char* key :
       {"output", "save_every", "keep", "workers", "log", "epochs", "recompute", "warmup_ratio"})
    json.erase(key);
  json["steps"] = steps;
  return json;
}

void save_checkpoint(const Trainable& trainable, const TrainConfig& config, const Json& fingerprint,
                     int64_t step) {
  const fs::path path = folder_of(config, step);
  std::error_code ignored;
  if (fs::exists(path, ignored)) return;  // saved already: a run that stops where it began
  NewFolder folder(path);
  trainable.save(folder.path());
  write_safetensors(folder.path() / kState, state_tensors(trainable.tensors()));
  AtomicFile facts(folder.path() / kFacts);
  facts.write(Json({{"step", step}, {"crc32", checksums(folder.path())}, {"settings", fingerprint}}).dump(1) +
              "\n");
  facts.commit();
  folder.commit();
  const std::vector<fs::path> all = checkpoints(config);
  for (size_t i = static_cast<size_t>(config.keep); i < all.size(); ++i) fs::remove_all(all[i], ignored);
}

std::optional<int64_t> resume(Trainable& trainable, const TrainConfig& config, const Json& fingerprint,
                              const TrainHooks& hooks) {
  clear_partial(config);
  for (const fs::path& folder : checkpoints(config)) {
    Json settings;
    try {
      const Json facts = read_facts(folder);
      const JsonView view(facts, (folder / kFacts).string());
      settings = with_later_keys(view.child("settings").json(), fingerprint);
      const int64_t step = view.integer("step", -1, 0, INT64_MAX);
      if (settings == fingerprint) {
        check_checksums(folder, view);
        restore(folder, trainable.tensors());
        return step;
      }
    } catch (const Error& error) {
      if (hooks.note) hooks.note(fmt::format("passing over {}: {}", folder.string(), error.what()));
      fs::path aside = folder;
      std::error_code ignored;
      fs::remove_all(aside += ".damaged", ignored);
      fs::rename(folder, aside, ignored);
      continue;
    }
    fail(ErrorCode::kInvalidArgument,
         "[train] {} holds another training: {}; choose another output, or remove that one",
         config.output.string(), difference(settings, fingerprint));
  }
  return std::nullopt;
}

void publish(const Trainable& trainable, const TrainConfig& config) {
  std::error_code error;
  fs::create_directories(config.output, error);
  require(!error, ErrorCode::kIo, "[{}] cannot be created: {}", config.output.string(), error.message());
  NewFolder folder(config.output / "checkpoints" / "final");
  trainable.save(folder.path());
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return (a.extension() == ".safetensors") < (b.extension() == ".safetensors");
  });
  for (const fs::path& file : files) {
    fs::rename(file, config.output / file.filename(), error);
    require(!error, ErrorCode::kIo, "[{}] cannot be moved to {}: {}", file.string(), config.output.string(),
            error.message());
  }
}

}  // namespace vl3
