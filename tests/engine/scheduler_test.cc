// Many requests through one scheduler: each is answered as if it were alone, and what ends one leaves the
// others as they are.

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "engine/scheduler_support.h"
#include "vl3/quantize.h"
#include "vl3/thread_pool.h"

namespace vl3 {
namespace {

// Text, pictures and a clip under several settings, and what each gives alone.
struct Known {
  ProcessorRequest request;
  GenerationConfig settings;
  std::vector<GenerationResult> alone;
};

class Schedules : public SchedulerTest {
 protected:
  static std::vector<Known> known_requests(const Engine& engine, Context& context) {
    std::vector<Known> all;
    const std::vector<std::vector<Json>> shown = {{}, {picture()}, {}, {clip()}, {}, {picture(), clip()},
                                                  {}, {},          {}};
    for (size_t i = 0; i < 18; ++i) {
      const Json asked = question(shown[i % shown.size()], "Number " + std::to_string(i) + "?");
      Known known{
          engine.processor().request_for(asked), options(1 + static_cast<int64_t>(i % 9)).generation, {}};
      known.settings.seed = i;
      if (i % 3 == 1) known.settings.do_sample = true, known.settings.num_return_sequences = 2;
      if (i % 5 == 4) known.settings.num_beams = 2;
      if (i % 7 == 6) known.settings.prompt_lookup_num_tokens = 3;
      if (known.settings.num_beams == 1) known.settings.logprobs = 1;
      known.alone = engine.answer(context, known.request, known.settings).results;
      all.push_back(std::move(known));
    }
    return all;
  }

  SchedulerOptions random_options() {
    SchedulerOptions own;
    own.processing_threads = static_cast<int>(random_() % 3);
    own.threads_per_request = 1;
    own.step_tokens = 64 << random_() % 5;
    own.chunk_tokens = 32 << random_() % 4;
    own.encode_patches = 64;
    own.max_running = 1 + static_cast<int64_t>(random_() % 16);
    own.kv_cache_bytes = random_() % 2 == 0 ? 0 : int64_t{3} << 20;
    return own;
  }

  RequestId submit(Scheduler& scheduler, const Known& chosen) {
    RequestOptions wanted;
    wanted.generation = chosen.settings;
    wanted.client = std::string(1, static_cast<char>('a' + random_() % 3));
    wanted.priority = static_cast<int>(random_() % 2);
    return scheduler.submit(chosen.request, wanted);
  }

  void expect_alone(Scheduler& scheduler, RequestId id, const Known& known) {
    const RequestStatus status = scheduler.status(id);
    preemptions_ += status.preemptions;
    if (status.outcome == RequestOutcome::kCancelled) {
      ++cancelled_;
      try {
        scheduler.take(id);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kCancelled);
      }
      return;
    }
    const std::vector<GenerationResult> got = scheduler.take(id).results;
    ASSERT_EQ(got.size(), known.alone.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].ids, known.alone[i].ids);
      EXPECT_EQ(got[i].text, known.alone[i].text);
      ASSERT_EQ(got[i].logprobs.size(), known.alone[i].logprobs.size());
      for (size_t t = 0; t < got[i].logprobs.size(); ++t)
        EXPECT_EQ(got[i].logprobs[t].logprob, known.alone[i].logprobs[t].logprob) << "to the bit";
    }
    ++answered_;
  }

  void run_schedule(const Engine& used, Context& context, const std::vector<Known>& all) {
    Scheduler scheduler(context, used, random_options());
    std::map<RequestId, const Known*> open;
    for (size_t left = 16; left > 0 || !open.empty();) {
      if (left > 0 && (open.empty() || random_() % 2 == 0)) {
        const Known& chosen = all[random_() % all.size()];
        open.emplace(submit(scheduler, chosen), &chosen);
        --left;
        continue;
      }
      auto victim = open.begin();
      std::advance(victim, static_cast<ptrdiff_t>(random_() % open.size()));
      if (random_() % 40 == 0) scheduler.cancel(victim->first);
      if (!scheduler.step()) scheduler.wait_for_work(1);
      for (auto at = open.begin(); at != open.end();) {
        const auto one = at++;
        if (!scheduler.done(one->first)) continue;
        expect_alone(scheduler, one->first, *one->second);
        open.erase(one);
      }
    }
    const bool keeps = used.cache_stats().prompt_tokens > 0;  // what prompts to come may begin with
    EXPECT_TRUE(keeps || scheduler.stats().cache_blocks == 0);
  }

  std::mt19937_64 random_{25};
  int64_t answered_ = 0, cancelled_ = 0, preemptions_ = 0;
};

