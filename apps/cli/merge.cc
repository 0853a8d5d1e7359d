// videollama3 merge: a model with an adapter in its weights.

#include <fmt/format.h>

#include "cli.h"
#include "vl3/adapter.h"

namespace vl3::cli {

void add_merge(CLI::App& app) {
  struct Options {
    std::string model, adapter, out;
    ComputeOptions compute;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("merge", "a model folder out of a model and its adapter");
  add_model_to(*command, options->model);
  takes_model(command->add_option("adapter", options->adapter, "LoRA adapter (PEFT's layout)"))
      ->required()
      ->transform(checkpoint_folder);
  command->add_option("out", options->out, "folder to write, which must not exist")->required();
  options->compute.add_to(*command, "f32");
  finish_help(*command, {{"merge MODEL ADAPTER OUT", ""}});
  command->callback([options] {
    const auto context = options->compute.make_context();
    const InterruptScope interrupts(*context);
    Progress progress;
    MergeOptions asked;
    asked.progress = [&](int64_t done, int64_t total) { progress.update("merge", done >> 20, total >> 20); };
    const double start = now_s();
    const MergeReport report = merge_adapter(*context, options->model, options->adapter, options->out, asked);
    progress.clear();
    fmt::print(stderr, "{} of {} tensors merged, {} replaced, in {:.1f} s\n", report.merged, report.tensors,
               report.replaced, now_s() - start);
  });
}

}  // namespace vl3::cli
