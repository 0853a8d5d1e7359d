// Many prompts in one loop: whatever joins, leaves, waits or is preempted, each is answered as if it were
// alone.

#include "generate/loop.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "generate/generate.h"
#include "generate/toy_decoder.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3 {
namespace {

using test::Toy;
using test::ToyDecoder;

constexpr int64_t kVocab = 24;

GenerationConfig random_settings(std::mt19937_64& random) {
  GenerationConfig settings;
  settings.eos_token_id = {2};
  settings.max_new_tokens = 1 + static_cast<int64_t>(random() % 12);
  switch (random() % 5) {
    case 0:
      settings.do_sample = true;
      settings.top_k = 0;
      settings.num_return_sequences = 1 + static_cast<int64_t>(random() % 3);
      break;
    case 1:
      settings.do_sample = true;
      settings.temperature = 0.7;
      settings.repetition_penalty = 1.2;
      break;
    case 2:
      settings.num_beams = 2 + static_cast<int64_t>(random() % 2);
      settings.num_return_sequences = settings.num_beams;
      break;
    case 3:
      settings.prompt_lookup_num_tokens = 4;
      break;
    default:
      settings.logprobs = 2;
  }
  settings.seed = random();
  return settings;
}

// Short ones, long ones, and many whose answers need another block.
std::vector<int64_t> random_ids(std::mt19937_64& random) {
  const size_t lengths[] = {1 + random() % 20, 1 + random() % 200, 54 + random() % 12, 54 + random() % 12};
  std::vector<int64_t> ids(lengths[random() % 4]);
  for (int64_t& id : ids) id = 3 + static_cast<int64_t>(random() % (kVocab - 3));
  return ids;
}

// A job and what it gives when it is alone.
struct Known {
  std::vector<int64_t> ids;
  GenerationConfig settings;
  std::vector<GenerationResult> alone;

  Job job(uint64_t arrival, int priority = 0, const GenerationHooks& hooks = {}) const {
    return {{ids, {}, {}, -1}, {0, kVocab, *settings.seed, settings, hooks}, {priority, "", arrival}};
  }
};

Known known(Context& context, ToyDecoder& decoder, std::mt19937_64& random) {
  Known made{random_ids(random), random_settings(random), {}};
  made.alone = generate(context, decoder, test::prompts_of({made.ids}), made.settings);
  return made;
}

void expect_equal(const std::vector<GenerationResult>& got, const std::vector<GenerationResult>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].ids, wanted[i].ids);
    EXPECT_EQ(got[i].finish_reason, wanted[i].finish_reason);
    EXPECT_EQ(got[i].sequence_score, wanted[i].sequence_score);
    ASSERT_EQ(got[i].logprobs.size(), wanted[i].logprobs.size());
    for (size_t t = 0; t < got[i].logprobs.size(); ++t)
      EXPECT_EQ(got[i].logprobs[t].logprob, wanted[i].logprobs[t].logprob);
  }
}

// What was cut off has the beginning of the whole answer.
void expect_beginning(const std::vector<GenerationResult>& got, const std::vector<GenerationResult>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size() && !wanted[i].sequence_score; ++i) {
    ASSERT_LE(got[i].new_ids.size(), wanted[i].new_ids.size());
    EXPECT_TRUE(std::equal(got[i].new_ids.begin(), got[i].new_ids.end(), wanted[i].new_ids.begin()));
  }
}

LoopOptions random_options(std::mt19937_64& random) {
  LoopOptions options;
  options.step_tokens = 16 + static_cast<int64_t>(random() % 200);
  options.chunk_tokens = 8 + static_cast<int64_t>(random() % 100);
  options.max_running = random() % 2 == 0 ? 0 : 1 + static_cast<int64_t>(random() % 6);
  options.max_blocks = random() % 2 == 0 ? 0 : 7 + static_cast<int64_t>(random() % 6);
  return options;
}

struct Counts {
  int64_t jobs = 0, cancelled = 0, preemptions = 0;
};