TEST_F(Schedules, EveryRequestIsAnsweredAsIfItWereAlone) {
  constexpr int kSchedules = test::kSanitized ? 10 : 200;
  const std::vector<Known> all = known_requests(engine(), context_);
  const Engine decodes = Engine::open(test::data_path("../../models/tiny"), {});  // whatever was seen before
  for (int round = 0; round < kSchedules && !HasFailure(); ++round)
    run_schedule(round % 4 == 0 ? decodes : engine(), context_, all);
  EXPECT_GT(cancelled_, kSchedules / 10);
  std::printf("%d schedules, %ld requests equal, %ld cancelled, %ld preemptions\n", kSchedules, answered_,
              cancelled_, preemptions_);
}

// Where few rows and many have kernels of their own, and keys and values are found again: of every type of
// weights, in the arithmetic that serves.
TEST_F(Schedules, EveryBitIsThatOfTheRequestAlone) {
  constexpr int kSchedules = test::kSanitized ? 1 : 6;
  const test::TemporaryFolder folder;
  const std::filesystem::path demo = test::data_path("../../models/demo");
  Context context(ContextOptions{.compute = Compute::kAuto});
  for (const DType type : {DType::kBF16, DType::kInt8, DType::kInt4}) {
    if (test::kSanitized && type != DType::kInt4) continue;  // which is the least simple
    std::filesystem::path model = demo;
    if (is_quantized(type)) {
      model = folder / std::string(to_string(type));
      QuantizeOptions into;
      into.to = type;
      quantize_checkpoint(context.threads(), demo, model, into);
    }
    EngineOptions options;
    options.feature_cache_bytes = options.prefix_cache_bytes = int64_t{64} << 20;
    const std::vector<Known> all = known_requests(Engine::open(model), context);
    const Engine used = Engine::open(model, options);
    for (int round = 0; round < kSchedules && !HasFailure(); ++round) run_schedule(used, context, all);
    for (const Known& known : all) {  // once more, when its prompt has been seen
      Scheduler scheduler(context, used, here());
      const RequestId id = submit(scheduler, known);
      scheduler.run(id);
      expect_alone(scheduler, id, known);
    }
    EXPECT_GT(used.cache_stats().prompt_tokens, 0);
    EXPECT_FALSE(HasFailure()) << to_string(type);
  }
}

TEST_F(SchedulerTest, WhatIsPreemptedGoesOnAsIfNothingHadBeen) {
  const TextConfig& text = engine().model().config().text;
  SchedulerOptions own = here();
  own.kv_cache_bytes = 12 * text.num_hidden_layers * 2 * text.num_key_value_heads * 64 * text.head_dim * 4;
  Scheduler scheduler(context_, engine(), own);
  std::vector<RequestId> ids;
  std::vector<ProcessorRequest> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(request({}, "Number " + std::to_string(i) + "?"));
    ids.push_back(scheduler.submit(requests.back(), options(200)));
  }
  EXPECT_EQ(scheduler.stats().max_cache_blocks, 12);
  for (size_t i = 0; i < ids.size(); ++i) scheduler.run(ids[i]);
  EXPECT_GT(scheduler.stats().preemptions, 0);
  EXPECT_EQ(scheduler.status(ids[0]).preemptions, 0) << "the first to come";
  for (size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(scheduler.take(ids[i]).results[0].new_ids, alone(requests[i], options(200).generation));
}

