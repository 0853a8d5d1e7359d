// videollama3 quantize: a smaller checkpoint.

#include "vl3/quantize.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/check.h"
#include "report.h"
#include "vl3/thread_pool.h"

namespace vl3::cli {
namespace {

// What the linear layers of the model read on these prompts.
Calibration inputs_of(Context& context, const std::string& folder, const ReportInputs& inputs,
                      Progress& progress) {
  const auto model = ForConditionalGeneration::from_pretrained(folder);
  const ComparedPrompts prompts = inputs.prompts(context);
  const Compute compute = context.compute();
  context.set_compute(Compute::kF32);
  Calibration calibration = calibrate(context, model, [&] {
    for (int64_t i = 0; i < prompts.count; ++i) {
      progress.update("calibrate", i, prompts.count);
      model.forward(context, prompts.input(i));
    }
  });
  context.set_compute(compute);
  return calibration;
}

struct QuantizeCommand {
  std::string model, out, to = "int8", report, calibrate;
  std::vector<std::string> keep;
  ReportOptions told;
  ComputeOptions compute;
};

// What weights are rounded for; none where they are rounded to nearest.
std::optional<ReportInputs> calibration_of(const QuantizeCommand& options) {
  if (options.calibrate.empty()) return ReportInputs::of_text(std::string(calibration_text()), options.model);
  if (options.calibrate == "none") return std::nullopt;
  return ReportInputs::read(options.calibrate, options.model);
}

void run_quantize(QuantizeCommand& options) {
  std::error_code ignored;  // what would be told after a long calibration
  require(!std::filesystem::exists(options.out, ignored), ErrorCode::kInvalidArgument,
          "[{}] is there already", options.out);
  std::optional<ReportInputs> inputs;  // read before the work begins
  if (!options.report.empty()) inputs.emplace(ReportInputs::read(options.report, options.model));
  const std::optional<ReportInputs> calibration = calibration_of(options);
  const ReportSide model{options.model, "f32", ""};
  const ReportSide made{options.out, options.compute.compute, options.compute.cache};
  options.compute.cache.clear();  // each side of the report has its own
  const auto context = options.compute.make_context();
  const InterruptScope interrupts(*context);
  Progress progress;
  QuantizeOptions asked;
  asked.to = dtype_from_string(options.to);
  asked.keep = {options.keep.begin(), options.keep.end()};
  asked.progress = [&](int64_t done, int64_t total) { progress.update("quantize", done >> 20, total >> 20); };
  asked.cancelled = [&] { return context->cancelled(); };
  if (calibration) asked.calibration = inputs_of(*context, options.model, *calibration, progress);
  const double start = now_s();
  const QuantizeReport report = quantize_checkpoint(context->threads(), options.model, options.out, asked);
  progress.clear();
  fmt::print(stderr, "{} of {} tensors quantised, {:.0f} MiB instead of {:.0f}, in {:.1f} s\n",
             report.quantized, report.tensors, static_cast<double>(report.bytes_after) / 1048576.0,
             static_cast<double>(report.bytes_before) / 1048576.0, now_s() - start);
  Json told = {{"tensors", report.tensors},
               {"quantized", report.quantized},
               {"bytes_before", report.bytes_before},
               {"bytes_after", report.bytes_after}};
  if (inputs) told["report"] = make_report(*context, model, made, *inputs);
  if (options.told.json)
    print_json(told);
  else if (inputs)
    print_report(told["report"], options.told.worst);
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto options = std::make_shared<QuantizeCommand>();
  CLI::App* command = app.add_subcommand("quantize", "a checkpoint with int8 or int4 weights out of another");
  add_model_to(*command, options->model);
  command->add_option("out", options->out, "folder to write, which must not exist")->required();
  command->add_option("--to", options->to, "type of the weights: int8 (8 bits) or int4 (4.5 bits)")
      ->check(CLI::IsMember({"int8", "int4"}))
      ->capture_default_str();
  command->add_option("--keep", options->keep, "parts that keep their type: vision, projector, text, head")
      ->delimiter(',')
      ->check(CLI::IsMember({"vision", "projector", "text", "head"}));
  command
      ->add_option("--calibrate", options->calibrate,
                   "what weights are rounded for: a text file or requests, as of --report; \"none\": they "
                   "are rounded to nearest (default: a text that is built in)")
      ->type_name("FILE");
  command
      ->add_option(
          "--report", options->report,
          "how much predictions and weights change: a text file, a prompt a line; or requests as JSON "
          "(docs/tools.md), one, a list or one a line; - for standard input")
      ->type_name("FILE");
  options->told.add_to(*command);
  options->compute.add_to(*command, "auto");
  finish_help(*command, {{"quantize MODEL OUT --to int8", ""},
                         {"quantize MODEL OUT --to int4 --keep vision,head --report prompts.txt", ""}});
  command->callback([options] { run_quantize(*options); });
}

}  // namespace vl3::cli
