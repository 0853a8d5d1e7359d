#include "generate/loop.h"

#include <algorithm>
#include <random>

#include "base/check.h"
#include "generate/beam_task.h"
#include "generate/generate.h"
#include "generate/sample_task.h"

namespace vl3 {
namespace {

uint64_t fresh_seed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace

size_t GenerationLoop::add(std::unique_ptr<Task> task) {
  tasks_.push_back(std::move(task));
  return tasks_.size() - 1;
}

void GenerationLoop::cancel_all() {
  for (const auto& task : tasks_) task->cancel();
}

bool GenerationLoop::step() {
  std::vector<CausalDecoder::Feed> feeds;
  std::vector<std::pair<Task*, size_t>> parts;  // each task with the end of its feeds
  for (const auto& task : tasks_) {
    if (task->done()) continue;
    task->collect(feeds);
    parts.emplace_back(task.get(), feeds.size());
  }
  if (feeds.empty()) return false;
  Tensor logits;
  try {
    context_.check_cancelled();
    logits = decoder_.decode(context_, feeds);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    cancel_all();
    return false;
  }
  const int64_t vocab = decoder_.vocab_size();
  const float* row = logits.data<float>();
  size_t feed = 0;
  for (const auto& [task, end] : parts) {
    int64_t rows = 0;  // counted first: consuming changes what the feeds point to
    for (; feed < end; ++feed)
      rows += feeds[feed].all_rows ? static_cast<int64_t>(feeds[feed].ids.size()) : 1;
    task->consume({row, vocab});
    row += rows * vocab;
  }
  return true;
}

std::unique_ptr<Task> make_task(TaskSetup setup, Prompt prompt) {
  require(static_cast<int64_t>(prompt.last_logits.size()) == setup.vocab_size, ErrorCode::kInvalidArgument,
          "[generate] prompt {} brings {} logits, the vocabulary has {}", setup.prompt,
          prompt.last_logits.size(), setup.vocab_size);
  if (setup.settings.num_beams > 1) return std::make_unique<BeamTask>(std::move(setup), std::move(prompt));
  return std::make_unique<SampleTask>(std::move(setup), std::move(prompt));
}

std::vector<GenerationResult> generate(Context& context, CausalDecoder& decoder, std::vector<Prompt> prompts,
                                       const GenerationConfig& settings, const GenerationHooks& hooks) {
  settings.validate();
  const uint64_t seed = settings.seed ? *settings.seed : fresh_seed();
  GenerationLoop loop(context, decoder);
  for (size_t i = 0; i < prompts.size(); ++i) {
    loop.add(make_task({static_cast<int64_t>(i), decoder.vocab_size(), seed, settings, hooks},
                       std::move(prompts[i])));
  }
  while (loop.step()) {
  }
  std::vector<GenerationResult> results;
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (GenerationResult& result : loop.task(i).take()) results.push_back(std::move(result));
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
