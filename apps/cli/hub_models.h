#pragma once
// Names of models on a hub where a folder is taken: "org/name@revision" in place of MODEL.

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

#include "cli.h"
#include "vl3/hub.h"

namespace vl3::cli {

// Puts the folder of its snapshot in place of every name among the options of a command that take a model,
// once it was parsed: downloads what is missing, with progress on stderr. Throws as resolve_model.
void name_models(CLI::App& command);

// The same for one word; settings_alone: without weights.
std::string named_model(const std::string& name_or_folder, bool settings_alone = false);

// What a model is called: the name on the hub of a snapshot's folder, else the folder's own name.
std::string called_name(const std::filesystem::path& folder);

// Options whose progress, notes and Ctrl-C are a terminal's. It must outlive the options.
class HubTerminal {
 public:
  HubOptions options();

 private:
  InterruptScope interrupt_;
  Progress progress_;
};

}  // namespace vl3::cli
