// videollama3 quantize: a smaller checkpoint.

#include "vl3/quantize.h"

#include <fmt/format.h>

#include <sstream>

#include "base/check.h"
#include "base/file.h"
#include "base/text_file.h"
#include "base/thread_pool.h"
#include "bench/logit_change.h"
#include "cli.h"
#include "vl3/tokenizer.h"

namespace vl3::cli {
namespace {

constexpr uint64_t kMaxPromptBytes = 16u << 20;

// Lines of a text as ids.
std::vector<std::vector<int64_t>> prompts_of(const std::string& text, const std::string& file,
                                             const std::string& model) {
  const Tokenizer tokenizer = Tokenizer::from_pretrained(model);
  std::istringstream lines(text);
  std::vector<std::vector<int64_t>> prompts;
  for (std::string line; std::getline(lines, line);) {
    const auto ids = tokenizer.encode(line, false);
    if (!ids.empty()) prompts.emplace_back(ids.begin(), ids.end());
  }
  require(!prompts.empty(), ErrorCode::kInvalidArgument, "[quantize] {} has no line of text", file);
  return prompts;
}

// What the linear layers of the model read on these prompts.
Calibration inputs_of(Context& context, const std::string& folder,
                      const std::vector<std::vector<int64_t>>& prompts, Progress& progress) {
  const auto model = ForConditionalGeneration::from_pretrained(folder);
  const Compute compute = context.compute();
  context.set_compute(Compute::kF32);
  Calibration calibration = calibrate(context, model, [&] {
    for (size_t i = 0; i < prompts.size(); ++i) {
      progress.update("calibrate", static_cast<int64_t>(i), static_cast<int64_t>(prompts.size()));
      ForwardInput input;
      input.input_ids = Tensor::from<int64_t>({1, static_cast<int64_t>(prompts[i].size())}, prompts[i]);
      model.forward(context, input);
    }
  });
  context.set_compute(compute);
  return calibration;
}

std::vector<std::vector<int64_t>> read_prompts(const std::string& file, const std::string& model) {
  return prompts_of(read_text(file, kMaxPromptBytes), file, model);
}

void report_change(Context& context, const std::string& model, const std::string& out,
                   const std::vector<std::vector<int64_t>>& prompts) {
  const LogitChange change = compare_logits(context, ForConditionalGeneration::from_pretrained(model),
                                            ForConditionalGeneration::from_pretrained(out), prompts);
  fmt::print(
      "{} predictions: KL divergence {:.5f} nats on average, {:.5f} at most; the likeliest token is the same "
      "in {:.2f} %\n",
      change.tokens, change.mean_kl, change.largest_kl, change.top1_agreement * 100);
}

}  // namespace

void add_quantize(CLI::App& app) {
  struct Options {
    std::string model, out, to = "int8", report, calibrate;
    std::vector<std::string> keep;
    ComputeOptions compute;
  };
  auto options = std::make_shared<Options>();
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
      ->add_option(
          "--calibrate", options->calibrate,
          "text file whose lines the weights are rounded for; \"none\": weights are rounded to nearest "
          "(default: a text that is built in)")
      ->type_name("FILE");
  command
      ->add_option("--report", options->report,
                   "text file: how much the predictions at every token of its lines change")
      ->type_name("FILE");
  options->compute.add_to(*command, "auto");
  finish_help(*command, {{"quantize MODEL OUT --to int8", ""},
                         {"quantize MODEL OUT --to int4 --keep vision,head --report prompts.txt", ""}});
  command->callback([options] {
    std::vector<std::vector<int64_t>> prompts;  // read before the work begins
    if (!options->report.empty()) prompts = read_prompts(options->report, options->model);
    const auto context = options->compute.make_context();
    const InterruptScope interrupts(*context);
    Progress progress;
    QuantizeOptions asked;
    asked.to = dtype_from_string(options->to);
    asked.keep = {options->keep.begin(), options->keep.end()};
    asked.progress = [&](int64_t done, int64_t total) {
      progress.update("quantize", done >> 20, total >> 20);
    };
    asked.cancelled = [&] { return context->cancelled(); };
    if (options->calibrate != "none") {
      const bool built_in = options->calibrate.empty();
      asked.calibration = inputs_of(
          *context, options->model,
          built_in ? prompts_of(std::string(calibration_text()), "the text that is built in", options->model)
                   : read_prompts(options->calibrate, options->model),
          progress);
    }
    const double start = now_s();
    const QuantizeReport report =
        quantize_checkpoint(context->threads(), options->model, options->out, asked);
    progress.clear();
    fmt::print(stderr, "{} of {} tensors quantised, {:.0f} MiB instead of {:.0f}, in {:.1f} s\n",
               report.quantized, report.tensors, static_cast<double>(report.bytes_after) / 1048576.0,
               static_cast<double>(report.bytes_before) / 1048576.0, now_s() - start);
    if (!prompts.empty()) report_change(*context, options->model, options->out, prompts);
  });
}

}  // namespace vl3::cli