TEST_F(SchedulerTest, ThreadsSubmitWhileOneSteps) {
  const ProcessorRequest text = request({}, "Who?"), shows = request({picture()}, "What?");
  const auto text_alone = alone(text, options().generation), shows_alone = alone(shows, options().generation);
  Scheduler scheduler(context_, engine(), {.processing_threads = 2, .threads_per_request = 1});
  std::atomic<int> working = 2;
  const auto client = [&](const std::string& name) {
    for (int i = 0; i < 6; ++i) {
      RequestOptions wanted = options();
      wanted.client = name;
      const RequestId first = scheduler.submit(text, wanted), second = scheduler.submit(shows, wanted),
                      third = scheduler.submit(text, wanted);
      scheduler.cancel(third);
      EXPECT_TRUE(scheduler.wait(first, 600));
      EXPECT_TRUE(scheduler.wait(second, 600));
      EXPECT_TRUE(scheduler.wait(third, 600));
      EXPECT_EQ(scheduler.take(first).results[0].new_ids, text_alone);
      EXPECT_EQ(scheduler.take(second).results[0].new_ids, shows_alone);
      EXPECT_GE(scheduler.stats().finished, 2);
    }
    --working;
  };
  std::thread one(client, "one"), two(client, "two");
  while (working > 0) {
    if (!scheduler.step()) scheduler.wait_for_work(0.02);
  }
  one.join();
  two.join();
  EXPECT_GE(scheduler.stats().finished, 24);
}

class Failures : public SchedulerTest {
 protected:
  // Hooks and settings that fail, by what they are.
  static std::map<std::string, RequestOptions> failing(const Probe& unwatched) {
    std::map<std::string, RequestOptions> all;
    for (const char* name : {"on_token", "make_text", "progress", "constraint", "settings"})
      all[name] = options();
    all["on_token"].hooks.on_token = [](const StreamEvent& event) -> bool {
      if (event.index == 2) throw std::runtime_error("the line is dead");
      return true;
    };
    all["make_text"].hooks.make_text = []() -> std::unique_ptr<TextStream> {
      throw std::runtime_error("no text");
    };
    all["progress"].probe = &unwatched;
    all["constraint"].hooks.allowed = [](const ConstraintQuery& query, TokenMask) {
      return query.new_ids.size() > 3;
    };
    all["settings"].generation.suppress_tokens = {int64_t{1} << 40};
    return all;
  }
};

TEST_F(Failures, EndTheirRequestAlone) {
  const ProcessorRequest text = request({}, "Who?");
  const auto wanted = alone(text, options().generation);
  Probe unwatched;
  unwatched.progress = [](std::string_view stage, int64_t, int64_t) {
    if (stage == "prefill") throw std::runtime_error("nobody looks");
  };
  for (const int threads : {0, 1}) {
    SchedulerOptions own = here();
    own.processing_threads = threads;
    Scheduler scheduler(context_, engine(), own);
    const RequestId first = scheduler.submit(text, options());
    std::map<std::string, RequestId> ids;
    for (const auto& [name, made] : failing(unwatched)) ids[name] = scheduler.submit(text, made);
    ids["media"] = scheduler.submit(request({absent()}, "What?"), options());
    const RequestId last = scheduler.submit(text, options());
    for (const auto& [name, id] : ids) scheduler.run(id);
    for (const RequestId id : {first, last}) {
      scheduler.run(id);
      EXPECT_EQ(scheduler.take(id).results[0].new_ids, wanted);
    }
    EXPECT_EQ(scheduler.status(ids["media"]).error, ErrorCode::kNotFound);
    EXPECT_NE(scheduler.status(ids["media"]).message.find("absent.png"), std::string::npos);
    EXPECT_EQ(scheduler.status(ids["on_token"]).message, "the line is dead");
    EXPECT_EQ(scheduler.status(ids["constraint"]).error, ErrorCode::kInvalidArgument);
    EXPECT_EQ(scheduler.status(ids["settings"]).error, ErrorCode::kInvalidArgument);
    for (const auto& [name, id] : ids) {
      EXPECT_EQ(scheduler.status(id).outcome, RequestOutcome::kFailed) << name;
      EXPECT_ANY_THROW(scheduler.take(id)) << name;
    }
    EXPECT_EQ(scheduler.stats().failed, 6);
  }
}

