// videollama3 plan: what a request would take, from headers alone.

#include <fmt/format.h>

#include "request_options.h"

namespace vl3::cli {
namespace {

void print(const Plan& plan) {
  const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / 1048576.0; };
  for (const MediaPlan& m : plan.media) {
    fmt::print("{} {}: {} x {} pixels, {} frame{}, {} patches, ", m.video ? "clip" : "picture", m.name,
               m.width, m.height, m.frames, m.frames == 1 ? "" : "s", m.patches);
    if (m.min_tokens == m.tokens)
      fmt::print("{} tokens\n", m.tokens);
    else
      fmt::print("{} tokens, {} or more after compression\n", m.tokens, m.min_tokens);
  }
  fmt::print("prompt      at most {} tokens, {} new ones; the context holds {}\n", plan.prompt_tokens,
             plan.new_tokens, plan.context_tokens);
  fmt::print("memory      {:.0f} MiB: pixels {:.0f}, activations {:.0f}, cache {:.0f}; {:.0f} MiB are free\n",
             mib(plan.needed_bytes()), mib(plan.pixel_bytes), mib(plan.activation_bytes),
             mib(plan.cache_bytes), mib(plan.available_bytes));
  fmt::print("weights     {:.0f} MiB, mapped\n", mib(plan.weight_bytes));
  fmt::print("work        {:.2f} TFLOP to encode, {:.2f} TFLOP for the prompt\n", plan.encode_flops * 1e-12,
             plan.prefill_flops * 1e-12);
  fmt::print("first token after about {:.1f} s\n", plan.estimated_s);
  const std::string reason = plan.rejection_reason();
  fmt::print("{}\n", reason.empty() ? "fits" : "does not fit: " + reason);
}

}  // namespace

void add_plan(CLI::App& app) {
  struct Options {
    RequestOptions request;
    ComputeOptions compute;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("plan", "frames, tokens, memory and time of a request, before anything is decoded");
  options->request.add_to(*command);
  options->compute.add_to(*command, "auto");
  command->add_flag("--json", options->json, "one JSON object instead of text")->group(kOutput);
  finish_help(*command, {{"plan MODEL --video clip.mp4 --fps 2 \"What happens?\"", ""},
                         {"plan MODEL --request r.json --json", ""}});
  command->callback([options] {
    options->request.take_media(false);
    options->request.with_names([&] {
      const RequestOptions& asked = options->request;
      const auto context = options->compute.make_context();
      const Engine engine = asked.open();
      const bool reads = !asked.request_file.empty();
      const Json file = reads ? read_json_argument(asked.request_file) : Json();
      ProcessorRequest request = reads ? asked.parse(engine, file) : asked.make(engine, asked.messages());
      {
        const InterruptScope interrupt(*context);
        asked.fetch(request, *context);
      }
      Plan plan = engine.plan(context.get(), request, asked.generation(engine, reads ? &file : nullptr));
      for (MediaPlan& media : plan.media) media.name = asked.shown(media.name);
      tell_notes(plan.media);
      if (options->json)
        print_json(plan.to_json());
      else
        print(plan);
    });
  });
}

}  // namespace vl3::cli
