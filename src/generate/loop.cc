#include "generate/loop.h"

#include <algorithm>
#include <random>
#include <utility>

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
  const auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.task; });
  const auto place = static_cast<size_t>(free - slots_.begin());
  if (free == slots_.end()) slots_.emplace_back();
  slots_[place] = {std::move(task), nullptr};
  return place;
}

bool GenerationLoop::done(size_t place) const { return slots_[place].failure || slots_[place].task->done(); }

void GenerationLoop::cancel(size_t place) { slots_[place].task->cancel(); }

std::vector<GenerationResult> GenerationLoop::take(size_t place) {
  const Slot slot = std::exchange(slots_[place], {});
  if (slot.failure) std::rethrow_exception(slot.failure);
  return slot.task->take();
}

void GenerationLoop::check_failures() const {
  for (const Slot& slot : slots_) {
    if (slot.failure) std::rethrow_exception(slot.failure);
  }
}

void GenerationLoop::cancel_all() {
  for (const Slot& slot : slots_) {
    if (slot.task) slot.task->cancel();
  }
}

bool GenerationLoop::step() {
  std::vector<CausalDecoder::Feed> feeds;
  std::vector<std::pair<size_t, size_t>> parts;  // places, each with the end of its feeds
  for (size_t place = 0; place < slots_.size(); ++place) {
    if (!slots_[place].task || done(place)) continue;
    slots_[place].task->collect(feeds);
    parts.emplace_back(place, feeds.size());
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
  for (const auto& [place, end] : parts) {
    int64_t rows = 0;  // counted first: consuming changes what the feeds point to
    for (; feed < end; ++feed)
      rows += feeds[feed].all_rows ? static_cast<int64_t>(feeds[feed].ids.size()) : 1;
    try {
      slots_[place].task->consume({row, vocab});
    } catch (...) {
      slots_[place].failure = std::current_exception();
    }
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
  while (loop.step()) loop.check_failures();
  std::vector<GenerationResult> results;
  for (size_t i = 0; i < prompts.size(); ++i) {
    for (GenerationResult& result : loop.take(i)) results.push_back(std::move(result));
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
