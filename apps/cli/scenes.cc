// videollama3 scenes: made-up pictures, clips and texts with questions and answers.

#include "scenes/scenes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cli.h"
#include "scenes/write.h"

namespace vl3::cli {
namespace {

std::vector<scenes::Kind> kinds_of(const std::vector<std::string>& names) {
  std::vector<scenes::Kind> kinds;
  for (const std::string& name : names) {
    const auto& all = scenes::kind_names();
    kinds.push_back(static_cast<scenes::Kind>(std::find(all.begin(), all.end(), name) - all.begin()));
  }
  return kinds;
}

struct ScenesOptions {
  std::string out, split = "train";
  std::vector<std::string> kinds = scenes::kind_names();
  scenes::Options scenes;
  scenes::WriteOptions write;
  ComputeOptions compute;
};

void add_options(CLI::App& command, ScenesOptions& options) {
  command.add_option("out", options.out, "folder to write, which must not exist")->required();
  command.add_option("--count", options.write.count, "how many scenes")
      ->required()
      ->check(CLI::Range(1, 100000000));
  command
      .add_option("--first", options.write.first,
                  "index of the first one: a scene depends on nothing but "
                  "its index and the options")
      ->capture_default_str();
  command.add_option("--seed", options.scenes.seed, "another seed, other scenes")->capture_default_str();
  command
      .add_option("--split", options.split,
                  "train and test share no scene and none of what is held out; "
                  "heldout has nothing else")
      ->check(CLI::IsMember({"train", "test", "heldout"}))
      ->capture_default_str();
  command
      .add_option("--kinds", options.kinds,
                  "kinds of scenes, drawn alike; one given twice comes twice as often")
      ->delimiter(',')
      ->check(CLI::IsMember(scenes::kind_names()))
      ->capture_default_str();
  command.add_option("--min-side", options.scenes.min_side, "of a picture or clip, pixels")
      ->check(CLI::Range(60, 4096))
      ->capture_default_str();
  command.add_option("--max-side", options.scenes.max_side, "of a picture or clip, pixels")
      ->check(CLI::Range(60, 4096))
      ->capture_default_str();
  command.add_option("--questions", options.scenes.questions, "of a scene at most")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command
      .add_option("--ask", options.scenes.ask,
                  "tasks (place, count, …: docs/scenes.md) to ask alone, in every scene")
      ->delimiter(',');
  command.add_flag("--tasks", options.write.tasks,
                   "tasks.jsonl for `eval` instead of scenes.jsonl for `train`");
  options.compute.add_to(command, "auto");
}

void write(ScenesOptions& options) {
  const auto context = options.compute.make_context();
  const InterruptScope interrupts(*context);
  options.scenes.kinds = kinds_of(options.kinds);
  require(options.scenes.min_side <= options.scenes.max_side, ErrorCode::kInvalidArgument,
          "[scenes] --min-side {} is larger than --max-side {}", options.scenes.min_side,
          options.scenes.max_side);
  options.scenes.split = options.split == "train"  ? scenes::Split::kTrain
                         : options.split == "test" ? scenes::Split::kTest
                                                   : scenes::Split::kHeldout;
  Progress progress;
  options.write.progress = [&](int64_t done, int64_t total) { progress.update("scenes", done, total); };
  options.write.cancelled = [&] { return context->cancelled(); };
  scenes::write_scenes(context->threads(), options.scenes, options.write, options.out);
  progress.clear();
  fmt::print(stderr, "{}: {} scenes\n", options.out, options.write.count);
}

}  // namespace

void add_scenes(CLI::App& app) {
  auto options = std::make_shared<ScenesOptions>();
  CLI::App* command = app.add_subcommand(
      "scenes", "made-up pictures, clips and texts with questions and answers, to train and to test with");
  add_options(*command, *options);
  finish_help(*command, {{"scenes OUT --count 1000 --split train", "rows to train with"},
                         {"scenes OUT --count 200 --split test --tasks", "questions for eval"}});
  command->callback([options] { write(*options); });
}

}  // namespace vl3::cli
