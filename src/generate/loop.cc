#include "generate/loop.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "generate/beam_task.h"
#include "generate/sample_task.h"
#include "ops/row_runs.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// A chunk that does not end its prompt has so many rows at least: fewer would not fill the products.
constexpr int64_t kLeastChunk = 32;
static_assert(kLeastChunk > ops::kFewRows);

// Of a prompt's beginning that was found, so much is used: a rest of few rows would have other bits than it
// has when nothing is found, so that it is never shorter than many rows are.
int64_t most_cached(int64_t length) { return std::max<int64_t>(0, length - ops::kFewRows - 1); }

bool running(JobPhase phase) { return phase == JobPhase::kPrefilling || phase == JobPhase::kDecoding; }

std::exception_ptr cancelled_early() {
  return std::make_exception_ptr(
      Error(ErrorCode::kCancelled, "[generate] cancelled before there was a first token"));
}

}  // namespace

GenerationLoop::GenerationLoop(Context& context, CausalDecoder& decoder, LoopOptions options)
    : context_(context),
      decoder_(decoder),
      options_(options),
      scratch_(static_cast<size_t>(context.threads().size())) {}

uint64_t GenerationLoop::add(Job job) {
  require(job.prompt.length() > 0, ErrorCode::kInvalidArgument,
          "[generate] sequence {} of the batch has no tokens", job.setup.prompt);
  Slot slot;
  slot.number = next_;
  slot.task = make_task(std::move(job.setup), job.prompt);
  slot.prompt = std::move(job.prompt);
  slot.rank = std::move(job.rank);
  require(
      options_.max_blocks == 0 || slot.task->most_blocks() <= options_.max_blocks, ErrorCode::kLimitExceeded,
      "[generate] a prompt of {} tokens and its answers can take {} blocks of {} tokens, and the cache of "
      "keys and values has {}: ask for fewer tokens (max_tokens, max_new_tokens), or make the cache larger "
      "(--kv-cache, kv_cache_bytes)",
      slot.prompt.length(), slot.task->most_blocks(), KvCache::kBlockTokens, options_.max_blocks);
  slots_.emplace(next_, std::move(slot));
  return next_++;
}

const GenerationLoop::Slot& GenerationLoop::slot(uint64_t job) const {
  const auto found = slots_.find(job);
  require(found != slots_.end(), ErrorCode::kNotFound, "[generate] there is no job {}", job);
  return found->second;
}

bool GenerationLoop::done(uint64_t job) const { return slot(job).phase == JobPhase::kDone; }

JobStatus GenerationLoop::status(uint64_t job) const {
  const Slot& s = slot(job);
  JobStatus status;
  status.phase = s.phase;
  status.begun = s.task->begun();
  status.failed = s.failure != nullptr;
  status.prompt_tokens = s.prompt.length();
  status.prefilled_tokens = s.phase == JobPhase::kPrefilling ? s.cache.length()
                            : s.phase == JobPhase::kWaiting  ? 0
                                                             : s.prompt.length();
  status.cached_tokens = s.cached_tokens;
  status.new_tokens = s.task->new_tokens();
  status.preemptions = s.preemptions;
  return status;
}

std::vector<GenerationResult> GenerationLoop::take(uint64_t job) {
  require(done(job), ErrorCode::kInvalidArgument, "[generate] job {} is not done", job);
  const Slot taken = std::move(slots_.extract(job).mapped());
  if (taken.failure) std::rethrow_exception(taken.failure);
  return taken.task->take();
}

void GenerationLoop::check_failures() const {
  for (const auto& [job, slot] : slots_) {
    if (slot.failure) std::rethrow_exception(slot.failure);
  }
}

void GenerationLoop::cancel(uint64_t job) {
  const auto found = slots_.find(job);
  if (found != slots_.end()) cancel(found->second, cancelled_early());
}

void GenerationLoop::cancel(Slot& slot, const std::exception_ptr& reason) {
  if (slot.phase == JobPhase::kDone) return;
  if (!slot.task->begun()) return fail(slot, reason);
  slot.task->cancel();
  retire(slot);
}

void GenerationLoop::fail(Slot& slot, std::exception_ptr failure) {
  slot.failure = std::move(failure);
  retire(slot);
}

