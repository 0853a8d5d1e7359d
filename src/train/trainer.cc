// The loop: data, forward, back, clip, step, log, save.

#include <cmath>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "model/cost.h"
#include "ops/cpu/kernels/kernels.h"
#include "runtime/context_parts.h"
#include "runtime/peak.h"
#include "train/data/batches.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/training_state.h"
#include "vl3/train.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

// Sets what a context computes with for as long as a training takes.
class TrainingScope {
 public:
  TrainingScope(Context& context, Tape& tape, Compute compute)
      : context_(context), compute_(context.compute()) {
    set_tape(context_, &tape);
    context_.set_compute(compute);
  }
  ~TrainingScope() {
    set_tape(context_, nullptr);
    context_.set_compute(compute_);
  }
  TrainingScope(const TrainingScope&) = delete;
  TrainingScope& operator=(const TrainingScope&) = delete;

 private:
  Context& context_;
  Compute compute_;
};

// The next step's data, made while this one computes.
class Ahead {
 public:
  Ahead(Batches& batches, int64_t steps) : batches_(batches), steps_(steps) {}
  StepBatch take(int64_t step) {
    StepBatch now = next_.valid() && expected_ == step ? next_.get() : batches_.at(step);
    expected_ = step + 1;
    if (expected_ < steps_)
      next_ = std::async(std::launch::async, [this, s = expected_] { return batches_.at(s); });
    return now;
  }

 private:
  Batches& batches_;
  int64_t steps_, expected_ = -1;
  std::future<StepBatch> next_;
};

// One JSON object a step. Lines of steps that a resumed run makes again are dropped first.
class Log {
 public:
  Log(fs::path path, int64_t first) : path_(std::move(path)) {
    std::error_code error;
    if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
    std::string kept;
    if (first > 0 && fs::exists(path_, error)) {
      std::ifstream lines(path_);
      for (std::string line; std::getline(lines, line);) {
        const Json row = Json::parse(line, nullptr, false);
        if (row.is_object() && row.value("step", int64_t{0}) > 0 && row.value("step", int64_t{0}) <= first)
          kept += line + "\n";
      }
    }
    AtomicFile file(path_);
    file.write(kept);
    file.commit();
    out_.open(path_, std::ios::app);
  }
  void write(const Json& row) {
    out_ << row.dump() << '\n' << std::flush;
    require(out_.good(), ErrorCode::kIo, "[{}] cannot be written", path_.string());
  }

 private:
  fs::path path_;
  std::ofstream out_;
};

Json log_row(const TrainStep& s) {
  Json rates = Json::object();
  if (s.rates.vision_encoder) rates["vision_encoder"] = *s.rates.vision_encoder;
  if (s.rates.projector) rates["projector"] = *s.rates.projector;
  if (s.rates.llm) rates["llm"] = *s.rates.llm;
  return {{"step", s.step},
          {"loss", s.loss},
          {"grad_norm", s.grad_norm},
          {"rates", rates},
          {"samples", s.samples},
          {"tokens", s.tokens},
          {"targets", s.targets},
          {"seconds", s.seconds},
          {"tokens_per_s", static_cast<double>(s.tokens) / s.seconds},
          {"gflops", s.gflops()},
          {"share", s.share()}};
}

// Of products in the type that a training with this setting computes in.
double peak_gflops(Context& context, bool bf16) {
  const KernelSet& kernels = kernels_of(context);
  return peak_fma_gflops(
      context, bf16 && kernels.peak_fma_bf16 != nullptr ? kernels.peak_fma_bf16 : kernels.peak_fma_f32);
}

class Run {
 public:
  Run(Context& context, const TrainConfig& config, const TrainHooks& hooks)
      : context_(context), config_(config), hooks_(hooks), trainable_(context, config) {}

  TrainReport train();

 private:
  void one_step(const ForConditionalGeneration& model, Tape& tape, const StepBatch& batch, TrainStep& report);
  TrainRates rates_at(int64_t step) const;

  Context& context_;
  const TrainConfig& config_;
  const TrainHooks& hooks_;
  Trainable trainable_;
  int64_t steps_ = 0;
};

TrainRates Run::rates_at(int64_t step) const {
  const double factor = schedule_factor(config_, step, steps_);
  const auto scaled = [&](const std::optional<double>& rate) {
    return rate ? std::optional<double>(*rate * factor) : std::nullopt;
  };
  return {scaled(config_.rates.vision_encoder), scaled(config_.rates.projector), scaled(config_.rates.llm)};
}

