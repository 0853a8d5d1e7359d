#pragma once
// The files of a checkpoint folder: those of weights, those in formats that are not read, and the others.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vl3 {

struct WeightFiles {
  std::filesystem::path index;                               // of a sharded checkpoint; else empty
  std::vector<std::filesystem::path> files;                  // sorted, each once
  std::vector<std::pair<std::string, std::string>> entries;  // tensor → file, as the index says
};

// model.safetensors, else model.safetensors.index.json. Nothing is opened but the index.
// Throws kNotFound (no weights, or shards that are not there, all named), kFormat for a broken index or one
// that names files outside the folder, kUnsupported where there are only pickle files.
WeightFiles find_weight_files(const std::filesystem::path& folder);

// What a file that is no safetensors file seems to be by its first bytes, with what to do about it: "a pickle
// file …". Empty where nothing is recognised.
std::string foreign_format(std::span<const std::byte> bytes);

// Names of the files in folder that look like pickled weights by their names or their first bytes, sorted.
std::vector<std::string> pickle_files(const std::filesystem::path& folder);

// How to turn such a checkpoint into one that can be read.
inline constexpr const char* kConvertHint =
    "pickle files can run any code when they are opened, so they are not read; where you trust them, convert "
    "once in "
    "Python: from safetensors.torch import save_file; save_file({k: v.contiguous().clone() for k, v in "
    "torch.load(FILE, weights_only=True).items()}, \"model.safetensors\", metadata={\"format\": \"pt\"})";

// Copies what a checkpoint folder holds besides weights and config.json: tokenizer, templates, processors.
// What the training that made it left beside them (JSON lines, training.json) stays behind: what is made of
// it has its own.
void copy_other_files(const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace vl3