// Done: what it held is free, or kept for the prompts to come.
void GenerationLoop::retire(Slot& slot) {
  std::span<const int64_t> answer;
  const KvCache* cache = slot.failure ? nullptr : slot.task->answered(answer);
  if (options_.prefixes != nullptr && cache != nullptr && !slot.prompt.cache_key.empty() && !answer.empty()) {
    std::vector<int64_t> key = std::move(slot.prompt.cache_key);
    key.insert(key.end(), answer.begin(), answer.end());
    options_.prefixes->insert(key, *cache, kind_of(slot, *cache));
  }
  slot.task->drop_caches();
  slot.cache = KvCache();
  slot.prompt.embeds = Tensor();
  slot.phase = JobPhase::kDone;
}

// What keys and values depend on beside the content of a prompt.
CacheKind GenerationLoop::kind_of(const Slot& slot, const KvCache& cache) const {
  return {cache.type(), context_.compute(), slot.prompt.adapter, slot.prompt.cache_salt};
}

// Whole prompts are counted from the start, so that a prefill that has begun can end.
int64_t GenerationLoop::blocks_to_start(const Slot& slot) const {
  return std::max(KvPool::blocks_for(slot.prompt.length() + 1), slot.task->blocks_after_step());
}

int64_t GenerationLoop::used_blocks() const {
  int64_t blocks = 0;
  for (const auto& [job, slot] : slots_) {
    if (running(slot.phase)) blocks += blocks_to_start(slot);
  }
  return blocks;
}

bool GenerationLoop::may_run(const Slot& slot) const {
  if (options_.max_blocks > 0 && used_blocks() + blocks_to_start(slot) > options_.max_blocks) return false;
  if (options_.max_running == 0) return true;
  std::set<uint64_t> requests;
  for (const auto& [job, other] : slots_) {
    if (running(other.phase)) requests.insert(other.rank.arrival);
  }
  return requests.contains(slot.rank.arrival) || static_cast<int64_t>(requests.size()) < options_.max_running;
}

// Whether a prompt that is being prefilled will leave more of this one in the prefix cache than a block.
bool GenerationLoop::waits_for_prefix(const Slot& slot) const {
  if (options_.prefixes == nullptr || slot.prompt.cache_key.empty()) return false;
  return std::any_of(slots_.begin(), slots_.end(), [&](const auto& entry) {
    const Slot& other = entry.second;
    return other.prompt.adapter == slot.prompt.adapter && other.prompt.cache_salt == slot.prompt.cache_salt &&
           other.phase == JobPhase::kPrefilling && !other.prompt.cache_key.empty() &&
           other.cached_tokens + KvCache::kBlockTokens <=
               common_prefix(other.prompt.cache_key, slot.prompt.cache_key);
  });
}

// The next ones in turn get a cache, as long as there is room; where the next one does not fit, those behind
// it wait too, or it would wait forever.
void GenerationLoop::admit() {
  std::vector<Slot*> waiting;
  std::vector<Rank> ranks;
  for (auto& [job, slot] : slots_) {
    if (slot.phase != JobPhase::kWaiting) continue;
    waiting.push_back(&slot);
    ranks.push_back(slot.rank);
  }
  while (!waiting.empty()) {
    const size_t next = turns_.next(ranks);
    Slot& slot = *waiting[next];
    if (!may_run(slot)) return;
    waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(next));
    ranks.erase(ranks.begin() + static_cast<ptrdiff_t>(next));
    if (waits_for_prefix(slot)) continue;
    turns_.served(slot.rank);
    try {
      start(slot);
    } catch (...) {
      fail(slot, std::current_exception());
    }
  }
}

void GenerationLoop::start(Slot& slot) {
  slot.cache = decoder_.new_cache(context_);
  slot.cached_tokens = 0;
  if (options_.prefixes != nullptr && !slot.prompt.cache_key.empty()) {
    KvCache held = options_.prefixes->find(slot.prompt.cache_key, kind_of(slot, slot.cache), slot.cache);
    held.truncate(std::min(held.length(), most_cached(slot.prompt.length())));
    if (held.length() > 0) slot.cache = std::move(held);
    slot.cached_tokens = slot.cache.length();
  }
  slot.phase = JobPhase::kPrefilling;
}

// Everything is computed again later; what was answered stays.
void GenerationLoop::preempt(Slot& slot) {
  slot.task->drop_caches();
  slot.cache = KvCache();
  slot.phase = JobPhase::kWaiting;
  ++slot.preemptions;
}

