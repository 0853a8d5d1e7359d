// Media on their way to the encoder: decoded beside the steps, encoded a group at a time between them.

#include <thread>

#include "engine/scheduler_support.h"
#include "vl3/forward_input.h"

namespace vl3 {
namespace {

// A picture that takes a while to be made smaller: a step comes before it is there.
class Slow : public SchedulerTest {
 protected:
  static ProcessorRequest large_picture() {
    constexpr int64_t kSide = 3000;
    Image image{kSide, kSide, std::vector<uint8_t>(kSide * kSide * 3), "RGB"};
    for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(i * i >> 7);
    ProcessorRequest made = request({{{"type", "image"}, {"image", "large"}}}, "What is it?");
    made.media.emplace("large", MediaSource::frames({std::move(image)}));
    return made;
  }
  const Engine other_ = Engine::open(test::data_path("../../models/tiny"), {});
};

TEST_F(Slow, AStepDoesNotWaitForADecoder) {
  const ProcessorRequest large = large_picture();
  for (const int threads : {0, 1}) {
    SchedulerOptions own = here();
    own.processing_threads = threads;
    own.threads_per_request = 1;
    Scheduler scheduler(context_, other_, own);
    const RequestId id = scheduler.submit(large, options());
    int64_t idle = 0;
    while (!scheduler.done(id)) {
      if (scheduler.step()) continue;
      idle += scheduler.status(id).state == RequestState::kEncoding ? 1 : 0;
      EXPECT_TRUE(scheduler.wait_for_work(60)) << "nobody told that the picture is there";
    }
    EXPECT_GT(idle, 0) << threads;
    const Answers answers = scheduler.take(id);
    EXPECT_EQ(answers.results[0].new_ids, alone(large, options().generation));
    EXPECT_GT(answers.timings.process_s, 0);
    EXPECT_EQ(answers.inputs.ids.size(), 1U);
  }
}

TEST_F(Slow, CancelledWhileItIsDecoded) {
  Scheduler scheduler(context_, other_, {.processing_threads = 1, .threads_per_request = 1});
  const RequestId id = scheduler.submit(large_picture(), options());
  while (scheduler.status(id).state < RequestState::kEncoding) scheduler.step();
  std::thread other([&] { scheduler.cancel(id); });
  scheduler.run(id);
  other.join();
  EXPECT_EQ(scheduler.status(id).outcome, RequestOutcome::kCancelled);
  EXPECT_THROW(scheduler.take(id), Error);
  RequestOptions soon = options();
  soon.deadline_s = 1e-3;
  const RequestId late = scheduler.submit(large_picture(), soon);
  scheduler.run(late);
  EXPECT_EQ(scheduler.status(late).outcome, RequestOutcome::kDeadline);
}

TEST_F(SchedulerTest, PixelsThatCameReadyAreEncodedInUnits) {
  ProcessorRequest asked = request({picture(), clip()}, "What is it?");
  asked.conversations.push_back(question({clip()}, "What moves?"));
  asked.conversations.push_back(question({}, "Who?"));
  ProcessorOutput made = engine().processor().process(context_.threads(), asked);
  const ForwardInput input = forward_input(made);
  std::vector<std::vector<int64_t>> wanted;
  for (const Json& conversation : asked.conversations)
    wanted.push_back(alone(engine().processor().request_for(conversation), options().generation));
  SchedulerOptions own = here();
  for (const int64_t patches : {64, 1024}) {
    own.encode_patches = patches;
    Scheduler scheduler(context_, engine(), own);
    const RequestId running = scheduler.submit(request({}, "Who?"), options(400));
    step_until(scheduler, running, RequestState::kDecoding);
    const RequestId id = scheduler.submit(input, options());
    ForwardInput wrong = input;
    wrong.pixel_values = input.pixel_values.rows(0, input.pixel_values.dim(0) - 1);
    const RequestId fails = scheduler.submit(wrong, options());
    int64_t units = 0;
    while (scheduler.status(id).state < RequestState::kPrefilling) {
      const int64_t before = scheduler.status(id).patches_encoded;
      scheduler.step();
      units += scheduler.status(id).patches_encoded > before ? 1 : 0;
    }
    EXPECT_GT(units, patches == 64 ? 4 : 0);
    scheduler.cancel(running);
    scheduler.run(id);
    scheduler.run(fails);
    EXPECT_EQ(scheduler.status(fails).error, ErrorCode::kInvalidArgument);
    const std::vector<GenerationResult> results = scheduler.take(id).results;
    ASSERT_EQ(results.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(results[i].new_ids, wanted[i]) << i;
  }
}

}  // namespace
}  // namespace vl3
