// videollama3 train: a model out of another, by a configuration file.

#include "vl3/train.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/size_words.h"
#include "cli.h"
#include "hub_models.h"

namespace vl3::cli {
namespace {

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  return s >= 60 ? fmt::format("{} min {:02} s", s / 60, s % 60) : fmt::format("{} s", s);
}

// Columns of the terminal behind stderr.
size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// A line that is drawn over on a terminal; elsewhere one a minute.
class TrainingProgress {
 public:
  void show(const TrainStep& s) {
    ++steps_;
    seconds_ += s.seconds;
    tokens_ += static_cast<double>(s.tokens);
    flops_ += s.flops;
    loss_ = steps_ == 1 ? s.loss : 0.98 * loss_ + 0.02 * s.loss;
    const double now = now_s();
    if (s.step < s.steps && now - last_ < (terminal_ ? 0.2 : 60)) return;
    last_ = now;
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", line(s), terminal_ ? "" : "\n");
    std::fflush(stderr);
  }
  void note(std::string_view message) { fmt::print(stderr, "{}{}\n", terminal_ ? "\r\033[K" : "", message); }
  ~TrainingProgress() {
    if (terminal_ && steps_ > 0) fmt::print(stderr, "\n");
  }

 private:
  // What matters least is left out until the rest fits: a line that wraps cannot be drawn over.
  std::string line(const TrainStep& s) const {
    const double rate = s.rates.llm.value_or(s.rates.vision_encoder.value_or(s.rates.projector.value_or(0)));
    const double gflops = flops_ / seconds_ * 1e-9;
    struct Field {
      int worth;
      std::string text;
    };
    std::vector<Field> fields = {
        {9, fmt::format("step {}/{}", s.step, s.steps)},
        {8, fmt::format("loss {:.4f}", loss_)},
        {2, fmt::format("norm {:.2f}", s.grad_norm)},
        {3, fmt::format("rate {:.2e}", rate)},
        {6, fmt::format("{:.0f} tokens/s", tokens_ / seconds_)},
        {4, fmt::format("{:.0f} GFLOP/s", gflops)},
        {5, s.peak_gflops > 0 ? fmt::format("{:.0f} % of peak", 100 * gflops / s.peak_gflops) : ""},
        {7, fmt::format("{} left", duration(seconds_ / steps_ * static_cast<double>(s.steps - s.step)))}};
    std::erase_if(fields, [](const Field& field) { return field.text.empty(); });
    const auto joined = [&] {
      std::string text;
      for (const Field& field : fields) text += (text.empty() ? "" : "  ") + field.text;
      return text;
    };
    const auto less = [](const Field& a, const Field& b) { return a.worth < b.worth; };
    while (terminal_ && fields.size() > 1 && joined().size() >= terminal_width())
      fields.erase(std::min_element(fields.begin(), fields.end(), less));
    return joined().substr(0, terminal_ ? terminal_width() - 1 : std::string::npos);
  }

  bool terminal_ = isatty(STDERR_FILENO) == 1;
  double steps_ = 0, seconds_ = 0, tokens_ = 0, flops_ = 0, loss_ = 0, last_ = 0;
};

void print_plan(const Json& plan) {
  fmt::print("{:<16} {:>14}  {}\n", "part", "parameters", "rate");
  for (const char* part : {"vision_encoder", "projector", "llm"}) {
    const Json& p = plan["parts"][part];
    fmt::print("{:<16} {:>14}  {}\n", part, p["parameters"].get<int64_t>(),
               p["trains"].get<bool>() ? fmt::format("{:.3g}", p["rate"].get<double>()) : "frozen");
  }
  if (plan.contains("adapter")) {
    const Json& adapter = plan["adapter"];
    fmt::print("{:<16} {:>14}  rank {}, on {} layers, in place of their parts\n", "adapter",
               adapter["parameters"].get<int64_t>(), adapter["rank"].get<int64_t>(),
               adapter["layers"].get<int64_t>());
  }
  fmt::print("\n{} steps{}, {} of them warm-up; factor on the rates:", plan["steps"].get<int64_t>(),
             plan.contains("steps_per_epoch")
                 ? fmt::format(" ({} an epoch)", plan["steps_per_epoch"].get<int64_t>())
                 : "",
             plan["warmup_steps"].get<int64_t>());
  for (const Json& at : plan["schedule"])
    fmt::print("  {:.3f} at {}", at["factor"].get<double>(), at["step"].get<int64_t>());
  const Json& first = plan["first_step"];
  fmt::print(
      "\nfirst step: {} samples, {} tokens, {} of them targets, {} patches, in {} passes: {:.1f} GFLOP\n\n",
      first["samples"].get<int64_t>(), first["tokens"].get<int64_t>(), first["targets"].get<int64_t>(),
      first["patches"].get<int64_t>(), first["passes"].get<int64_t>(), first["gflop"].get<double>());
  const std::pair<const char*, const char*> kRows[] = {
      {"weights_and_optimizer", "weights, gradients, moments"},
      {"frozen_weights", "frozen weights (mapped)"},
      {"activations", "activations (estimate)"},
      {"batches", "data of two steps"},
      {"total", "memory"}};
  for (const auto& [key, name] : kRows)
    fmt::print("{:<28} {:>10}\n", name, size_words(plan["memory_bytes"][key].get<double>()));
  finish_stdout();
}

std::string keys_help() {
  std::string text = "The configuration is a JSON object:\n";
  for (const TrainKey& key : train_keys())
    text += fmt::format("  {:<13} {:<8} {}\n", key.name, key.type, key.help);
  return text + "Stages: " + fmt::format("{}", fmt::join(stage_names(), ", "));
}

}  // namespace

void add_train(CLI::App& app) {
  struct Options {
    std::string config;
    bool dry_run = false, json = false;
    ComputeOptions compute;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("train", "train a model by a configuration; goes on where it stopped");
  command->add_option("config", options->config, "JSON file; - for standard input")->required();
  command->add_flag("--dry-run", options->dry_run, "print what would train, the schedule and the memory");
  command->add_flag("--json", options->json, "with --dry-run: one JSON object instead of text");
  command->footer(keys_help());
  options->compute.add_to(*command, "auto");
  finish_help(*command, {{"train config.json --dry-run", "what would train, and the memory"},
                         {"train config.json", "again: goes on where it stopped"}});
  command->callback([options] {
    TrainConfig config = TrainConfig::from_json(read_json_argument(options->config), options->config);
    config.model = named_model(config.model.string());
    TrainingProgress progress;
    TrainHooks hooks;
    hooks.note = [&](std::string_view message) { progress.note(message); };
    if (options->dry_run) {
      const Json plan = plan_training(config, hooks);
      return options->json ? print_json(plan) : print_plan(plan);
    }
    const auto context = options->compute.make_context();
    const InterruptScope interrupts(*context);
    hooks.step = [&](const TrainStep& step) { progress.show(step); };
    const TrainReport report = train(*context, config, hooks);
    if (!report.finished && report.steps == 0)
      fail(ErrorCode::kCancelled, "[train] stopped before the first step; nothing was saved");
    if (!report.finished)
      fail(ErrorCode::kCancelled, "[train] stopped; step {} is saved in {}. To go on: videollama3 train {}",
           report.steps, (config.output / "checkpoints").string(), options->config);
    progress.note(fmt::format("{} steps, {} is ready", report.steps, config.output.string()));
  });
}

}  // namespace vl3::cli
