// videollama3 vocabulary: a tokenizer out of rows of training data, for a model that begins from nothing.

#include "vl3/vocabulary.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/file.h"
#include "cli.h"
#include "vl3/training_rows.h"

namespace vl3::cli {
namespace {

// Of the published checkpoint, in the order of its ids.
const std::vector<std::string> kSpecials = {"<|endoftext|>",    "<|im_start|>",     "<|im_end|>",
                                            "<|vision_start|>", "<|vision_end|>",   "<|image_pad|>",
                                            "<|video_pad|>",    "<|stream_start|>", "<|stream_end|>"};

// Every text of the row, each turn with what the template writes around it.
void add_row(VocabularyTrainer& trainer, const TrainRow& row) {
  for (const Json& message : row.messages) {
    trainer.add(message["role"].get<std::string>() + "\n");
    const Json& content = message["content"];
    if (content.is_string()) trainer.add(content.get<std::string>());
    if (!content.is_array()) continue;
    for (const Json& part : content) {
      if (part.contains("text")) trainer.add(part["text"].get<std::string>());
      if (part.contains("video")) trainer.add("Time 0.0s:");
    }
  }
}

}  // namespace

void add_vocabulary(CLI::App& app) {
  struct Options {
    std::string out;
    std::vector<std::string> rows;
    int64_t size = 512, min_count = 100;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "vocabulary",
      "a byte-pair vocabulary out of rows of training data, for a model that begins from nothing");
  command->add_option("out", options->out, "folder that gets tokenizer.json and tokenizer_config.json")
      ->required()
      ->check(CLI::ExistingDirectory);
  command->add_option("--rows", options->rows, "JSON or JSON lines, as `train` reads them")
      ->type_name("FILE")
      ->required();
  command->add_option("--size", options->size, "tokens at most, special ones and the 256 bytes included")
      ->check(CLI::Range(265, 1000000))
      ->capture_default_str();
  command->add_option("--min-count", options->min_count, "times that a pair must occur to be joined")
      ->check(CLI::Range(1, 1000000000))
      ->capture_default_str();
  finish_help(*command, {{"vocabulary OUT --rows rows.jsonl --size 512", ""}});
  command->callback([options] {
    VocabularyTrainer trainer;
    int64_t rows = 0;
    for (const std::string& file : options->rows) {
      read_rows(
          file,
          [&](const Json& row, const std::string& origin) {
            add_row(trainer, parse_row(row, origin, ""));
            ++rows;
          },
          [](const std::string&, const std::string& why) { fail(ErrorCode::kFormat, "{}", why); });
    }
    const auto room = options->size - static_cast<int64_t>(kSpecials.size()) - 256;
    const auto merges = trainer.merges(room, options->min_count);
    write_vocabulary(options->out, kSpecials, "<|im_end|>", "<|endoftext|>", merges);
    fmt::print(stderr, "{}: {} tokens out of {} rows\n", options->out, kSpecials.size() + 256 + merges.size(),
               rows);
  });
}

}  // namespace vl3::cli
