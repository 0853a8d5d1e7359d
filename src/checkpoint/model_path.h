#pragma once
// What a person gives as a model, and what to say where it is none.

#include <filesystem>
#include <string>

namespace vl3 {

struct ModelPath {
  std::filesystem::path folder;  // with config.json in it
  std::filesystem::path file;    // the one file of weights to open; empty: those that the folder has
};

// A checkpoint folder, a file that belongs to one (which means the folder), or a .safetensors file of another
// name with config.json beside it (which means that file). Throws with what it is instead and what to do:
// kNotFound (nothing there, a name of a hub, a folder without config.json), kUnsupported (an adapter, a GGUF
// or other foreign file).
ModelPath resolve_model_path(const std::filesystem::path& given);

// What lies in a folder in place of weights that are read, as the end of a sentence with what to do: "; it
// holds a GGUF file (…), …". Empty where nothing is recognised.
std::string what_lies_there(const std::filesystem::path& folder);

}  // namespace vl3
