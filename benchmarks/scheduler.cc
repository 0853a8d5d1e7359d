// What sharing steps is worth: short prompts together against one after the other, and how long a running
// answer waits for its next token while a long prompt is prefilled.
//
//   benchmark_scheduler MODEL [long prompt's tokens, 10000] [chunk_tokens, 128] [seconds of each, 60]

#include "vl3/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/clock.h"
#include "vl3/engine.h"

namespace vl3 {
namespace {

ForwardInput prompt_of(int64_t tokens, int64_t first) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < tokens; ++i) ids.push_back(100 + (first + i * 7) % 1000);
  ForwardInput input;
  input.input_ids = Tensor::from<int64_t>({1, tokens}, ids);
  return input;
}

RequestOptions options_for(const Engine& engine, int64_t new_tokens) {
  RequestOptions options;
  options.generation = engine.default_settings();
  options.generation.do_sample = false;
  options.generation.eos_token_id.clear();
  options.generation.max_length.reset();
  options.generation.max_new_tokens = new_tokens;
  return options;
}

SchedulerOptions here(int64_t chunk_tokens) {
  SchedulerOptions options;
  options.processing_threads = 0;
  options.chunk_tokens = chunk_tokens;
  return options;
}

double seconds_of_prompts(Context& context, const Engine& engine, int64_t count, int64_t tokens,
                          bool together) {
  const double started = now_s();
  Scheduler scheduler(context, engine, here(128));
  std::vector<RequestId> ids;
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(scheduler.submit(prompt_of(tokens, i), options_for(engine, 1)));
    if (!together) scheduler.run(ids.back());
  }
  for (const RequestId id : ids) scheduler.run(id);
  return now_s() - started;
}

void short_prompts(Context& context, const Engine& engine) {
  constexpr int64_t kPrompts = 8, kTokens = 32;
  seconds_of_prompts(context, engine, kPrompts, kTokens, true);  // pages and threads are warm
  double one = 1e9, all = 1e9;
  for (int i = 0; i < 3; ++i) {
    one = std::min(one, seconds_of_prompts(context, engine, kPrompts, kTokens, false));
    all = std::min(all, seconds_of_prompts(context, engine, kPrompts, kTokens, true));
  }
  fmt::print("{} prompts of {} tokens: one after the other {:.3f} s, in one step {:.3f} s: {:.2f} x\n",
             kPrompts, kTokens, one, all, one / all);
}

void long_prompt(Context& context, const Engine& engine, int64_t tokens, int64_t chunk_tokens,
                 double most_s) {
  Scheduler scheduler(context, engine, here(chunk_tokens));
  double last = 0, longest = 0, alone = 0;
  bool beside = false;
  RequestOptions running = options_for(engine, 4000);
  running.hooks.on_token = [&](const StreamEvent&) {
    const double now = now_s();
    if (last > 0) (beside ? longest : alone) = std::max(beside ? longest : alone, now - last);
    last = now;
    return true;
  };
  const RequestId answer = scheduler.submit(prompt_of(32, 0), running);
  for (int i = 0; i < 12; ++i) scheduler.step();
  beside = true;
  const double started = now_s();
  const RequestId prompt = scheduler.submit(prompt_of(tokens, 5), options_for(engine, 1));
  double longest_step = 0;
  while (!scheduler.done(prompt) && now_s() - started < most_s) {
    const double begin = now_s();
    scheduler.step();
    longest_step = std::max(longest_step, now_s() - begin);
  }
  const RequestStatus status = scheduler.done(prompt) ? RequestStatus() : scheduler.status(prompt);
  fmt::print(
      "a prompt of {} tokens in chunks of {}{}: {:.1f} s; between two tokens of a running answer at most "
      "{:.3f} s (a step: {:.3f} s; alone {:.3f} s)\n",
      tokens, chunk_tokens,
      status.prompt_tokens > 0 ? fmt::format(" (stopped at {})", status.tokens_prefilled) : "",
      now_s() - started, longest, longest_step, alone);
  scheduler.cancel(answer);
}

}  // namespace
}  // namespace vl3

int main(int count, char** arguments) {
  if (count < 2) {
    fmt::print(stderr, "usage: benchmark_scheduler MODEL [tokens [chunk_tokens [seconds]]]\n");
    return 2;
  }
  const auto number = [&](int place, const char* fallback) {
    return std::atof(count > place ? arguments[place] : fallback);
  };
  try {
    vl3::Context context;
    const vl3::Engine engine = vl3::Engine::open(arguments[1]);
    vl3::short_prompts(context, engine);
    vl3::long_prompt(context, engine, static_cast<int64_t>(number(2, "10000")),
                     static_cast<int64_t>(number(3, "128")), number(4, "60"));
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
