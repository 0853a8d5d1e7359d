#pragma once
// What belongs to a model besides its weights.

#include <filesystem>

namespace vl3 {

// Copies what a checkpoint folder holds besides weights and config.json: tokenizer, templates, processors.
// What the training that made it left beside them (JSON lines, training.json) stays behind: what is made of
// it has its own.
void copy_other_files(const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace vl3
