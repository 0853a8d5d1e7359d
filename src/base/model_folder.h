#pragma once
// The folder of a model, as people give it.

#include <filesystem>

namespace vl3 {

// A file within the folder (MODEL/model.safetensors, MODEL/config.json) means the folder; anything else comes
// back as it is.
std::filesystem::path model_folder(const std::filesystem::path& given);

}  // namespace vl3