void run_schedule(Context& context, ToyDecoder& decoder, const std::vector<Known>& all,
                  std::mt19937_64& random, Counts& counts) {
  GenerationLoop loop(context, decoder, random_options(random));
  std::map<uint64_t, const Known*> open;
  size_t left = 16;
  while (left > 0 || !open.empty()) {
    if (left > 0 && (open.empty() || random() % 3 != 0)) {
      const Known& chosen = all[random() % all.size()];
      const uint64_t arrival = 16 - left--;
      open.emplace(loop.add(chosen.job(arrival, static_cast<int>(random() % 2))), &chosen);
      continue;
    }
    if (random() % 16 == 0) {
      auto victim = open.begin();
      std::advance(victim, static_cast<ptrdiff_t>(random() % open.size()));
      loop.cancel(victim->first);
      ++counts.cancelled;
      const bool begun = loop.status(victim->first).begun;
      if (begun)
        expect_beginning(loop.take(victim->first), victim->second->alone);
      else
        EXPECT_THROW(loop.take(victim->first), Error);
      open.erase(victim);
      continue;
    }
    loop.step();
    for (auto at = open.begin(); at != open.end();) {
      if (!loop.done(at->first)) {
        ++at;
        continue;
      }
      counts.preemptions += loop.status(at->first).preemptions;
      ++counts.jobs;
      expect_equal(loop.take(at->first), at->second->alone);
      at = open.erase(at);
    }
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_EQ(loop.used_blocks(), 0);
}

TEST(Schedules, EveryJobIsAnsweredAsIfItWereAlone) {
  constexpr int kSchedules = 10000;
  std::mt19937_64 random(25);
  Context one(ContextOptions{.num_threads = 1}), several(ContextOptions{.num_threads = 3});
  ToyDecoder decoder({.seed = 7, .vocab = kVocab, .order = 3, .eos_bias = 1.0f, .timed = true});
  std::vector<Known> all;
  for (int i = 0; i < 200; ++i) all.push_back(known(one, decoder, random));
  Counts counts;
  for (int i = 0; i < kSchedules && !HasFailure(); ++i)
    run_schedule(i % 200 == 0 ? several : one, decoder, all, random, counts);
  EXPECT_GT(counts.preemptions, 1000);
  EXPECT_GT(counts.cancelled, 1000);
  std::printf("%d schedules, %ld answers equal, %ld cancelled, %ld preemptions\n", kSchedules, counts.jobs,
              counts.cancelled, counts.preemptions);
}

// What a step was made of.
class Recorder final : public CausalDecoder {
 public:
  explicit Recorder(CausalDecoder& inner) : inner_(inner) {}
  int64_t vocab_size() const override { return inner_.vocab_size(); }
  KvCache new_cache(const Context& context) const override { return inner_.new_cache(context); }
  Logits decode(Context& context, std::span<const Feed> feeds) override {
    std::vector<int64_t> rows;
    for (const Feed& feed : feeds) {
      if (std::count(feed.ids.begin(), feed.ids.end(), poison) > 0) throw std::runtime_error("poisoned");
      rows.push_back(feed.rows());
    }
    steps.push_back(rows);
    return inner_.decode(context, feeds);
  }
  std::vector<std::vector<int64_t>> steps;
  int64_t poison = -1;

 private:
  CausalDecoder& inner_;
};

Job plain_job(std::vector<int64_t> ids, int64_t count, uint64_t arrival, int priority = 0) {
  GenerationConfig settings;
  settings.max_new_tokens = count;
  return {{std::move(ids), {}, {}, -1}, {0, kVocab, 1, settings, {}}, {priority, "", arrival}};
}

TEST(Budget, ShortPromptsShareAStepAndLongOnesComeInChunks) {
  Context context;
  ToyDecoder toy({.seed = 3, .vocab = kVocab, .eos_bias = -100});
  Recorder decoder(toy);
  GenerationLoop loop(context, decoder, {.step_tokens = 256, .chunk_tokens = 64});
  for (uint64_t i = 0; i < 8; ++i) loop.add(plain_job(std::vector<int64_t>(32, 4), 100, i));
  loop.step();
  EXPECT_EQ(decoder.steps.back(), std::vector<int64_t>(8, 32));
  const uint64_t long_job = loop.add(plain_job(std::vector<int64_t>(1000, 5), 3, 9));
  const uint64_t short_job = loop.add(plain_job(std::vector<int64_t>(10, 6), 3, 10));
  decoder.steps.clear();
  loop.step();
  EXPECT_TRUE(loop.status(short_job).begun) << "it passes the long one by";
  while (!loop.done(long_job)) loop.step();
  for (const std::vector<int64_t>& rows : decoder.steps) {
    EXPECT_EQ(std::count(rows.begin(), rows.end(), 1) >= 8, true) << "all that decode are in every step";
    const int64_t prompts = std::accumulate(rows.begin(), rows.end(), int64_t{0}) - 8;
    EXPECT_LE(prompts, 64 + 31 + 2);
  }
}

TEST(Budget, AChunkLeavesNoRestThatIsTooShort) {
  Context context;
  ToyDecoder toy({.seed = 3, .vocab = kVocab, .eos_bias = -100});
  Recorder decoder(toy);
  GenerationLoop loop(context, decoder, {.step_tokens = 100, .chunk_tokens = 100});
  loop.add(plain_job(std::vector<int64_t>(60, 4), 1, 0));
  loop.add(plain_job(std::vector<int64_t>(60, 5), 1, 0));
  loop.step();
  EXPECT_EQ(decoder.steps.back(), (std::vector<int64_t>{60, 60}));
  const uint64_t alone = loop.add(plain_job(std::vector<int64_t>(203, 4), 1, 1));
  decoder.steps.clear();
  while (!loop.done(alone)) loop.step();
  EXPECT_EQ(decoder.steps, (std::vector<std::vector<int64_t>>{{100}, {103}}));
}

TEST(Budget, AHigherPriorityIsPrefilledFirst) {
  Context context;
  ToyDecoder decoder({.seed = 3, .vocab = kVocab, .eos_bias = -100});
  GenerationLoop loop(context, decoder, {.step_tokens = 64, .chunk_tokens = 64});
  const uint64_t low = loop.add(plain_job(std::vector<int64_t>(300, 4), 1, 0, 0));
  const uint64_t high = loop.add(plain_job(std::vector<int64_t>(300, 5), 1, 1, 5));
  while (!loop.status(high).begun) {
    loop.step();
    EXPECT_FALSE(loop.status(low).begun);
  }
  while (loop.step()) {
  }
  EXPECT_TRUE(loop.done(low));
}

TEST(Cache, TheLowestRankWaitsAndNothingIsLost) {
  Context context;
  ToyDecoder decoder({.seed = 3, .vocab = kVocab, .order = 3, .eos_bias = -100});
  GenerationLoop loop(context, decoder, {.max_blocks = 6});
  std::vector<uint64_t> jobs;
  for (uint64_t i = 0; i < 4; ++i)
    jobs.push_back(loop.add(plain_job(std::vector<int64_t>(50 + i, 4), 150, i, i == 3 ? 1 : 0)));
  while (loop.step()) EXPECT_LE(loop.used_blocks(), 6 + 4);
  EXPECT_EQ(loop.status(jobs[3]).preemptions, 0) << "the highest priority";
  EXPECT_GT(loop.status(jobs[2]).preemptions, 0) << "the latest of the lowest";
  for (uint64_t i = 0; i < 4; ++i) {
    GenerationConfig settings;
    settings.max_new_tokens = 150;
    const auto alone =
        generate(context, decoder, test::prompts_of({std::vector<int64_t>(50 + i, 4)}), settings);
    EXPECT_EQ(loop.take(jobs[i])[0].new_ids, alone[0].new_ids);
  }
  EXPECT_THROW(loop.add(plain_job(std::vector<int64_t>(50, 4), 1000, 9)), Error) << "never fits";
}

TEST(Cache, CommonPrefixesAreComputedOnceAndAnswersAreKept) {
  Context context;
  ToyDecoder decoder({.seed = 3, .vocab = kVocab, .order = 2, .eos_bias = -100});
  PrefixTree prefixes(int64_t{1} << 20);
  GenerationLoop loop(context, decoder, {.prefixes = &prefixes});
  const auto keyed = [](std::vector<int64_t> ids, int64_t count, uint64_t arrival) {
    Job job = plain_job(std::move(ids), count, arrival);
    job.prompt.cache_key = job.prompt.ids;
    return job;
  };
  std::vector<int64_t> ids(200, 4);
  std::vector<uint64_t> jobs;
  for (int64_t i = 0; i < 3; ++i) {
    ids.back() = 5 + i;
    jobs.push_back(loop.add(keyed(ids, 100, 0)));
  }
  while (loop.step()) {
  }
  EXPECT_EQ(loop.status(jobs[0]).cached_tokens, 0);
  // Seventeen rows are computed as many rows are, as they were when nothing was held.
  EXPECT_EQ(loop.status(jobs[1]).cached_tokens, 200 - 17);
  EXPECT_EQ(loop.status(jobs[2]).cached_tokens, 200 - 17);
  std::vector<int64_t> turn = loop.take(jobs[2])[0].ids;  // the next turn: prompt, answer, and more
  turn.push_back(9);
  const uint64_t next = loop.add(keyed(turn, 5, 1));
  while (loop.step()) {
  }
  EXPECT_EQ(loop.status(next).cached_tokens, 301 - 17) << "most of the answer, too";
  GenerationConfig settings;
  settings.max_new_tokens = 5;
  EXPECT_EQ(loop.take(next)[0].new_ids,
            generate(context, decoder, test::prompts_of({turn}), settings)[0].new_ids);
}

TEST(Failures, WhatTheModelThrowsForOneJobEndsThatJob) {
  Context context;
  ToyDecoder toy({.seed = 3, .vocab = kVocab, .eos_bias = -100});
  Recorder decoder(toy);
  decoder.poison = 13;
  GenerationLoop loop(context, decoder);
  const uint64_t good = loop.add(plain_job({4, 5}, 5, 0)), bad = loop.add(plain_job({13}, 5, 1)),
                 other = loop.add(plain_job({6}, 5, 2));
  loop.step();
  EXPECT_TRUE(loop.status(bad).failed);
  while (loop.step()) {
  }
  EXPECT_THROW(loop.take(bad), std::runtime_error);
  GenerationConfig settings;
  settings.max_new_tokens = 5;
  const auto alone = generate(context, toy, test::prompts_of({{4, 5}, {6}}), settings);
  EXPECT_EQ(loop.take(good)[0].new_ids, alone[0].new_ids);
  EXPECT_EQ(loop.take(other)[0].new_ids, alone[1].new_ids);
}

TEST(Failures, SamplingThatCannotGoOnEndsOneJob) {
  Context context;
  ToyDecoder decoder({.seed = 3, .vocab = kVocab, .eos_bias = -100});
  GenerationLoop loop(context, decoder);
  Job stuck = plain_job({4}, 9, 0);
  for (int64_t id = 0; id < kVocab; ++id) stuck.setup.settings.suppress_tokens.push_back(id);
  const uint64_t bad = loop.add(std::move(stuck)), good = loop.add(plain_job({5}, 9, 1));
  while (loop.step()) {
  }
  EXPECT_THROW(loop.take(bad), Error);
  EXPECT_EQ(loop.take(good)[0].new_ids.size(), 9u);
}

TEST(Fairness, ClientsTakeTurnsWithinAPriority) {
  Turns turns;
  std::vector<Rank> waiting = {{0, "a", 1}, {0, "a", 2}, {0, "a", 3}, {0, "b", 4}, {1, "c", 5}, {0, "b", 6}};
  std::vector<uint64_t> order;
  while (!waiting.empty()) {
    const size_t next = turns.next(waiting);
    turns.served(waiting[next]);
    order.push_back(waiting[next].arrival);
    waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(next));
  }
  EXPECT_EQ(order, (std::vector<uint64_t>{5, 1, 4, 2, 6, 3}));
}

}  // namespace
}  // namespace vl3
