#pragma once
// Files that hold weights in formats the engine does not read.

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace vl3 {

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

}  // namespace vl3
