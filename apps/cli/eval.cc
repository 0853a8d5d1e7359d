// videollama3 eval: how many questions with known answers a model answers rightly.

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "eval/evaluate.h"
#include "eval/submission.h"
#include "hub_models.h"
#include "request_options.h"

namespace vl3::cli {
namespace {

struct EvalCommand {
  RequestOptions request;
  ComputeOptions compute;
  std::vector<std::string> files, tasks;
  std::string out, preset, submission;
  int64_t limit = 0;
  std::optional<int64_t> max_new_tokens;
  eval::EvalOptions eval;
  bool json = false, reuse_prompts = false;
};

// What the preset says, but for what was typed beside it.
void apply_preset(EvalCommand& options) {
  constexpr int64_t kNewTokens = 128, kPaperNewTokens = 2048, kPaperFrames = 180;
  const bool paper = options.preset == "paper";
  if (!options.max_new_tokens) options.max_new_tokens = paper ? kPaperNewTokens : kNewTokens;
  RequestOptions& request = options.request;
  if (!paper || request.num_frames || request.all_frames) return;
  if (!request.fps) request.fps = 1;
  if (!request.max_frames) request.max_frames = kPaperFrames;
}

std::filesystem::path out_folder(const EvalCommand& options) {
  if (!options.out.empty()) return options.out;
  const std::string name = called_name(std::filesystem::canonical(options.request.model));
  return name.substr(name.find('/') + 1) + ".eval";
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
  for (const auto& [task, row] : tasks.items()) {
    const Json& accuracy = row["accuracy"];
    fmt::print("{:{}}  {:>7}  {:>8}\n", set + task, width, row["count"].get<int64_t>(),
               accuracy.is_null() ? "-" : fmt::format("{:.2f}", 100 * accuracy.get<double>()));
  }
}

// What some sets count beside their accuracy, a line each.
void print_more(const Json& summary) {
  for (const auto& [set, row] : summary["sets"].items()) {
    if (row.contains("recall")) {
      fmt::print("{}: mean IoU {:.2f}", set, 100 * row["accuracy"].get<double>());
      for (const auto& [from, share] : row["recall"].items())
        fmt::print(", R@{} {:.2f}", from, 100 * share.get<double>());
      fmt::print("\n");
    }
    if (row.contains("pairs")) {
      fmt::print("{}: {:.2f} points of {} pairs", set, row["pairs"]["points"].get<double>(),
                 row["pairs"]["count"].get<int64_t>());
      const Json groups = row["pairs"].value("groups", Json::object());
      for (const auto& [group, points] : groups.items())
        fmt::print(", {} {:.2f}", group, points.get<double>());
      fmt::print("\n");
    }
    if (row.contains("not_scored"))
      fmt::print("{}: {} not scored: a judge or a server has to say\n", set,
                 row["not_scored"].get<int64_t>());
  }
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
  print_more(summary);
}

void write_submission(const EvalCommand& options, const std::vector<eval::Sample>& samples,
                      const eval::AnswerFolder& folder, const std::filesystem::path& out) {
  const eval::Submission made = eval::make_submission(
      options.submission, samples,
      [&](const eval::Sample& sample) { return (*folder.find(sample))["reply"].get<std::string>(); });
  folder.write_submission(made.content);
  fmt::print(stderr, "submission: {}\n", (out / "submission.json").string());
  if (!made.unpicked.empty())
    fmt::print(stderr, "note: {} replies pick no option, the first of them that of {}\n",
               made.unpicked.size(), made.unpicked[0]);
}

void run_eval(EvalCommand& options) {
  const std::vector<std::filesystem::path> files(options.files.begin(), options.files.end());
  const std::vector<eval::Sample> samples =
      eval::choose(eval::read_tasks(files), options.tasks, options.limit);
  if (!options.submission.empty()) eval::check_submission(options.submission, samples);
  apply_preset(options);
  const auto context = options.compute.make_context();
  options.request.engine.feature_cache_bytes = int64_t{256} << 20;
  if (options.reuse_prompts) options.request.engine.prefix_cache_bytes = int64_t{1} << 30;
  const Engine engine = options.request.open();
  options.eval.generation = engine.default_settings();
  options.eval.generation.max_length.reset();
  options.eval.generation.max_new_tokens = options.max_new_tokens;
  options.eval.generation = eval::greedy(options.eval.generation);
  options.eval.request = [&](const Json& messages) { return options.request.make(engine, messages); };
  options.eval.fetch = [&](ProcessorRequest& request) { options.request.fetch(request, *context); };
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
  if (!options.submission.empty()) write_submission(options, samples, folder, out);
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
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  command
      ->add_option("--batch", options->eval.batch,
                   "questions answered at once; replies are the same whatever it is")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("--max-new-tokens", options->max_new_tokens, "longest reply (default: 128)")
      ->check(CLI::Range(1, 1 << 20));
  command
      ->add_option("--preset", options->preset,
                   "paper: what VideoLLaMA3's figures are measured with (--fps 1, --max-frames 180, "
                   "--max-new-tokens 2048)")
      ->check(CLI::IsMember({"paper"}));
  command
      ->add_option("--submission", options->submission,
                   "also write the answers as a server of test sets wants them")
      ->check(CLI::IsMember(eval::submission_formats()));
  command->add_flag("--reuse-prompts", options->reuse_prompts,
                    "what a picture or clip was to the language model is kept for its other questions: "
                    "faster for long clips, and the replies are the same");
  command->add_flag("--json", options->json, "the summary as JSON in place of a table");
  options->request.add_media_to(*command);
  options->compute.add_to(*command, "auto");
  finish_help(*command,
              {{"eval MODEL tasks.jsonl", ""}, {"eval MODEL set1 set2 --limit 100 --out answers", ""}});
  command->callback([options] { run_eval(*options); });
}

}  // namespace vl3::cli