TEST_F(SchedulerTest, CancelledInEveryState) {
  const ProcessorRequest shows = request({clip()}, "What?"), text = request({}, "Who?");
  const auto wanted = alone(text, options(40).generation);
  EngineOptions plain;  // no cache that would spare the encoder
  const Engine other = Engine::open(test::data_path("../../models/tiny"), plain);
  SchedulerOptions own = here();
  own.step_tokens = own.chunk_tokens = 32;
  own.encode_patches = 1;
  for (const RequestState state : {RequestState::kQueued, RequestState::kEncoding, RequestState::kPrefilling,
                                   RequestState::kDecoding, RequestState::kDone}) {
    Scheduler scheduler(context_, other, own);
    const RequestId neighbour = scheduler.submit(text, options(40));
    step_until(scheduler, neighbour, RequestState::kDecoding);
    const RequestId id = scheduler.submit(shows, options(30));
    step_until(scheduler, id, state);
    EXPECT_EQ(scheduler.status(id).state, state);
    const int64_t had = scheduler.status(id).new_tokens;
    scheduler.cancel(id);
    scheduler.step();
    const RequestStatus status = scheduler.status(id);
    EXPECT_EQ(status.state, RequestState::kDone);
    EXPECT_EQ(status.outcome,
              state == RequestState::kDone ? RequestOutcome::kFinished : RequestOutcome::kCancelled);
    if (state < RequestState::kDecoding) {
      EXPECT_THROW(scheduler.take(id), Error) << to_string(state);
    } else {
      const GenerationResult result = scheduler.take(id).results[0];
      EXPECT_EQ(static_cast<int64_t>(result.new_ids.size()), had);
      EXPECT_EQ(result.finish_reason,
                state == RequestState::kDone ? FinishReason::kLength : FinishReason::kCancelled);
    }
    scheduler.run(neighbour);
    EXPECT_EQ(scheduler.take(neighbour).results[0].new_ids, wanted);
    EXPECT_EQ(scheduler.stats().cache_blocks, 0);
  }
}

TEST_F(SchedulerTest, CancelledWhileItIsProcessed) {
  Scheduler* current = nullptr;
  std::atomic<RequestId> id = 0;
  Probe probe;
  probe.progress = [&](std::string_view stage, int64_t, int64_t) {
    while (stage == "decode" && id == 0) std::this_thread::yield();
    if (stage == "decode") current->cancel(id);
  };
  RequestOptions watched = options();
  watched.probe = &probe;
  const Engine other = Engine::open(test::data_path("../../models/tiny"), {});  // keeps nothing
  Scheduler scheduler(context_, other, {.processing_threads = 1, .threads_per_request = 1});
  current = &scheduler;
  id = scheduler.submit(request({clip()}, "What?"), watched);
  scheduler.run(id);
  EXPECT_EQ(scheduler.status(id).outcome, RequestOutcome::kCancelled);
  EXPECT_THROW(scheduler.take(id), Error);
}

