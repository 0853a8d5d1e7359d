// videollama3 run: one answer, or a chat when there is no question.

#include <fmt/format.h>
#include <sys/resource.h>

#include "base/check.h"
#include "chat.h"
#include "request_options.h"

namespace vl3::cli {
namespace {

struct RunOptions {
  RequestOptions request;
  ComputeOptions compute;
  bool json = false, explain = false;
};

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

void explain(const std::vector<ClipReport>& clips) {
  for (const ClipReport& clip : clips) {
    fmt::print(stderr, "{}: {} x {}, {} frames at {:.3f} per second{}\n", clip.name, clip.info.width,
               clip.info.height, clip.info.total_frames, clip.info.fps.value_or(1.0),
               clip.frames.fps_assumed ? " (assumed)" : "");
    for (size_t i = 0; i < clip.kept.size(); ++i) {
      fmt::print(stderr, "  frame {:6}  {:8.2f} s  {:4} of {} tokens kept\n", clip.frames.indices[i],
                 clip.frames.timestamps[i], clip.kept[i], clip.tokens_per_frame);
    }
  }
}

void tell_timings(const Answers& answers) {
  const GenerationResult& first = answers.results[0];
  const double rest_s =
      answers.timings.process_s + answers.timings.generate_s - answers.timings.first_token_s;
  const double more = static_cast<double>(first.new_ids.size()) - 1;
  fmt::print(stderr,
             "{} prompt tokens; pixels {:.2f} s, first token after {:.2f} s, {} new tokens{}; peak memory "
             "{:.0f} MiB\n",
             first.ids.size() - first.new_ids.size(), answers.timings.process_s,
             answers.timings.first_token_s, first.new_ids.size(),
             more > 0 && rest_s > 0 ? fmt::format(" at {:.1f} per second", more / rest_s) : "",
             peak_rss_mib());
}

Json as_json(const GenerationResult& result, const Answers& answers) {
  Json line = {
      {"ids", std::vector<int64_t>(result.ids.begin(),
                                   result.ids.end() - static_cast<ptrdiff_t>(result.new_ids.size()))},
      {"new_ids", result.new_ids},
      {"text", result.text},
      {"finish_reason", to_string(result.finish_reason)}};
  if (!answers.inputs.videos.clips.empty()) line["videos"] = to_json(answers.inputs.videos.clips);
  if (!result.logprobs.empty()) {
    Json list = Json::array();
    for (const TokenLogprob& token : result.logprobs) {
      list.push_back({{"id", token.id}, {"logprob", token.logprob}, {"top", token.top}});
    }
    line["logprobs"] = list;
  }
  return line;
}

// Answers of a request; streamed where there is one of them and text is wanted.
void run_request(const RunOptions& options, const Engine& engine, Context& context, ProcessorRequest request,
                 const GenerationConfig& settings, GenerationHooks hooks) {
  options.request.fetch(request, context);
  Progress progress;
  Probe probe;
  probe.progress = [&](std::string_view stage, int64_t done, int64_t total) {
    progress.update(stage, done, total);
  };
  const bool streams =
      !options.json && request.conversations.size() == 1 && settings.num_return_sequences == 1;
  hooks.on_token = [&](const StreamEvent& event) {
    progress.clear();
    if (streams) {
      std::fwrite(event.text.data(), 1, event.text.size(), stdout);
      finish_stdout();
    }
    return true;
  };
  Answers answers = engine.answer(context, request, settings, hooks, &probe);
  for (ClipReport& clip : answers.inputs.videos.clips) {
    clip.name = options.request.shown(clip.name);
    for (std::string& note : clip.notes) note = options.request.shown(note);
  }
  progress.clear();
  if (streams) {
    fmt::print("\n");
    finish_stdout();  // before what follows on stderr
  }
  for (const GenerationResult& result : answers.results) {
    if (options.json)
      print_json(as_json(result, answers));
    else if (!streams)
      fmt::print("{}\n", result.text);
  }
  tell_notes(answers.inputs.videos.clips);
  if (options.explain) explain(answers.inputs.videos.clips);
  if (options.compute.verbose) tell_timings(answers);
}

void run(RunOptions& options) {
  RequestOptions& asked = options.request;
  const bool chats = asked.request_file.empty() && asked.prompt.empty();
  asked.take_media(chats);
  asked.with_names([&] {
    const auto context = options.compute.make_context();
    const Engine engine = asked.open(chats);
    if (!asked.request_file.empty()) {
      const Json file = read_json_argument(asked.request_file);
      const InterruptScope interrupt(*context);
      const GenerationConfig settings = asked.generation(engine, &file);
      run_request(options, engine, *context, asked.parse(engine, file), settings,
                  asked.form(engine, settings, &file));
      return context->check_cancelled();
    }
    const GenerationConfig settings = asked.generation(engine, nullptr);
    require(!chats || !asked.asks_for_form(nullptr), ErrorCode::kInvalidArgument,
            "[command line] a chat's answers have no form: add a question");
    if (chats) return chat(engine, *context, asked, settings);
    const InterruptScope interrupt(*context);
    run_request(options, engine, *context, asked.make(engine, asked.messages()), settings,
                asked.form(engine, settings, nullptr));
    context->check_cancelled();
  });
}

}  // namespace

void add_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "answer about pictures and clips; a chat when there is no question");
  options->request.add_to(*command);
  options->request.add_form_to(*command);
  options->compute.add_to(*command, "auto");
  put_under(*command, kMostUsed, {"--threads", "--verbose"});
  command->add_flag("--json", options->json, "one JSON object a conversation: ids, new_ids, text")
      ->group(kOutput);
  command
      ->add_flag("--explain", options->explain,
                 "which frames were looked at, and the tokens kept of each, on stderr")
      ->group(kOutput);
  command
      ->add_flag("--no-history", options->request.no_history, "a chat's lines are not kept for later chats")
      ->group(kOutput);
  finish_help(*command, {{"run MODEL --image photo.jpg \"What is this?\"", ""},
                         {"run MODEL --image before.png after.png \"What changed?\"", ""},
                         {"run MODEL --video clip.mp4 --fps 2 \"What happens?\"", ""},
                         {"run MODEL --image https://example.com/photo.jpg \"What is this?\"", ""},
                         {"run MODEL --image - \"What is this?\" < photo.jpg", ""},
                         {"run MODEL --image photo.jpg \"Is it day?\" --choices \"yes|no\"", ""},
                         {"run MODEL", "a chat: /help there lists its commands"}});
  command->callback([options] { run(*options); });
}

}  // namespace vl3::cli
