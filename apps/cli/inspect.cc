// videollama3 inspect: what is in a checkpoint folder or a safetensors file.

#include <fmt/format.h>

#include "cli.h"
#include "vl3/checkpoint.h"

namespace vl3::cli {

void add_inspect(CLI::App& app) {
  struct Options {
    std::string path;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "inspect", "what is in a checkpoint: layout, sizes, parameters, types, tokens, and what is missing");
  takes_model(command->add_option("path", options->path,
                                  "checkpoint folder, .safetensors file, or org/name of a hub"))
      ->required();
  command->add_flag("--json", options->json, "one JSON object instead of text");
  finish_help(*command,
              {{"inspect MODEL", ""}, {"inspect MODEL/model.safetensors --json", "the tensors of one file"}});
  command->callback([options] {
    const Json report = inspect(options->path);
    if (options->json) {
      print_json(report);
    } else {
      fmt::print("{}", inspect_text(report));
    }
  });
}

}  // namespace vl3::cli