TEST_F(SchedulerTest, DeadlinesHoldInEveryState) {
  SchedulerOptions own = here();
  own.step_tokens = own.chunk_tokens = 32;
  own.encode_patches = 1;
  const Engine other = Engine::open(test::data_path("../../models/tiny"), {});
  for (const RequestState state :
       {RequestState::kQueued, RequestState::kEncoding, RequestState::kPrefilling, RequestState::kDecoding}) {
    bool reached = false;
    // A slow machine may not be there in time: then with a later deadline.
    for (double deadline_s = state == RequestState::kQueued ? 0.001 : 0.1; !reached; deadline_s *= 5) {
      ASSERT_LT(deadline_s, 600) << to_string(state);
      Scheduler scheduler(context_, other, own);
      RequestOptions soon = options(kEndless);
      soon.deadline_s = deadline_s;
      const RequestId id = scheduler.submit(request({clip()}, "What?"), soon);
      step_until(scheduler, id, state);
      reached = scheduler.status(id).state == state;
      std::this_thread::sleep_for(std::chrono::duration<double>(deadline_s));
      scheduler.step();
      const RequestStatus status = scheduler.status(id);
      EXPECT_EQ(status.outcome, RequestOutcome::kDeadline) << to_string(state);
      EXPECT_NE(status.message.find("deadline"), std::string::npos) << status.message;
      if (state < RequestState::kDecoding) {
        EXPECT_THROW(scheduler.take(id), Error);
      } else if (reached) {
        EXPECT_FALSE(scheduler.take(id).results[0].new_ids.empty());
      }
    }
  }
  // Nobody else wakes who waits.
  SchedulerOptions busy;
  busy.max_processed = 1;
  Scheduler scheduler(context_, engine(), busy);
  RequestOptions soon = options();
  soon.deadline_s = 1e-6;
  const RequestId id = scheduler.submit(request({}, "Who?"), soon);
  scheduler.run(id);
  EXPECT_EQ(scheduler.status(id).outcome, RequestOutcome::kDeadline);
}

TEST_F(SchedulerTest, ClientsTakeTurnsAndPrioritiesGoFirst) {
  SchedulerOptions own = here();
  own.max_running = 1;
  own.max_processed = 1;
  Scheduler scheduler(context_, engine(), own);
  std::vector<std::string> order;
  std::vector<RequestId> ids;
  const auto submit = [&](const std::string& client, int priority) {
    RequestOptions wanted = options(3);
    wanted.client = client;
    wanted.priority = priority;
    wanted.hooks.on_token = [&order, client](const StreamEvent& event) {
      if (event.index == 0) order.push_back(client);
      return true;
    };
    ids.push_back(scheduler.submit(request({}, "Who?"), wanted));
  };
  for (int i = 0; i < 3; ++i) submit("many", 0);
  submit("few", 0);
  submit("urgent", 1);
  submit("few", 0);
  EXPECT_EQ(scheduler.status(ids[0]).ahead, 1);
  EXPECT_EQ(scheduler.status(ids[3]).ahead, 4);
  for (const RequestId id : ids) scheduler.run(id);
  EXPECT_EQ(order, (std::vector<std::string>{"urgent", "many", "few", "many", "few", "many"}));
}

TEST_F(SchedulerTest, AShortQuestionPassesALongClip) {
  const Engine other = Engine::open(test::data_path("../../models/tiny"), {});
  SchedulerOptions own = here();
  own.encode_patches = 1;
  own.chunk_tokens = 32;
  Scheduler scheduler(context_, other, own);
  const RequestId text = scheduler.submit(request({}, "Who?"), options(kEndless));
  step_until(scheduler, text, RequestState::kDecoding);
  const RequestId shows = scheduler.submit(request({clip()}, "What?"), options(2));
  int64_t units = 0;
  while (scheduler.status(shows).state < RequestState::kDecoding) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the clip is decoded meanwhile
    const RequestStatus before = scheduler.status(shows), running = scheduler.status(text);
    scheduler.step();
    const RequestStatus after = scheduler.status(shows);
    EXPECT_EQ(scheduler.status(text).new_tokens, running.new_tokens + 1) << "a token in every step";
    const bool encoded = after.patches_encoded > before.patches_encoded;
    const bool prefilled = after.tokens_prefilled > before.tokens_prefilled;
    EXPECT_FALSE(encoded && prefilled);
    units += encoded || prefilled ? 1 : 0;
  }
  EXPECT_GT(units, 3);
}

