// Media on their way to the encoder: decoded beside the steps, encoded a group at a time between them.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "engine/scheduler_support.h"
#include "vl3/forward_input.h"
#include "vl3/media_decoder.h"

namespace vl3 {
namespace {

// Decodes here, but no picture before it is let go.
class HeldDecoder final : public MediaDecoder {
 public:
  ImageInfo probe_picture(const MediaSource& source, const MediaLimits& limits) override {
    return probe_image(source.data(), limits, source.name());
  }
  void decode_picture(const MediaSource& source, const MediaLimits& limits, Image* image,
                      const RowsReady& ready, bool apply_exif_orientation) override {
    {
      std::unique_lock lock(mutex_);
      asked_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return let_go_; });
    }
    decode_image(source.data(), limits, source.name(), apply_exif_orientation, image, ready);
  }
  std::unique_ptr<VideoReader> open_clip(const std::vector<MediaSource>&, const MediaLimits&, bool,
                                         std::optional<double>) override {
    throw std::logic_error("no clip is shown here");
  }

  void wait_until_asked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return asked_; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    let_go_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false, let_go_ = false;
};

class Slow : public SchedulerTest {
 protected:
  static ProcessorRequest shown(const std::shared_ptr<MediaDecoder>& decoder) {
    ProcessorRequest made = request({{{"type", "image"}, {"image", "it"}}}, "What is it?");
    made.media.emplace("it",
                       MediaSource::bytes(test::read_text(media("shapes.png")), "it").decoded_by(decoder));
    return made;
  }
  const Engine other_ = Engine::open(test::data_path("../../models/tiny"), {});
};

TEST_F(Slow, AStepDoesNotWaitForADecoder) {
  const std::vector<int64_t> expected = alone(request({picture()}, "What is it?"), options().generation);
  for (const int threads : {0, 1}) {
    SchedulerOptions own = here();
    own.processing_threads = threads;
    own.threads_per_request = 1;
    Scheduler scheduler(context_, other_, own);
    const auto decoder = std::make_shared<HeldDecoder>();
    const RequestId id = scheduler.submit(shown(decoder), options());
    step_until(scheduler, id, RequestState::kEncoding);
    while (scheduler.step()) continue;  // until there is nothing to do
    decoder->wait_until_asked();
    EXPECT_EQ(scheduler.status(id).state, RequestState::kEncoding);
    EXPECT_FALSE(scheduler.wait_for_work(0.001));
    decoder->let_go();
    while (!scheduler.done(id)) {
      if (scheduler.step()) continue;
      EXPECT_TRUE(scheduler.wait_for_work(600)) << "nobody told that the picture is there";
    }
    const Answers answers = scheduler.take(id);
    EXPECT_EQ(answers.results[0].new_ids, expected);
    EXPECT_GT(answers.timings.process_s, 0);
    EXPECT_EQ(answers.inputs.ids.size(), 1U);
  }
}

TEST_F(Slow, CancelledWhileItIsDecoded) {
  Scheduler scheduler(context_, other_, {.processing_threads = 1, .threads_per_request = 1});
  const auto decoder = std::make_shared<HeldDecoder>();
  const RequestId id = scheduler.submit(shown(decoder), options());
  std::thread other([&] {
    decoder->wait_until_asked();
    scheduler.cancel(id);
    decoder->let_go();
  });
  scheduler.run(id);
  other.join();
  EXPECT_EQ(scheduler.status(id).outcome, RequestOutcome::kCancelled);
  EXPECT_THROW(scheduler.take(id), Error);
}

TEST_F(Slow, ADeadlinePassesWhileItIsDecoded) {
  bool reached = false;
  // A slow machine may not have begun to decode in time: then with a later deadline.
  for (double deadline_s = 0.05; !reached; deadline_s *= 5) {
    ASSERT_LT(deadline_s, 600);
    Scheduler scheduler(context_, other_, {.processing_threads = 1, .threads_per_request = 1});
    const auto decoder = std::make_shared<HeldDecoder>();
    RequestOptions soon = options();
    soon.deadline_s = deadline_s;
    const RequestId id = scheduler.submit(shown(decoder), soon);
    step_until(scheduler, id, RequestState::kEncoding);
    reached = scheduler.status(id).state == RequestState::kEncoding;
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::duration<double>(deadline_s));
      decoder->let_go();
    });
    scheduler.run(id);
    other.join();
    EXPECT_EQ(scheduler.status(id).outcome, RequestOutcome::kDeadline);
  }
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
