// videollama3 train: a model out of another, by a configuration file.

#include "vl3/train.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "cli.h"

namespace vl3::cli {
namespace {

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  return s >= 60 ? fmt::format("{} min {:02} s", s / 60, s % 60) : fmt::format("{} s", s);
}

// A line that is drawn over on a terminal; elsewhere one a minute.
class TrainingProgress {
 public:
  void show(const TrainStep& s) {
    ++steps_;
    seconds_ += s.seconds;
    tokens_ += static_cast<double>(s.tokens);
    loss_ = steps_ == 1 ? s.loss : 0.98 * loss_ + 0.02 * s.loss;
    const double now = now_s();
    if (s.step < s.steps && now - last_ < (terminal_ ? 0.2 : 60)) return;
    last_ = now;
    const double rate = s.rates.llm.value_or(s.rates.vision_encoder.value_or(s.rates.projector.value_or(0)));
    fmt::print(stderr, "{}step {}/{}  loss {:.4f}  norm {:.2f}  rate {:.2e}  {:.0f} tokens/s  {} left{}",
               terminal_ ? "\r\033[K" : "", s.step, s.steps, loss_, s.grad_norm, rate, tokens_ / seconds_,
               duration(seconds_ / steps_ * static_cast<double>(s.steps - s.step)), terminal_ ? "" : "\n");
    std::fflush(stderr);
  }
  void note(std::string_view message) { fmt::print(stderr, "{}{}\n", terminal_ ? "\r\033[K" : "", message); }
  ~TrainingProgress() {
    if (terminal_ && steps_ > 0) fmt::print(stderr, "\n");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) == 1;
  double steps_ = 0, seconds_ = 0, tokens_ = 0, loss_ = 0, last_ = 0;
};

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
    bool dry_run = false;
    ComputeOptions compute;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("train", "train a model by a configuration; goes on where it stopped");
  command->add_option("config", options->config, "JSON file; - for standard input")->required();
  command->add_flag("--dry-run", options->dry_run, "print what would train, the schedule and the memory");
  command->footer(keys_help());
  options->compute.add_to(*command, "auto");
  command->callback([options] {
    const TrainConfig config = TrainConfig::from_json(read_json_argument(options->config), options->config);
    if (options->dry_run) return print_json(plan_training(config));
    const auto context = options->compute.make_context();
    const InterruptScope interrupts(*context);
    TrainingProgress progress;
    TrainHooks hooks;
    hooks.step = [&](const TrainStep& step) { progress.show(step); };
    hooks.note = [&](std::string_view message) { progress.note(message); };
    const TrainReport report = train(*context, config, hooks);
    if (!report.finished)
      fail(ErrorCode::kCancelled, "[train] stopped and saved behind step {}; the same command goes on",
           report.steps);
    progress.note(fmt::format("{} steps, {} is ready", report.steps, config.output.string()));
  });
}

}  // namespace vl3::cli
