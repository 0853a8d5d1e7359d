// videollama3 eval: how many questions with known answers a model answers rightly.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "eval/evaluate.h"
#include "request_options.h"

namespace vl3::cli {
namespace {

struct EvalCommand {
  RequestOptions request;
  ComputeOptions compute;
  std::vector<std::string> files, tasks;
  std::string out;
  int64_t limit = 0, max_new_tokens = 128;
  eval::EvalOptions eval;
  bool json = false, reuse_prompts = false;
};

std::filesystem::path out_folder(const EvalCommand& options) {
  if (!options.out.empty()) return options.out;
  return std::filesystem::canonical(options.request.model).filename().string() + ".eval";
}

Json settings_of(const EvalCommand& options) {
  Json settings = {{"compute", options.compute.compute},
                   {"reuse_prompts", options.reuse_prompts},
                   {"cache", options.compute.cache.empty() ? "default" : options.compute.cache},
                   {"generation", options.eval.generation.to_json()},
                   {"media", options.request.media_settings()}};
  const std::filesystem::path& adapter = options.request.engine.adapter;
  if (!adapter.empty()) settings["adapter"] = eval::identity_of(adapter);
  return settings;
}

void print_rows(const std::string& set, const Json& tasks, size_t width) {
  for (const auto& [task, row] : tasks.items())
    fmt::print("{:{}}  {:>7}  {:>8.2f}\n", set + task, width, row["count"].get<int64_t>(),
               100 * row["accuracy"].get<double>());
}

// A row a task; of several sets, each its own.
void print_table(const Json& summary) {
  const bool several = summary["sets"].size() > 1;
  size_t width = 4;
  for (const auto& [set, row] : summary["sets"].items()) {
    for (const auto& [task, ignored] : row["tasks"].items())
      width = std::max(width, task.size() + (several ? set.size() + 1 : 0));
  }
  fmt::print("{:{}}  {:>7}  {:>8}\n", "task", width, "count", "accuracy");
  for (const auto& [set, row] : summary["sets"].items())
    print_rows(several ? set + "/" : "", row["tasks"], width);
  if (several) print_rows("", summary["sets"], width);
  print_rows("", {{"all", summary["overall"]}}, width);
}

void run_eval(EvalCommand& options) {
  const std::vector<std::filesystem::path> files(options.files.begin(), options.files.end());
  const std::vector<eval::Sample> samples =
      eval::choose(eval::read_tasks(files), options.tasks, options.limit);
  const auto context = options.compute.make_context();
  options.request.engine.feature_cache_bytes = int64_t{256} << 20;
  if (options.reuse_prompts) options.request.engine.prefix_cache_bytes = int64_t{1} << 30;
  const Engine engine = options.request.open();
  options.eval.generation = engine.default_settings();
  options.eval.generation.max_length.reset();
  options.eval.generation.max_new_tokens = options.max_new_tokens;
  options.eval.generation = eval::greedy(options.eval.generation);
  options.eval.request = [&](const Json& messages) { return options.request.make(engine, messages); };
  Progress progress;
  options.eval.progress = [&](int64_t done, int64_t total) { progress.update("eval", done, total); };
  const std::filesystem::path out = out_folder(options);
  eval::AnswerFolder folder(out, eval::identity_of(options.request.model), settings_of(options));
  const InterruptScope interrupts(*context);
  const Json summary = eval::evaluate(*context, engine, options.eval, samples, folder);
  progress.clear();
  if (options.json)
    print_json(summary);
  else
    print_table(summary);
  fmt::print(stderr, "every answer: {}\n", (out / "answers.jsonl").string());
}

}  // namespace

void add_eval(CLI::App& app) {
  auto options = std::make_shared<EvalCommand>();
  CLI::App* command =
      app.add_subcommand("eval", "how many questions with known answers a model answers rightly");
  add_model_to(*command, options->request.model);
  command
      ->add_option("tasks", options->files,
                   "tasks.jsonl (docs/evaluation.md), or a folder that holds one; several may be given")
      ->required();
  command
      ->add_option("--out", options->out,
                   "folder of answers.jsonl and summary.json (default: MODEL.eval here); goes on where it "
                   "stopped")
      ->type_name("FOLDER");
  command->add_option("--tasks", options->tasks, "these tasks alone")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--limit", options->limit, "the first N questions of every task; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--batch", options->eval.batch,
                   "questions answered at once; above 16 a reply may differ in its last bits")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("--max-new-tokens", options->max_new_tokens, "longest reply")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_flag("--reuse-prompts", options->reuse_prompts,
                    "what a picture or clip made of the language model is kept for its other questions: "
                    "faster for long clips, but a reply may differ in its last bits");
  command->add_flag("--json", options->json, "the summary as JSON in place of a table");
  options->request.add_media_to(*command);
  options->compute.add_to(*command, "auto");
  finish_help(*command,
              {{"eval MODEL tasks.jsonl", ""}, {"eval MODEL set1 set2 --limit 100 --out answers", ""}});
  command->callback([options] { run_eval(*options); });
}

}  // namespace vl3::cli