// Until the next tokens of all that run fit, those of the lowest rank wait. add() made sure that one alone
// fits.
void GenerationLoop::make_room() {
  while (options_.max_blocks > 0 && used_blocks() > options_.max_blocks && preempt_lowest()) {
  }
}

// False where one alone is running.
bool GenerationLoop::preempt_lowest() {
  Slot* lowest = nullptr;
  int64_t count = 0;
  for (auto& [job, slot] : slots_) {
    if (!running(slot.phase)) continue;
    ++count;
    if (lowest == nullptr || !outranks(slot.rank, lowest->rank)) lowest = &slot;
  }
  if (count < 2) return false;
  preempt(*lowest);
  return true;
}

void GenerationLoop::collect_decoding(Feeds& feeds, std::vector<Part>& parts, int64_t& rows) {
  // The step of a request begins when those of its prompts that are under way have their first token.
  std::set<uint64_t> beginning;
  for (const auto& [job, slot] : slots_) {
    if (slot.phase == JobPhase::kPrefilling && !slot.task->begun()) beginning.insert(slot.rank.arrival);
  }
  int64_t catch_up_rows = std::min(options_.step_tokens, options_.chunk_tokens);
  for (auto& [job, slot] : slots_) {
    if (slot.phase != JobPhase::kDecoding || beginning.contains(slot.rank.arrival)) continue;
    const size_t begin = feeds.size();
    slot.task->collect(feeds, catch_up_rows);
    if (feeds.size() > begin) parts.push_back({&slot, begin, feeds.size(), {}, false});
  }
  for (const CausalDecoder::Feed& feed : feeds) rows += feed.rows();
}

void GenerationLoop::add_chunk(Slot& slot, int64_t rows, Feeds& feeds, std::vector<Part>& parts) {
  const int64_t from = slot.cache.length();
  CausalDecoder::Feed feed;
  feed.cache = &slot.cache;
  if (slot.prompt.embeds.defined())
    feed.embeds = slot.prompt.embeds.rows(from, from + rows);
  else
    feed.ids = std::span<const int64_t>(slot.prompt.ids)
                   .subspan(static_cast<size_t>(from), static_cast<size_t>(rows));
  feed.adapter = slot.prompt.adapter;
  const bool last = from + rows == slot.prompt.length() && !slot.task->begun();
  feed.want = last ? CausalDecoder::Want::kLast : CausalDecoder::Want::kNone;
  parts.push_back({&slot, feeds.size(), feeds.size() + 1, {}, last});
  feeds.push_back(std::move(feed));
}

// The highest priority first, of equals the shortest.
std::vector<GenerationLoop::Unfed> GenerationLoop::unfed_prompts() {
  std::vector<Unfed> requests;
  for (auto& [job, slot] : slots_) {
    if (slot.phase != JobPhase::kPrefilling) continue;
    auto of = std::find_if(requests.begin(), requests.end(),
                           [arrival = slot.rank.arrival](const Unfed& r) { return r.arrival == arrival; });
    if (of == requests.end()) of = requests.insert(of, {slot.rank.priority, 0, slot.rank.arrival, {}});
    of->rows += slot.prompt.length() - slot.cache.length();
    of->slots.push_back(&slot);
  }
  std::sort(requests.begin(), requests.end(), [](const Unfed& a, const Unfed& b) {
    return std::tuple(-int64_t{a.priority}, a.rows, a.arrival) <
           std::tuple(-int64_t{b.priority}, b.rows, b.arrival);
  });
  return requests;
}

// The next rows of a prompt, about so many; 0: too few to be worth it. No cut leaves a rest of few rows,
// which have kernels of their own (ops/row_runs.h): bits do not depend on where a prompt is cut.
int64_t GenerationLoop::chunk_of(const Slot& slot, int64_t rows) {
  const int64_t left = slot.prompt.length() - slot.cache.length();
  if (rows < std::min(left, kLeastChunk)) return 0;
  return rows + kLeastChunk > left ? left : rows;
}