TEST_F(SchedulerTest, ReadyTensorsAndBatches) {
  ProcessorRequest batch = request({picture()}, "What is it?");
  batch.conversations.push_back(question({}, "Who?"));
  GenerationConfig settings = options().generation;
  settings.num_return_sequences = 2;
  settings.do_sample = true;
  settings.seed = 4;
  const std::vector<GenerationResult> whole = engine().answer(context_, batch, settings).results;
  ASSERT_EQ(whole.size(), 4u);
  EXPECT_EQ(whole[3].prompt, 1);
  EXPECT_EQ(whole[3].sequence, 1);
  ForwardInput input;
  const std::vector<int64_t> ids = {5, 6, 7, 8, 9};
  input.input_ids = Tensor::from<int64_t>({1, 5}, ids);
  const auto direct = engine().model().generate(context_, input, options().generation);
  Scheduler scheduler(context_, engine(), here());
  const RequestId id = scheduler.submit(input, options());
  scheduler.run(id);
  const Answers answers = scheduler.take(id);
  EXPECT_EQ(answers.results[0].new_ids, direct[0].new_ids);
  EXPECT_EQ(answers.results[0].ids.size(), 5u + 8u);
  EXPECT_GT(answers.timings.first_token_s, 0);
}

TEST_F(SchedulerTest, LimitsAndWrongCalls) {
  SchedulerOptions own = here();
  own.max_queued = 1;
  own.kv_cache_bytes = int64_t{1} << 20;
  Scheduler scheduler(context_, engine(), own);
  const RequestId id = scheduler.submit(request({}, "Who?"), options(100000));
  EXPECT_THROW(scheduler.submit(request({}, "Who?"), options()), Error) << "max_queued";
  EXPECT_THROW(scheduler.take(id), Error) << "not done";
  scheduler.run(id);
  EXPECT_EQ(scheduler.status(id).error, ErrorCode::kLimitExceeded) << scheduler.status(id).message;
  EXPECT_THROW(scheduler.take(id), Error);
  EXPECT_THROW(scheduler.take(id), Error) << "taken";
  EXPECT_THROW(scheduler.status(77), Error);
  scheduler.cancel(77);
  RequestOptions wrong = options();
  wrong.deadline_s = 0;
  EXPECT_THROW(scheduler.submit(request({}, "Who?"), wrong), Error);
  wrong = options();
  wrong.adapter = 3;
  EXPECT_THROW(scheduler.submit(request({}, "Who?"), wrong), Error);
  wrong = options();
  wrong.generation.top_p = 7;
  EXPECT_THROW(scheduler.submit(request({}, "Who?"), wrong), Error);
  EXPECT_THROW(scheduler.submit(ProcessorRequest(), options()), Error);
  own.step_tokens = 0;
  EXPECT_THROW(Scheduler(context_, engine(), own), Error);
  EXPECT_FALSE(scheduler.step());
  EXPECT_FALSE(scheduler.wait_for_work(0.001));
}

TEST_F(SchedulerTest, ACancelledContextEndsAllAndIsNotForever) {
  Scheduler scheduler(context_, engine(), here());
  const RequestId running = scheduler.submit(request({}, "Who?"), options(50));
  step_until(scheduler, running, RequestState::kDecoding);
  const RequestId waiting = scheduler.submit(request({}, "Who?"), options(50));
  context_.cancel();
  scheduler.run(running);
  scheduler.run(waiting);
  EXPECT_EQ(scheduler.status(running).outcome, RequestOutcome::kCancelled);
  EXPECT_EQ(scheduler.take(running).results[0].finish_reason, FinishReason::kCancelled);
  EXPECT_THROW(scheduler.take(waiting), Error);
  context_.clear_cancel();
  const RequestId again = scheduler.submit(request({}, "Who?"), options(5));
  scheduler.run(again);
  EXPECT_EQ(scheduler.take(again).results[0].new_ids.size(), 5u);
}

}  // namespace
}  // namespace vl3
