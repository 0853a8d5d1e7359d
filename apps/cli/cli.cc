#include "cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <iterator>
#include <optional>

#include "base/file.h"
#include "base/json_once.h"

namespace vl3::cli {
namespace {

constexpr uint64_t kMaxRequestBytes = 64u << 20;

// A signal handler can only see what has static lifetime.
std::atomic<Context*> interrupt_target{nullptr};
std::atomic<int> interrupts{0};
std::atomic<bool> patient{false};
std::atomic<time_t> first_interrupt_s{0};

time_t seconds() {  // as a signal handler may ask
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

void on_interrupt(int) {
  constexpr time_t kPatience_s = 5;
  Context* target = interrupt_target.load();
  if (interrupts.fetch_add(1) == 0) {
    first_interrupt_s.store(seconds());
    if (target != nullptr) target->cancel();
  } else if (!patient.load() || seconds() - first_interrupt_s.load() >= kPatience_s) {
    _exit(kInterrupted);
  }
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

CLI::Validator number_check(std::function<bool(double)> good, const std::string& bound) {
  return {[good = std::move(good), bound](const std::string& text) {
            const auto value = number_of(text);
            return value && good(*value) ? "" : fmt::format("{} is no number {}", text, bound);
          },
          ""};
}

}  // namespace

CLI::Validator number_above_zero() {
  return number_check([](double value) { return value > 0 && std::isfinite(value); }, "above 0");
}

CLI::Validator number_from(double least, double most) {
  return number_check([=](double value) { return value >= least && value <= most; },
                      fmt::format("from {:g} to {:g}", least, most));
}

void add_model_to(CLI::App& command, std::string& model, ModelParts parts) {
  takes_model(
      command.add_option("model", model, "checkpoint folder, its model.safetensors, or org/name of a hub"),
      parts)
      ->required()
      ->transform(checkpoint_folder);
}

void ComputeOptions::add_to(CLI::App& command, const std::string& default_compute) {
  compute = default_compute;
  command.add_option("--threads", threads, "threads to compute with; 0: as many as this process may use")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option("--compute", compute,
                  "f32: activations and products in f32 whatever the weights' type; auto: what the hardware "
                  "is fast at")
      ->check(CLI::IsMember({"f32", "auto"}))
      ->capture_default_str();
  command
      .add_option("--cache", cache,
                  "how keys and values of earlier tokens are kept; int8: half of f16's memory, rounded "
                  "(default: f16; f32 with f32 weights or --compute f32)")
      ->check(CLI::IsMember({"f32", "f16", "int8"}));
  command.add_option("--cpu", cpu, "instruction set to use (default: the best; or VL3_CPU)")
      ->type_name("baseline|avx2|avx512|amx");
  command.add_option("--device", device, "where the model computes: cpu (default: cpu; or VL3_DEVICE)")
      ->type_name("NAME");
  command.add_flag("--verbose", verbose, "timings and what was assumed, on stderr");
  put_under(command, kModelAndMachine,
            {"--threads", "--compute", "--cache", "--cpu", "--device", "--verbose"});
}

std::unique_ptr<Context> ComputeOptions::make_context() const {
  ContextOptions options;
  options.num_threads = threads;
  options.compute = compute == "f32" ? Compute::kF32 : Compute::kAuto;
  if (!cache.empty())
    options.cache = cache == "int8" ? CacheType::kInt8 : cache == "f16" ? CacheType::kF16 : CacheType::kF32;
  options.cpu = cpu;
  options.device = device;
  const bool tell_all = verbose;
  options.log = [tell_all](LogLevel level, std::string_view message) {
    if (level == LogLevel::kWarning || tell_all) fmt::print(stderr, "{}\n", message);
  };
  return std::make_unique<Context>(options);
}

Json read_json_argument(const std::string& path) {
  if (path != "-") return parse_json_once(read_file(path, kMaxRequestBytes), path);
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  return parse_json_once(text, "standard input");
}

void print_json(const Json& value) {
  const std::string line = value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  finish_stdout();
}

void finish_stdout() {
  errno = 0;
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  require(written, ErrorCode::kIo, "[stdout] cannot write the output: {}",
          errno == 0 ? "an earlier write failed" : std::generic_category().message(errno));
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::update(std::string_view stage, int64_t done, int64_t total) {
  if (!terminal_) return;
  const double now = now_s();
  if (stage != stage_) {
    stage_ = stage;
    stage_started_s_ = now;
  }
  constexpr double kPatience_s = 0.5, kRedraw_s = 0.1;
  if (now - stage_started_s_ < kPatience_s || (now - last_drawn_s_ < kRedraw_s && done < total)) return;
  last_drawn_s_ = now;
  constexpr int64_t kWidth = 30;
  const int64_t filled = total > 0 ? done * kWidth / total : 0;
  const double left_s =
      done > 0 ? (now - stage_started_s_) * static_cast<double>(total - done) / static_cast<double>(done) : 0;
  fmt::print(stderr, "\r\033[K{:<8} [{:{}}] {}/{}  {:.0f} s left", stage_,
             std::string(static_cast<size_t>(filled), '='), kWidth, done, total, left_s);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

InterruptScope::InterruptScope() : InterruptScope(nullptr, SecondInterrupt::kEnds) {}

InterruptScope::InterruptScope(Context& context, SecondInterrupt second) : InterruptScope(&context, second) {}

InterruptScope::InterruptScope(Context* context, SecondInterrupt second) {
  interrupts.store(0);
  patient.store(second == SecondInterrupt::kPatient);
  if (context != nullptr) context->clear_cancel();
  interrupt_target.store(context);
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before_);
}

InterruptScope::~InterruptScope() {
  sigaction(SIGINT, &before_, nullptr);
  interrupt_target.store(nullptr);
}

bool InterruptScope::interrupted() const { return interrupts.load() > 0; }

}  // namespace vl3::cli