// What is left of the step's rows goes to prompts: the highest priority first, within it to requests in equal
// shares, the shortest first, so that a short question passes a long one by.
void GenerationLoop::collect_prompts(Feeds& feeds, std::vector<Part>& parts, int64_t rows) {
  const std::vector<Unfed> requests = unfed_prompts();
  int64_t budget = options_.step_tokens - rows;
  if (rows > 0) budget = std::min(budget, options_.chunk_tokens);
  budget = std::max(budget, kLeastChunk);  // prompts never stand still
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto sharing = std::count_if(requests.begin() + static_cast<ptrdiff_t>(i), requests.end(),
                                       [&](const Unfed& r) { return r.priority == requests[i].priority; });
    int64_t share = std::max(budget / sharing, std::min(budget, kLeastChunk));
    for (Slot* slot : requests[i].slots) {
      const int64_t chunk = chunk_of(*slot, share);
      if (chunk == 0) break;
      add_chunk(*slot, chunk, feeds, parts);
      share -= chunk;
      budget -= chunk;
    }
  }
}

// All together; where that throws, every slot by itself, so that the one that made it throw fails alone.
void GenerationLoop::run(const Feeds& feeds, std::vector<Part>& parts) {
  ++steps_;
  try {
    const Logits logits = decoder_.decode(context_, feeds);
    int64_t row = 0;
    for (Part& part : parts) {
      part.logits = {logits, row};
      for (size_t i = part.begin; i < part.end; ++i) row += feeds[i].logit_rows();
    }
    return;
  } catch (...) {
    context_.check_cancelled();
    if (parts.size() == 1) return fail(*parts[0].slot, std::current_exception());
  }
  for (Part& part : parts) {
    try {
      const auto own = std::span(feeds).subspan(part.begin, part.end - part.begin);
      part.logits = {decoder_.decode(context_, own), 0};
    } catch (...) {
      context_.check_cancelled();
      fail(*part.slot, std::current_exception());
    }
  }
}

// The prompt is in the cache.
void GenerationLoop::prefilled(Slot& slot) {
  if (options_.prefixes != nullptr && !slot.prompt.cache_key.empty())
    options_.prefixes->insert(slot.prompt.cache_key, slot.cache, kind_of(slot, slot.cache));
  slot.task->begin(std::move(slot.cache));
  slot.cache = KvCache();
  slot.phase = JobPhase::kDecoding;
  if (options_.max_blocks == 0) slot.prompt.embeds = Tensor();  // never to be computed again
}

void GenerationLoop::run_choices(const std::vector<ChoiceWork>& work) {
  const auto body = [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) work[static_cast<size_t>(i)](scratch_[static_cast<size_t>(thread)]);
  };
  if (work.size() == 1)
    body(0, 1, 0);  // no need to wake the others
  else if (!work.empty())
    context_.threads().parallel_for(static_cast<int64_t>(work.size()), 1, body);
}

void GenerationLoop::choose_tokens(std::vector<Part>& parts) {
  std::vector<ChoiceWork> work;
  for (Part& part : parts) {
    if (part.slot->failure) continue;
    try {
      const bool decodes = part.slot->phase == JobPhase::kDecoding;
      if (!decodes && part.slot->cache.length() == part.slot->prompt.length()) prefilled(*part.slot);
      if (decodes || part.last_chunk) part.slot->task->choose(part.logits, work);
    } catch (...) {
      fail(*part.slot, std::current_exception());
    }
  }
  run_choices(work);
  for (Part& part : parts) {
    Slot& slot = *part.slot;
    if (slot.failure || slot.phase != JobPhase::kDecoding) continue;
    try {
      slot.task->accept();
      if (slot.task->done()) retire(slot);
    } catch (...) {
      fail(slot, std::current_exception());
    }
  }
}

bool GenerationLoop::step(bool prompts) {
  Feeds feeds;
  std::vector<Part> parts;
  try {
    if (std::all_of(slots_.begin(), slots_.end(),
                    [](const auto& entry) { return entry.second.phase == JobPhase::kDone; }))
      return false;
    context_.check_cancelled();
    make_room();
    admit();
    int64_t rows = 0;
    collect_decoding(feeds, parts, rows);
    if (prompts) collect_prompts(feeds, parts, rows);
    if (!feeds.empty()) run(feeds, parts);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kCancelled) throw;
    for (auto& [job, slot] : slots_) cancel(slot, std::current_exception());
    return false;
  }
  // Events come in the order of jobs, whatever the order of feeds was.
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.slot->number < b.slot->number; });
  choose_tokens(parts);
  return true;
}

std::unique_ptr<Task> make_task(TaskSetup setup, const Prompt& prompt) {
  if (setup.settings.num_beams > 1) return std::make_unique<BeamTask>(std::move(setup), prompt);
  return std::make_unique<SampleTask>(std::move(setup), prompt);
}

}  // namespace vl3
