#pragma once
// What belongs to a model besides its weights.

#include <filesystem>

namespace vl3 {

// Copies what a checkpoint folder holds besides weights and config.json: tokenizer, templates, processors.
void copy_other_files(const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace vl3
