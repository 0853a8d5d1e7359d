// videollama3 bench: how fast a model runs on this machine, beside what the machine could do.

#include "bench/bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cli.h"

namespace vl3::cli {
namespace {

// "448x252" is width × height, "16x448x252" is frames × width × height.
BenchClip parse_clip(const std::string& text) {
  std::vector<int64_t> numbers = {0};
  bool valid = !text.empty();
  for (const char c : text) {
    if (c == 'x') {
      numbers.push_back(0);
    } else {
      valid = valid && c >= '0' && c <= '9' && numbers.back() < 100'000;
      numbers.back() = numbers.back() * 10 + (c - '0');
    }
  }
  valid = valid && (numbers.size() == 2 || numbers.size() == 3);
  require(valid, ErrorCode::kInvalidArgument,
          "[bench] --encode {} should be WIDTHxHEIGHT or FRAMESxWIDTHxHEIGHT in pixels", text);
  if (numbers.size() == 2) numbers.insert(numbers.begin(), 1);
  return {.frames = numbers[0], .height = numbers[2], .width = numbers[1]};
}

std::string size_of(const BenchResult& result) {
  std::string text;
  if (result.frames.value_or(1) > 1) text += fmt::format("{} frames, ", *result.frames);
  if (result.patches) text += fmt::format("{} patches, ", *result.patches);
  if (result.tokens) text += fmt::format("{} tokens, ", *result.tokens);
  if (result.context) text += fmt::format("after {} tokens, ", *result.context);
  if (result.batch.value_or(1) > 1) text += fmt::format("{} sequences, ", *result.batch);
  return text.substr(0, text.size() - std::min<size_t>(2, text.size()));
}

void print_machine(const MachinePeaks& peaks, const ForConditionalGeneration& model, bool mapped) {
  fmt::print("{}, {} threads, {} kernels\n", peaks.cpu, peaks.threads, peaks.path);
  fmt::print("peaks: f32 {:.0f} GFLOP/s", peaks.f32_gflops);
  if (peaks.bf16_gflops) fmt::print(", bf16 {:.0f}", *peaks.bf16_gflops);
  if (peaks.int8_gflops) fmt::print(", int8 {:.0f}", *peaks.int8_gflops);
  fmt::print("; reading {:.1f} GB/s\n", peaks.read_gbs);
  fmt::print("weights: {:.0f} MiB {}\n\n", static_cast<double>(model.weight_bytes()) / 1048576.0,
             mapped ? "in the file's mapping" : "copied into memory");
  fmt::print("{:<15} {:<34} {:<5} {:>9} {:>9} {:>8} {:>6} {:>6} {:>9}\n", "", "", "type", "seconds",
             "tokens/s", "GFLOP/s", "GB/s", "share", "peak MiB");
}

void print_result(const BenchResult& result) {
  const auto number = [](const std::optional<double>& value, int digits) {
    return value ? fmt::format("{:.{}f}", *value, digits) : std::string();
  };
  fmt::print("{:<15} {:<34} {:<5} {:>9.4f} {:>9} {:>8} {:>6} {:>6} {:>9.0f}\n", result.name, size_of(result),
             result.dtype, result.seconds, number(result.tokens_per_s, 1), number(result.gflops, 0),
             number(result.gbs, 1), result.share ? fmt::format("{:.0f} %", *result.share * 100) : "",
             static_cast<double>(result.peak_rss_bytes) / 1048576.0);
  std::fflush(stdout);
}

struct BenchCommand {
  std::string model, adapter;
  std::vector<std::string> encode = {"448x448"};
  BenchOptions bench;
  bool json = false, mapped = false, load = true;
  ComputeOptions compute;
};

void bench_with(const BenchCommand& options) {
  BenchOptions bench = options.bench;
  bench.load = options.load;
  for (const std::string& text : options.encode) {
    if (text != "none") bench.encode.push_back(parse_clip(text));
  }
  for (auto* lengths : {&bench.prefill, &bench.first_token, &bench.decode}) std::erase(*lengths, 0);
  const auto context = options.compute.make_context();
  const InterruptScope interrupts(*context);
  auto model = ForConditionalGeneration::from_pretrained(options.model, options.adapter);
  if (!options.mapped) model = in_memory(model);
  const MachinePeaks peaks = measure_peaks(*context);
  if (!options.json) print_machine(peaks, model, options.mapped);
  const auto results =
      run_bench(*context, model, peaks, bench, options.model, [&](const BenchResult& result) {
        if (!options.json) print_result(result);
      });
  if (options.json) {
    Json report = to_json(peaks, results);
    report["weights"] = options.mapped ? "mapped" : "anonymous";
    print_json(report);
  }
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchCommand>();
  options->bench.prefill = {256, 1024};
  options->bench.first_token = {64};
  options->bench.decode = {256};
  options->bench.batch = {1, 8};
  CLI::App* command = app.add_subcommand(
      "bench", "time per stage, with the share of the machine's own peak, measured beside it");
  add_model_to(*command, options->model);
  const auto list = [&](const char* name, auto& values, const char* help) {
    command->add_option(name, values, help)->delimiter(',')->capture_default_str();
  };
  list("--encode", options->encode,
       "pictures, as WIDTHxHEIGHT, and clips, as FRAMESxWIDTHxHEIGHT; none: none");
  command->add_flag("--repeated", options->bench.repeated, "clips also with every second frame repeated");
  list("--prefill", options->bench.prefill, "prompts of this many tokens; 0: none");
  list("--first-token", options->bench.first_token,
       "a 448x448 picture and this many tokens of text; 0: none");
  list("--decode", options->bench.decode, "tokens already there; 0: none");
  list("--batch", options->bench.batch, "sequences decoded together");
  command->add_flag("!--no-load", options->load, "leave out the time to open the checkpoint");
  command->add_option("--steps", options->bench.steps, "tokens decoded in a measurement")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--repeats", options->bench.repeats, "times each is measured; medians are shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--mapped", options->mapped,
                    "weights stay in the file's mapping (default: copied into memory)");
  command->add_flag("--json", options->json, "one JSON object instead of a table");
  add_adapter_to(*command, options->adapter);
  options->compute.add_to(*command, "auto");
  finish_help(*command,
              {{"bench MODEL", ""},
               {"bench MODEL --encode 448x448,16x252x448 --prefill 0 --decode 256,2048 --batch 1,8", ""}});
  command->callback([options] { bench_with(*options); });
}

}  // namespace vl3::cli
