// videollama3 batch: a file of requests in OpenAI's batch format, a line of answer each.

#include "serve/batch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

#include "answering_options.h"
#include "cli.h"
#include "serve/log.h"

namespace vl3::cli {
namespace {

struct BatchCommand : AnsweringOptions {
  std::string input, output;
  int64_t at_once = 64;
  bool quiet = false;

  void add_to(CLI::App& command);
  void run() const;
};

void BatchCommand::add_to(CLI::App& command) {
  add_model_and_adapters_to(command);
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
  add_media_to(command);
  add_memory_to(command);
  command.add_flag("--quiet", quiet, "no progress on stderr");
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
  require(output != "-", ErrorCode::kInvalidArgument,
          "[--output] is -: answers go into a file, which says what is left to do when it is continued");
  serve::BatchFile answers(output);
  const auto context = compute.make_context();
  const Engine opened = Engine::open(model, engine());
  serve::ApiOptions options = api(opened);
  options.failed = [](const std::string& id, std::string_view what) {
    fmt::print(stderr, "batch: the row \"{}\" failed: {}\n", serve::log_text(id),
               serve::log_text(what, 1000));
  };
  serve::Metrics metrics(options.models.names[0], opened.model().config().text.max_position_embeddings);
  serve::MediaIntake intake(media(metrics));
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
