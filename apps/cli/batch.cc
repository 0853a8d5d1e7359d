// videollama3 batch: a file of requests in OpenAI's batch format, a line of answer each.

#include "serve/batch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

#include "cli.h"

namespace vl3::cli {
namespace {

constexpr double kGiB = 1073741824.0;

struct BatchCommand {
  std::string model, input, output, adapter, media_root;
  std::vector<std::string> names, media_addresses;
  ComputeOptions compute;
  int64_t at_once = 64, max_running = 64;
  double cache_gib = 1, kv_cache_gib = 0;
  bool quiet = false;

  void add_to(CLI::App& command);
  EngineOptions engine() const;
  serve::ApiOptions api(const Engine& opened) const;
  void run() const;
};

void BatchCommand::add_to(CLI::App& command) {
  add_model_to(command, model);
  command.add_option("-i,--input", input, "requests, one JSON object a line; - for standard input")
      ->type_name("FILE")
      ->required()
      ->group(kMostUsed);
  command
      .add_option("-o,--output", output,
                  "answers, one line each; where it is there already, only what it lacks is answered")
      ->type_name("FILE")
      ->required()
      ->group(kMostUsed);
  command.add_option("--at-once", at_once, "requests that are read ahead and under way together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(kMostUsed);
  command
      .add_option("--media-root", media_root,
                  "folder under which requests may name files (file:///…); without it none are read")
      ->type_name("FOLDER")
      ->group(kMostUsed);
  command
      .add_option("--allow-media-address", media_addresses,
                  "block of addresses (10.1.0.0/16) to download from beside the public ones")
      ->type_name("CIDR")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--kv-cache", kv_cache_gib,
                  "GiB of keys and values of all running requests (default: half of the free memory)")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--cache-size", cache_gib,
                  "GiB of prompts, pictures and clips that are kept for later requests; 0: none")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_flag("--quiet", quiet, "no progress on stderr");
  compute.add_to(command, "auto");
  add_adapter_to(command, adapter);
  command.add_option("--model-name", names, "what requests call the model (default: the name of its folder)")
      ->type_name("NAME")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->group(kModelAndMachine);
}

EngineOptions BatchCommand::engine() const {
  EngineOptions options;
  options.adapter = adapter;
  options.prefix_cache_bytes = static_cast<int64_t>(cache_gib * kGiB * 0.75);
  options.feature_cache_bytes = static_cast<int64_t>(cache_gib * kGiB * 0.25);
  return options;
}

serve::ApiOptions BatchCommand::api(const Engine& opened) const {
  serve::ApiOptions options;
  options.models.names = names;
  if (names.empty()) {
    const std::filesystem::path folder = std::filesystem::absolute(model).lexically_normal();
    const auto last = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
    options.models.names = {last.empty() ? "model" : last.string()};
  }
  options.scheduler.max_running = max_running;
  ProcessorRequest request;  // a plan of anything knows what is free
  request.conversations.push_back(Json::array({{{"role", "user"}, {"content", "hello"}}}));
  const Plan plan = opened.plan(nullptr, request, opened.default_settings(), nullptr, false);
  options.scheduler.kv_cache_bytes =
      kv_cache_gib > 0 ? static_cast<int64_t>(kv_cache_gib * kGiB) : plan.available_bytes / 2;
  return options;
}

void tell(const serve::BatchProgress& progress, uint64_t input_bytes, double started_s) {
  const int64_t rows = progress.answered + progress.refused;
  const double seconds = now_s() - started_s;
  std::string text = fmt::format("batch: {} answered, {} refused, {} were there", progress.answered,
                                 progress.refused, progress.skipped);
  if (input_bytes > 0)
    text += fmt::format("; {:.0f} % read",
                        100.0 * static_cast<double>(progress.bytes_read) / static_cast<double>(input_bytes));
  text += fmt::format("; {:.1f} rows a second", seconds > 0 ? static_cast<double>(rows) / seconds : 0);
  if (isatty(STDERR_FILENO) != 0)
    fmt::print(stderr, "\r\x1b[K{}", text);
  else
    fmt::print(stderr, "{}\n", text);
}

void BatchCommand::run() const {
  std::ifstream file;
  uint64_t input_bytes = 0;
  if (input != "-") {
    file.open(input, std::ios::binary);
    require(file.is_open(), ErrorCode::kNotFound, "[{}] cannot be read", input);
    std::error_code error;
    input_bytes = std::filesystem::file_size(input, error);
    if (error) input_bytes = 0;
    require(!std::filesystem::equivalent(input, output, error), ErrorCode::kInvalidArgument,
            "[{}] is the input and the output", input);
  }
  serve::BatchFile answers(output);
  const auto context = compute.make_context();
  const Engine opened = Engine::open(model, engine());
  serve::MediaIntakeOptions media;
  media.root = media_root;
  media.allow_addresses = media_addresses;
  serve::MediaIntake intake(std::move(media));
  serve::ApiOptions options = api(opened);
  serve::Metrics metrics(options.models.names[0], opened.model().config().text.max_position_embeddings);
  const InterruptScope interrupt(*context);
  serve::Api served(std::move(options), *context, opened, intake, metrics);

  const double started_s = now_s();
  double told_s = 0;
  serve::BatchOptions rows;
  rows.at_once = at_once;
  rows.cancelled = [&] { return interrupt.interrupted(); };
  const double every_s = isatty(STDERR_FILENO) != 0 ? 0.5 : 10;
  rows.progress = [&](const serve::BatchProgress& progress) {
    if (quiet || now_s() - told_s < every_s) return;
    told_s = now_s();
    tell(progress, input_bytes, started_s);
  };
  const serve::BatchProgress all =
      serve::run_batch(served, input == "-" ? std::cin : static_cast<std::istream&>(file), answers, rows);
  if (quiet) return;
  tell(all, input_bytes, started_s);
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\n");
  if (all.repeated > 0)
    fmt::print(stderr, "batch: {} rows have the custom_id of another one and were refused\n", all.repeated);
}

}  // namespace

void add_batch(CLI::App& app) {
  auto options = std::make_shared<BatchCommand>();
  CLI::App* command =
      app.add_subcommand("batch", "answer a file of requests (OpenAI's batch format), resumable");
  options->add_to(*command);
  finish_help(*command,
              {{"batch MODEL -i requests.jsonl -o answers.jsonl", "again, it goes on where it was ended"}});
  command->callback([options] { options->run(); });
}

}  // namespace vl3::cli
