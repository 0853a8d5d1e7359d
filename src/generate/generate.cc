#include "generate/generate.h"

#include <algorithm>
#include <random>
#include <utility>

#include "generate/loop.h"

namespace vl3 {

namespace {

void tell_prefill(const GenerationLoop& loop, const std::vector<uint64_t>& jobs, const Probe& probe,
                  int64_t& told) {
  int64_t done = 0, total = 0;
  for (const uint64_t job : jobs) {
    const JobStatus status = loop.status(job);
    done += status.prefilled_tokens;
    total += status.prompt_tokens;
  }
  if (done > told) probe.progress("prefill", told = done, total);
}

}  // namespace

uint64_t seed_of(const GenerationConfig& settings) {
  if (settings.seed) return *settings.seed;
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

std::vector<GenerationResult> generate(Context& context, CausalDecoder& decoder, std::vector<Prompt> prompts,
                                       const GenerationConfig& settings, const GenerationHooks& hooks,
                                       const Probe* probe) {
  settings.validate();
  const uint64_t seed = seed_of(settings);
  GenerationLoop loop(context, decoder);
  std::vector<uint64_t> jobs;
  int64_t told = 0;  // tokens of prompts
  const bool tells = probe != nullptr && probe->progress;
  GenerationHooks own = hooks;
  if (tells && settings.num_beams == 1) {  // before a prompt's first token; beams tell theirs at the end
    own.on_token = [&](const StreamEvent& event) {
      if (event.index == 0) tell_prefill(loop, jobs, *probe, told);
      return !hooks.on_token || hooks.on_token(event);
    };
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    jobs.push_back(loop.add(
        {std::move(prompts[i]), {static_cast<int64_t>(i), decoder.vocab_size(), seed, settings, own}, {}}));
  }
  while (loop.step()) {
    loop.check_failures();
    if (tells) tell_prefill(loop, jobs, *probe, told);
  }
  std::vector<GenerationResult> results;
  for (const uint64_t job : jobs) {
    for (GenerationResult& result : loop.take(job)) results.push_back(std::move(result));
  }
  return results;
}

std::vector<std::vector<int64_t>> pad_new_ids(std::span<const GenerationResult> results,
                                              const GenerationConfig& settings) {
  size_t longest = 0;
  for (const GenerationResult& result : results) longest = std::max(longest, result.new_ids.size());
  // The reference's beams take a pad token of 0 for none, and any pad token for none where nothing ends an
  // answer.
  const bool beams = settings.num_beams > 1, ends = !settings.eos_token_id.empty();
  const bool pad_counts = settings.pad_token_id && (!beams || (ends && *settings.pad_token_id != 0));
  int64_t fill = ends ? settings.eos_token_id[0] : -1;
  if (pad_counts) fill = *settings.pad_token_id;
  std::vector<std::vector<int64_t>> rows;
  for (const GenerationResult& result : results) {
    rows.push_back(result.new_ids);
    rows.back().resize(longest, fill);
  }
  return rows;
}

}  // namespace vl3
