#pragma once
// A checkpoint folder: its configuration and its weights under one set of names, whatever the layout.
//
// Canonical names are those of the video_llama_3 layout: "model.vision_model.…", "model.projector.…",
// "model.language_model.…", "lm_head.weight". docs/checkpoints.md has the table.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vl3/config.h"
#include "vl3/export.h"
#include "vl3/json.h"
#include "vl3/safetensors.h"
#include "vl3/tensor.h"

namespace vl3 {

struct ExpectedTensor {
  std::string name;  // canonical
  Shape shape;
};

// Every weight a model of this configuration has, in the order of the network; the head only where it is not
// tied.
VL3_API std::vector<ExpectedTensor> expected_tensors(const Config& config);

// The canonical name of a tensor as a file of any known layout spells it; other names come back as they are.
VL3_API std::string canonical_name(std::string_view name);
// How the given layout spells a canonical name.
VL3_API std::string layout_name(std::string_view canonical, Layout layout);
// A buffer that files may hold and no model needs (rotary frequencies, position ids).
VL3_API bool is_ignorable_tensor(std::string_view name);

// Weights of an opened checkpoint, cheap to copy. Tensors stay mapped, in their stored type.
class VL3_API Checkpoint {
 public:
  // Opens a folder (config.json beside model.safetensors, or beside model.safetensors.index.json and its
  // shards) or one .safetensors file with config.json beside it. All tensors are checked against
  // expected_tensors: what is missing, unexpected, misshapen or of a type that is no weight's is listed in
  // one kFormat error. Throws what Config and SafetensorsFile throw too; kUnsupported, with a hint, where
  // there are only pickle files.
  static Checkpoint open(const std::filesystem::path& path);

  // As the file says, but for tie_word_embeddings: false where a tied checkpoint holds a head of its own that
  // differs from the embedding, as in the reference.
  const Config& config() const noexcept;
  const std::filesystem::path& folder() const noexcept;
  // expected_tensors(config()).
  const std::vector<ExpectedTensor>& tensors() const noexcept;
  const std::vector<SafetensorsFile>& files() const noexcept;

  bool contains(std::string_view canonical) const noexcept;
  // Read only. "lm_head.weight" of a tied checkpoint is the embedding. Throws kNotFound.
  Tensor get(std::string_view canonical) const;

  // Asks the system to read all weights now, instead of when they are first touched; returns at once.
  void read_ahead() const noexcept;

 private:
  struct Contents;
  explicit Checkpoint(std::shared_ptr<const Contents> contents);
  std::shared_ptr<const Contents> contents_;
};

// What is in a checkpoint folder, or in one .safetensors file: layout, sizes, parameters and bytes per part,
// dtypes, context length, tokens, files, and under "problems" everything that is missing or wrong. Throws
// only where path itself does not exist. docs/checkpoints.md names the keys.
VL3_API Json inspect(const std::filesystem::path& path);
// The same for people.
VL3_API std::string inspect_text(const Json& report);

}  // namespace vl3
