#pragma once
// What the commands of the program share: options, data out on stdout, everything else on stderr, and Ctrl-C.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "help.h"
#include "media_files.h"
#include "vl3/context.h"

namespace vl3::cli {

// Exit statuses.
inline constexpr int kOk = 0, kFailed = 1, kUsage = 2, kInterrupted = 130;

// Options of every command that computes.
struct ComputeOptions {
  int threads = 0;
  std::string compute = "auto";
  std::string cache;  // of keys and values; "": what goes with the weights and compute
  std::string cpu, device;
  bool verbose = false;

  void add_to(CLI::App& command, const std::string& default_compute);
  std::unique_ptr<Context> make_context() const;
};

// Checks of an option's number, whose words name the bound that it misses.
CLI::Validator number_above_zero();
CLI::Validator number_from(double least, double most);

// Marks an option whose value is a checkpoint's folder: a name on a hub may stand in its place, and
// name_models() finds it by the mark. kSettings: the command reads configuration and tokenizer alone, so that
// weights need not come. kNamed: the value is NAME=MODEL.
enum class ModelParts { kAll, kSettings, kNamed };
CLI::Option* takes_model(CLI::Option* option, ModelParts parts = ModelParts::kAll);

// The model that a command takes first: a folder, a file of a checkpoint in it, or a name on a hub.
void add_model_to(CLI::App& command, std::string& model, ModelParts parts = ModelParts::kAll);

// The option --adapter of every command that opens a model to run it.
template <class Path>
void add_adapter_to(CLI::App& command, Path& adapter) {
  takes_model(command.add_option("--adapter", adapter, "LoRA adapter (PEFT's layout) to run on the model"))
      ->transform(checkpoint_folder)
      ->type_name("MODEL")
      ->group(kModelAndMachine);
}

// Each adds one command, or a family of them, to the program. What a command does runs after parsing, as its
// callback.
void add_pull(CLI::App& app);
void add_cache(CLI::App& app);
void add_run(CLI::App& app);
void add_plan(CLI::App& app);
void add_inspect(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_process(CLI::App& app);
void add_forward(CLI::App& app);
void add_generate(CLI::App& app);
void add_quantize(CLI::App& app);
void add_merge(CLI::App& app);
void add_batch(CLI::App& app);
void add_bench(CLI::App& app);
void add_train(CLI::App& app);
void add_scenes(CLI::App& app);
void add_vocabulary(CLI::App& app);
void add_eval(CLI::App& app);
void add_serve(CLI::App& app);

// A JSON file, or standard input for "-".
Json read_json_argument(const std::string& path);
// One line of JSON on stdout.
void print_json(const Json& value);
// Checks that everything written to stdout got there; throws kIo otherwise (a full disk behind a
// redirection).
void finish_stdout();

// What a person should know of clips or their plans (their notes), on stderr, each once.
template <class List>
void tell_notes(const List& clips) {
  std::set<std::string> told;
  for (const auto& clip : clips) {
    for (const std::string& note : clip.notes) {
      if (told.insert(note).second) std::fprintf(stderr, "note: %s\n", note.c_str());
    }
  }
}

// Progress on stderr: a line that is drawn over, only on a terminal, only for stages that take longer than
// half a second.
class Progress {
 public:
  Progress();
  ~Progress();  // removes the line
  void update(std::string_view stage, int64_t done, int64_t total);
  void clear();

 private:
  bool terminal_;
  bool drawn_ = false;
  std::string stage_;
  double stage_started_s_ = 0, last_drawn_s_ = 0;
};

// While one lives, the first Ctrl-C is noted, and cancels the context's work where there is one; a second one
// ends the program with status 130. One at a time. kPatient: only one that comes five seconds after the first
// does, for those who press it twice.
enum class SecondInterrupt { kEnds, kPatient };
class InterruptScope {
 public:
  InterruptScope();
  explicit InterruptScope(Context& context, SecondInterrupt second = SecondInterrupt::kEnds);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  bool interrupted() const;

 private:
  InterruptScope(Context* context, SecondInterrupt second);
  struct sigaction before_ {};
};

}  // namespace vl3::cli
