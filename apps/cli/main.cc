// The program: one command per job, `videollama3 --help` lists them.

#include <fmt/format.h>

#include <csignal>
#include <new>
#include <string_view>

#include "cli.h"
#include "help.h"
#include "hub_models.h"
#include "media_arguments.h"
#include "report.h"
#include "sandbox/worker.h"
#include "shell.h"
#include "version.h"
#include "vl3/error.h"

extern "C" {
#include <libavutil/log.h>
}

namespace {

// Names of models become folders once the whole command line was found right, and before its command begins.
class Program : public CLI::App {
 public:
  using CLI::App::App;
  void pre_callback() override {
    for (CLI::App* command : get_subcommands()) vl3::cli::name_models(*command);
  }
};

// The Error's code as an exit status.
int status_of(const vl3::Error& error) {
  return error.code() == vl3::ErrorCode::kCancelled ? vl3::cli::kInterrupted : vl3::cli::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vl3::cli;
  // Not among the commands: `serve` starts it, before anything else is set up.
  if (argc == 2 && std::string_view(argv[1]) == "decode-worker") return vl3::sandbox::wait_for_orders();
  av_log_set_level(AV_LOG_QUIET);  // the library leaves it alone; this process is the program's
  std::signal(SIGPIPE, SIG_IGN);   // a closed pipe is an error like any other
  Program app("VideoLLaMA3: pictures, clips and text in, answers out");
  app.set_version_flag("--version", version_text, "version, commit, kernels, libraries");
  app.require_subcommand(1);
  finish_help(app);  // commands take it over
  const std::vector<std::string> args(argv + (argc > 0 ? 1 : 0), argv + argc);
  add_pull(app);
  add_cache(app);
  add_run(app);
  add_plan(app);
  add_inspect(app);
  add_tokenize(app);
  add_process(app);
  add_forward(app);
  add_generate(app);
  add_quantize(app);
  add_compare(app);
  add_merge(app);
  add_batch(app);
  add_bench(app);
  add_train(app);
  add_scenes(app);
  add_vocabulary(app);
  add_eval(app);
  add_serve(app);
  add_completions(app);
  add_man(app);
  const std::pair<const char*, std::vector<const char*>> headings[] = {
      {"Answers", {"run", "serve", "batch", "plan", "inspect"}},
      {"Models", {"pull", "cache", "quantize", "merge", "train", "vocabulary"}},
      {"Measuring", {"bench", "eval", "compare", "scenes"}},
      {"One stage at a time", {"tokenize", "process", "forward", "generate"}},
      {"This program", {"completions", "man"}}};
  for (const auto& [heading, names] : headings) {
    for (const char* name : names) app.get_subcommand(name)->group(heading);
  }
  finish_help(app, {{"run MODEL --image photo.jpg \"What is this?\"", ""},
                    {"run org/name", "a chat with a model of the hub about pictures and clips"},
                    {"serve MODEL", "the API that clients speak, and a page"},
                    {"inspect MODEL", ""}});
  try {
    const std::vector<std::string> words = spread_media(app, args);
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
    finish_stdout();
    return kOk;
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}", usage_error(app, args, error));
    return kUsage;
  } catch (const vl3::Error& error) {
    fmt::print(stderr, "videollama3: {}\n", error.what());
    return status_of(error);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "videollama3: out of memory\n");
    return kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "videollama3: unexpected: {}\n", error.what());
    return kFailed;
  }
}
