// Runs that are interrupted, killed, damaged or out of space go on as if nothing had happened.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "base/random.h"
#include "train_support.h"

namespace vl3 {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSeed = 11;

class Resume : public testing::Test {
 protected:
  Json settings(const std::string& name) const { return test::small_settings(folder_ / name); }
  std::string weights(const std::string& name) const {
    return test::read_text(folder_ / name / "model.safetensors");
  }
  void expect_unbroken(const std::string& name) {
    test::run(settings("unbroken"));
    EXPECT_TRUE(weights(name) == weights("unbroken"));
    EXPECT_EQ(test::log_of(folder_ / name), test::log_of(folder_ / "unbroken"));
    for (const auto& entry : fs::directory_iterator(folder_ / name / "checkpoints"))
      EXPECT_EQ(entry.path().filename().string().find("partial"), std::string::npos) << entry.path();
  }
  // Runs until `step` steps are done, and no further.
  void stop_behind(const Json& json, int64_t step) {
    Context context(test::one_thread());
    TrainHooks hooks;
    hooks.step = [&](const TrainStep& s) {
      if (s.step == step) context.cancel();
    };
    const TrainReport report = train(context, test::config_of(json), hooks);
    EXPECT_EQ(report.steps, step);
    EXPECT_FALSE(report.finished);
  }
  fs::path checkpoint(const std::string& name, int64_t step) const {
    return folder_ / name / "checkpoints" / fmt::format("step-{:08}", step);
  }
  test::TemporaryFolder folder_;
  int runs_ = 0;
};

TEST_F(Resume, BehindAnyStep) {
  for (const int64_t step : {1, 4, 5, 7, 11}) stop_behind(settings("broken"), step);
  const TrainReport report = test::run(settings("broken"));
  EXPECT_EQ(report.resumed, 11);
  EXPECT_TRUE(report.finished);
  expect_unbroken("broken");
}

TEST_F(Resume, WithMastersOfBf16) {
  const auto with_masters = [&](const std::string& name) {
    Json json = settings(name);
    json["dtype"] = json["masters"] = "bf16";
    return json;
  };
  for (const int64_t step : {2, 7}) stop_behind(with_masters("broken"), step);
  EXPECT_EQ(test::run(with_masters("broken")).resumed, 7);
  test::run(with_masters("unbroken"));
  EXPECT_TRUE(weights("broken") == weights("unbroken"));
  EXPECT_EQ(test::log_of(folder_ / "broken"), test::log_of(folder_ / "unbroken"));
}

// A checkpoint of before a key was known goes on where the key has its default now.
TEST_F(Resume, FromSettingsThatLackALaterKey) {
  stop_behind(settings("broken"), 4);
  const fs::path facts = checkpoint("broken", 4) / "training.json";
  Json json = parse_json(test::read_text(facts), "facts");
  EXPECT_EQ(json["settings"].erase("masters"), 1U);
  test::write_text(facts, json.dump());
  EXPECT_EQ(test::run(settings("broken")).resumed, 4);
  expect_unbroken("broken");
}

TEST_F(Resume, InTheMiddleOfSteps) {
  TrainReport report;
  for (uint32_t i = 0; !report.finished; ++i) {
    ASSERT_LT(i, 1000U);
    Context context(test::one_thread());
    const auto delay =
        std::chrono::microseconds(static_cast<int64_t>(1000 * i + 9000 * uniform(kSeed, 1, 0, i)));
    std::jthread stop([&, delay, asked = i < 10](std::stop_token done) {
      const auto end = std::chrono::steady_clock::now() + delay;
      while (asked && !done.stop_requested()) {
        if (std::chrono::steady_clock::now() >= end) return context.cancel();
        std::this_thread::yield();
      }
    });
    report = train(context, test::config_of(settings("broken")));
  }
  expect_unbroken("broken");
}

// Runs f in a process of its own; its exit status, or 128 + the signal that ended it.
template <class F>
int in_child(F&& f, std::chrono::microseconds kill_after = {}) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      f();
      ::_exit(0);
    } catch (const std::exception&) {
      ::_exit(99);
    }
  }
  if (kill_after.count() > 0) {
    std::this_thread::sleep_for(kill_after);
    ::kill(child, SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(Resume, AfterKill) {
  Json json = settings("broken");
  json["save_every"] = 1;  // so that kills meet half-written checkpoints too
  json["keep"] = 3;
  int status = -1, killed = 0;
  for (uint32_t i = 0; status != 0; ++i) {
    ASSERT_LT(i, 200U);
    const auto delay = static_cast<int64_t>(5000 + 3000 * i + 10000 * uniform(kSeed, 2, 0, i));
    const auto run = [&] {
      if (i > 0) return static_cast<void>(test::run(json));
      TrainHooks hooks;  // the first does not come further than this step, however late the signal is
      hooks.step = [](const TrainStep& s) {
        while (s.step == 3) ::pause();
      };
      Context context(test::one_thread());
      train(context, test::config_of(json), hooks);
    };
    status = in_child(run, std::chrono::microseconds(i < 20 ? delay : 0));
    ASSERT_TRUE(status == 0 || status == 128 + SIGKILL) << status;
    killed += status != 0;
  }
  EXPECT_GT(killed, 0);
  test::run(json);  // finished: nothing to do, and what was half written is cleared away
  expect_unbroken("broken");
}

TEST_F(Resume, AHalfWrittenCheckpointIsNone) {
  stop_behind(settings("broken"), 4);
  const fs::path partial = folder_ / "broken" / "checkpoints" / "step-00000007.partial-12345";
  fs::create_directories(partial);
  test::write_text(partial / "training.json", "{\"step\": 7");
  EXPECT_EQ(test::run(settings("broken")).resumed, 4);
  expect_unbroken("broken");
}

TEST_F(Resume, ADamagedCheckpointIsPassedOver) {
  const auto damage_and_run = [&](int64_t step, auto&& damage) {
    const std::string name = fmt::format("broken{}", ++runs_);
    stop_behind(settings(name), step);
    // Twice at the same step, so that the first one is still set aside when the second is.
    for (int round = 0; round < 2; ++round) {
      damage(checkpoint(name, step));
      std::string notes;
      if (round == 0) {
        Context context(test::one_thread());
        TrainHooks hooks;
        hooks.note = [&](std::string_view note) { notes += note; };
        hooks.step = [&](const TrainStep& s) {
          if (s.step == step) context.cancel();
        };
        EXPECT_EQ(train(context, test::config_of(settings(name)), hooks).resumed, 3);
      } else {
        EXPECT_EQ(test::run(settings(name), &notes).resumed, 3);
      }
      EXPECT_NE(notes.find("passing over"), std::string::npos) << notes;
      EXPECT_NE(notes.find(fmt::format("step-{:08}", step)), std::string::npos) << notes;
    }
    expect_unbroken(name);
  };
  damage_and_run(5, [](const fs::path& c) { fs::resize_file(c / "training.safetensors", 5000); });
  damage_and_run(5, [](const fs::path& c) { test::write_text(c / "training.safetensors", ""); });
  for (const char* name :
       {"training.safetensors", "model.safetensors"}) {  // one bit of a weight, with every size right
    damage_and_run(5, [name](const fs::path& c) {
      std::string bytes = test::read_text(c / name);
      bytes[bytes.size() - 100] ^= 1;
      test::write_text(c / name, bytes);
    });
  }
  damage_and_run(5, [](const fs::path& c) { fs::remove(c / "model.safetensors"); });
  damage_and_run(4, [](const fs::path& c) { test::write_text(c / "training.json", "{\"step\": 4,"); });
  damage_and_run(4, [](const fs::path& c) {
    test::write_text(c / "training.json", "{\"step\": \"x\", \"settings\": {}}");
  });
  damage_and_run(5, [](const fs::path& c) { fs::remove(c / "training.json"); });
}

TEST_F(Resume, AFullDiskIsToldOfAndLeavesTheLastCheckpoint) {
  stop_behind(settings("broken"), 4);
  const fs::path message = folder_ / "message";
  const int status = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200 << 10, 200 << 10};  // model.safetensors fits, training.safetensors does not
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ErrorCode code{};
    const std::string error = test::message_of([&] { test::run(settings("broken")); }, &code);
    test::write_text(message, (code == ErrorCode::kIo ? "kIo " : "other ") + error);
  });
  ASSERT_EQ(status, 0);
  const std::string told = test::read_text(message);
  EXPECT_TRUE(told.starts_with("kIo [")) << told;
  EXPECT_NE(told.find("training.safetensors"), std::string::npos) << told;
  EXPECT_FALSE(fs::exists(checkpoint("broken", 6)));
  EXPECT_EQ(test::run(settings("broken")).resumed, 4);
  expect_unbroken("broken");
}

TEST_F(Resume, AnotherTrainingIsRefused) {
  stop_behind(settings("broken"), 4);
  Json other = settings("broken");
  other["weight_decay"] = 0.25;
  ErrorCode code{};
  const std::string message = test::message_of([&] { test::run(other); }, &code);
  EXPECT_EQ(code, ErrorCode::kInvalidArgument);
  EXPECT_NE(message.find("weight_decay (there 0.05, here 0.25)"), std::string::npos) << message;
}

TEST_F(Resume, OldCheckpointsGo) {
  test::run(settings("kept"));
  EXPECT_FALSE(fs::exists(checkpoint("kept", 6)));
  EXPECT_TRUE(fs::exists(checkpoint("kept", 9)));
  EXPECT_TRUE(fs::exists(checkpoint("kept", 12)));
}

}  // namespace
}  // namespace vl3
