// videollama3 compare: how far a model's predictions are from another's, or from its own computed otherwise.

#include "help.h"
#include "report.h"

namespace vl3::cli {

void add_compare(CLI::App& app) {
  struct Options {
    std::string model, other, on, other_compute = "auto", other_cache;
    ComputeOptions compute;
    ReportOptions report;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "compare", "how far a model's predictions are from another's, or from its own computed otherwise");
  takes_model(command->add_option("model", options->model, "checkpoint folder, or org/name of a hub"))
      ->required();
  takes_model(command->add_option("other", options->other, "model to compare it with (default: the same)"));
  command
      ->add_option(
          "--on", options->on,
          "what both read: a text file, a prompt a line; or requests as JSON (docs/tools.md), one, a "
          "list or one a line; - for standard input")
      ->required();
  command->add_option("--other-compute", options->other_compute, "--compute of the other one (f32 or auto)")
      ->check(CLI::IsMember({"f32", "auto"}))
      ->capture_default_str();
  command
      ->add_option("--other-cache", options->other_cache,
                   "--cache of the other one (default: what goes with its weights and compute)")
      ->check(CLI::IsMember({"f32", "f16", "int8"}));
  options->report.add_to(*command);
  options->compute.add_to(*command, "f32");
  finish_help(*command, {{"compare MODEL MODEL-int8 --on prompts.txt", ""},
                         {"compare MODEL --on requests.json --other-cache int8", ""}});
  command->callback([options] {
    const ReportInputs inputs = ReportInputs::read(options->on, options->model);
    const ReportSide model{options->model, options->compute.compute, options->compute.cache};
    const ReportSide other{options->other, options->other_compute, options->other_cache};
    options->compute.cache.clear();  // each side has its own
    const auto context = options->compute.make_context();
    const InterruptScope interrupts(*context);
    const Json report = make_report(*context, model, other, inputs);
    if (options->report.json)
      print_json(report);
    else
      print_report(report, options->report.worst);
  });
}

}  // namespace vl3::cli