void Run::one_step(const ForConditionalGeneration& model, Tape& tape, const StepBatch& batch,
                   TrainStep& report) {
  tape.clear_gradients();
  for (const ForwardInput& pass : batch.passes) {
    trainable_.begin_pass(report.step, static_cast<size_t>(&pass - batch.passes.data()));
    ForwardInput input = pass;
    input.loss_divisor = static_cast<double>(batch.targets);
    const Tensor loss = model.forward(context_, input).loss;
    report.loss += static_cast<double>(loss.data<float>()[0]);
    report.flops += training_flops(model, pass,
                                   {config_.rates.vision_encoder.has_value(),
                                    config_.rates.projector.has_value(), config_.rates.llm.has_value()});
    tape.backward(context_, loss);
  }
  report.grad_norm = gradient_norm(context_, tape, trainable_.tensors());
  require(
      std::isfinite(report.loss) && std::isfinite(report.grad_norm), ErrorCode::kInvalidArgument,
      "[train] step {}: the loss is {} and the gradients' norm {}; lower rates, or look at this step's data",
      report.step, report.loss, report.grad_norm);
  const double scale =
      config_.clip_norm > 0 ? std::min(1.0, config_.clip_norm / (report.grad_norm + 1e-6)) : 1;
  const TrainRates& r = report.rates;
  adamw_step(context_, tape, trainable_.tensors(),
             {r.vision_encoder.value_or(0), r.projector.value_or(0), r.llm.value_or(0)}, scale,
             {config_.betas, config_.eps, config_.weight_decay, config_.seed});
  trainable_.round_masters(context_);
}

TrainReport Run::train() {
  const std::unique_ptr<Batches> batches =
      config_.data[0].tensors.empty() ? row_batches(config_, hooks_) : tensor_batches(config_);
  steps_ = config_.steps > 0
               ? config_.steps
               : std::max<int64_t>(1, static_cast<int64_t>(std::ceil(
                                          config_.epochs * static_cast<double>(batches->steps_per_epoch()))));
  const Json settings = fingerprint(config_, steps_);
  TrainReport report;
  if (const auto step = resume(trainable_, config_, settings, hooks_)) {
    report.resumed = report.steps = *step;
    trainable_.round_masters(context_);
    if (hooks_.note) hooks_.note(fmt::format("going on behind step {} of {}", *step, steps_));
  }
  std::error_code error;
  fs::create_directories(config_.output, error);
  require(!error, ErrorCode::kIo, "[{}] cannot be created: {}", config_.output.string(), error.message());
  Log log(config_.log.empty() ? config_.output / "log.jsonl" : config_.log, report.resumed);

  Tape tape;
  tape.set_recompute(config_.recompute);
  trainable_.watch(tape);
  const TrainingScope scope(context_, tape, config_.dtype == "bf16" ? Compute::kAuto : Compute::kF32);
  const ForConditionalGeneration model = trainable_.model();
  const double peak = peak_gflops(context_, config_.dtype == "bf16");
  Ahead ahead(*batches, steps_);
  while (report.steps < steps_ && !context_.cancelled()) {
    const double start = now_s();
    const StepBatch batch = ahead.take(report.steps);
    TrainStep step{.step = report.steps + 1, .steps = steps_, .rates = rates_at(report.steps)};
    step.samples = batch.samples;
    step.tokens = batch.tokens;
    step.targets = batch.targets;
    step.peak_gflops = peak;
    try {
      one_step(model, tape, batch, step);
    } catch (const Error& stopped) {
      if (stopped.code() != ErrorCode::kCancelled) throw;
      break;  // in the middle of a step, which will be made again
    }
    step.seconds = now_s() - start;
    report.steps = step.step;
    report.loss = step.loss;
    log.write(log_row(step));
    if (hooks_.step) hooks_.step(step);
    if (config_.save_every > 0 && report.steps % config_.save_every == 0 && report.steps < steps_)
      save_checkpoint(trainable_, config_, settings, report.steps);
  }
  if (report.steps > 0) save_checkpoint(trainable_, config_, settings, report.steps);
  report.finished = report.steps == steps_;
  if (report.finished) publish(trainable_, config_);
  return report;
}

}  // namespace

TrainReport train(Context& context, const TrainConfig& config, const TrainHooks& hooks) {
  return Run(context, config, hooks).train();
}

}  // namespace vl3
