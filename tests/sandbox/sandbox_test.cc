// Decoders that crash, hang, take too much or try to get out end alone, and what they were asked is refused.

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "sandbox/misdeeds.h"
#include "sandbox/sandboxed_decoder.h"
#include "sandbox/worker.h"
#include "support/support.h"
#include "vl3/error.h"

namespace vl3::sandbox {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

SandboxOptions options() {
  SandboxOptions options;
  options.command = {"/proc/self/exe", "decode-worker"};
  options.answer_timeout = options.total_timeout = 1h;  // a slow machine is no decoder that hangs
  return options;
}

std::string bytes_of_file(const char* name) { return test::read_text(test::data_path("media") / name); }
MediaSource picture(const std::string& name) {
  return MediaSource::bytes(bytes_of_file("pictures/bmp_RGB.bmp"), name);
}

// Code and words with which a picture of this name is refused.
std::pair<ErrorCode, std::string> refusal(SandboxedDecoder& decoder, const std::string& name) {
  try {
    Image image;
    decoder.decode_picture(picture(name), {}, &image, nullptr);
    ADD_FAILURE() << name << " came through";
    return {ErrorCode::kInternal, ""};
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("[" + name + "]"), 0u) << error.what();
    return {error.code(), error.what()};
  }
}

void expect_well(SandboxedDecoder& decoder) {
  const std::string bytes = bytes_of_file("pictures/bmp_RGB.bmp");
  Image image;
  decoder.decode_picture(picture("well"), {}, &image, nullptr);
  EXPECT_EQ(image.rgb, decode_image(std::as_bytes(std::span(bytes)), {}, "here").rgb);
}

size_t open_files() {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

// What /proc says of a process: one letter ('T': stopped, 'Z': ended and not asked after), and whose it is.
// Nothing where there is none.
struct ProcessState {
  char letter = 0;
  pid_t parent = 0;
};
std::optional<ProcessState> state_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string stat((std::istreambuf_iterator<char>(file)), {});
  const size_t end = stat.rfind(')');
  ProcessState state;
  if (end == std::string::npos ||
      std::sscanf(stat.c_str() + end + 1, " %c %d", &state.letter, &state.parent) != 2)
    return {};
  return state;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t process = std::stoi(name);
    if (const auto state = state_of(process); state && state->parent == parent) children.push_back(process);
  }
  return children;
}

// Children and theirs.
size_t processes_below(pid_t parent) {
  size_t count = 0;
  for (const pid_t child : children_of(parent)) count += 1 + processes_below(child);
  return count;
}

// A signal is delivered some time after it was sent: what a test says of a process then waits for what the
// signal does.
void signal_and_wait(pid_t process, int number, const std::function<bool()>& done) {
  ASSERT_EQ(::kill(process, number), 0);
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!done()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "signal " << number << " did nothing";
    std::this_thread::sleep_for(1ms);
  }
}
bool has_stopped(pid_t process) {
  const auto state = state_of(process);
  return state && state->letter == 'T';
}
bool has_ended(pid_t process) {
  const auto state = state_of(process);
  return !state || state->letter == 'Z' || state->letter == 'X';
}

// Who forks decoders, where no other child was made; 0 where that is not so.
pid_t who_forks_decoders() {
  const std::vector<pid_t> children = children_of(::getpid());
  EXPECT_EQ(children.size(), 1u);
  return children.size() == 1 ? children[0] : 0;
}
// The decoder, where there is one; 0 where that is not so.
pid_t only_decoder() {
  const pid_t forks = who_forks_decoders();
  const std::vector<pid_t> decoders = forks != 0 ? children_of(forks) : std::vector<pid_t>();
  EXPECT_EQ(decoders.size(), 1u);
  return decoders.size() == 1 ? decoders[0] : 0;
}
void kill_who_forks_decoders() {
  const pid_t forks = who_forks_decoders();
  ASSERT_NE(forks, 0);
  signal_and_wait(forks, SIGKILL, [&] { return has_ended(forks); });
}

std::vector<int64_t> all_frames(const VideoReader& reader) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < reader.info().total_frames; ++i) all.push_back(i);
  return all;
}
// A decoder is ahead of who reads by two frames at most: what happens at the first of these comes before the
// last is decoded.
constexpr size_t kAhead = 2;

TEST(Sandbox, ADecoderThatDiesIsTheRequestsErrorAndNobodyElses) {
  SandboxedDecoder decoder(options());
  decoder.check();
  for (const char* name : {"crash", "abort", "exit", "garbage"}) {
    EXPECT_EQ(refusal(decoder, name).first, ErrorCode::kFormat) << name;
    expect_well(decoder);
  }
  const SandboxStats stats = decoder.stats();
  EXPECT_EQ(stats.crashed, 4);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.restarts, 0);
}

TEST(Sandbox, PathsCodeAndTheMediumItselfAreOutOfReach) {
  SandboxedDecoder decoder(options());
  for (const char* name : {"paths", "code", "change"}) {
    Image image;
    EXPECT_NO_THROW(decoder.decode_picture(picture(name), {}, &image, nullptr)) << name;
  }
}

TEST(Sandbox, SocketsProgramsProcessesAndSignalsAreDeadly) {
  SandboxedDecoder decoder(options());
  for (const char* name : {"socket", "execve", "fork", "clone", "kill", "ptrace", "unshare", "io_uring"}) {
    const auto [code, words] = refusal(decoder, name);
    EXPECT_EQ(code, ErrorCode::kFormat);
    EXPECT_NE(words.find("signal 31"), std::string::npos) << name << ": " << words;
  }
  expect_well(decoder);
}

// Whether it is decoded within the time that this decoder allows; a machine may be slow.
bool well_in_time(SandboxedDecoder& decoder) {
  const int64_t timed_out = decoder.stats().timed_out;
  try {
    expect_well(decoder);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded) << error.what();
    EXPECT_EQ(decoder.stats().timed_out, timed_out + 1) << error.what();
    return false;
  }
}

TEST(Sandbox, WhatGivesNoAnswerInTimeIsRefused) {
  bool well = false;
  for (const std::chrono::milliseconds limit : {300ms, 3000ms, 60000ms}) {
    SandboxOptions tight = options();
    tight.answer_timeout = limit;
    SandboxedDecoder slow(tight);
    const auto [code, words] = refusal(slow, "hang");
    EXPECT_EQ(code, ErrorCode::kLimitExceeded);
    EXPECT_NE(words.find(std::to_string(limit.count()) + " ms"), std::string::npos) << words;
    EXPECT_EQ(slow.stats().timed_out, 1);
    well = well_in_time(slow);
    if (well) break;
  }
  EXPECT_TRUE(well) << "after one that hung none is decoded";
}

TEST(Sandbox, TimeOfAProcessorAndMemoryAreLimited) {
  SandboxOptions tight = options();
  tight.cpu_s = 1;
  SandboxedDecoder busy(tight);
  auto [code, words] = refusal(busy, "spin");
  EXPECT_EQ(code, ErrorCode::kLimitExceeded);
  EXPECT_NE(words.find("1 s of a processor"), std::string::npos) << words;
  EXPECT_EQ(busy.stats().timed_out, 1);
#ifndef __SANITIZE_ADDRESS__
  tight = options();
  tight.memory_bytes = uint64_t{256} << 20;
  SandboxedDecoder small(tight);
  std::tie(code, words) = refusal(small, "memory");
  EXPECT_EQ(code, ErrorCode::kLimitExceeded);
  EXPECT_NE(words.find("256 MiB"), std::string::npos) << words;
  expect_well(small);
#endif
}

TEST(Sandbox, PixelsOfAReadingAreLimited) {
  SandboxOptions tight = options();
  tight.max_clip_pixels = 3 * 64 * 64;
  SandboxedDecoder decoder(tight);
  const auto clip = decoder.open_clip(
      {MediaSource::bytes(bytes_of_file("../../../examples/media/moving.mp4"), "clip")}, {}, false, {});
  try {
    clip->read(std::vector<int64_t>(1000, 0), [](size_t, const Image&) { ADD_FAILURE(); });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded);
    EXPECT_NE(std::string(error.what()).find("12288"), std::string::npos) << error.what();
  }
}

TEST(Sandbox, AClipWhoseDecoderDiesMidwayIsRefused) {
  SandboxedDecoder decoder(options());
  const auto bytes = bytes_of_file("long_h264.mp4");
  const auto reader = decoder.open_clip({MediaSource::bytes(bytes, "clip")}, {}, false, {});
  const std::vector<int64_t> all = all_frames(*reader);
  ASSERT_GT(all.size(), 1 + kAhead);
  const pid_t process = only_decoder();
  ASSERT_NE(process, 0);
  size_t frames = 0;
  try {
    reader->read(all, [&](size_t, const Image&) {
      if (++frames == 1) signal_and_wait(process, SIGILL, [&] { return has_ended(process); });
    });
    ADD_FAILURE() << frames << " frames came";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFormat) << error.what();
  }
  EXPECT_LE(frames, 1 + kAhead);
  EXPECT_EQ(decoder.stats().crashed, 1);
  expect_well(decoder);
}

TEST(Sandbox, ReadingAClipIsCancelledWhileItsDecoderHangs) {
  SandboxOptions patient = options();
  patient.answer_timeout = 60s;
  SandboxedDecoder decoder(patient);
  const auto reader =
      decoder.open_clip({MediaSource::bytes(bytes_of_file("long_h264.mp4"), "clip")}, {}, false, {});
  const std::vector<int64_t> all = all_frames(*reader);
  const pid_t process = only_decoder();
  ASSERT_NE(process, 0);
  size_t frames = 0, asked = 0;
  try {
    reader->read(
        all,
        [&](size_t, const Image&) {
          if (++frames > 1) return;
          signal_and_wait(process, SIGSTOP, [&] { return has_stopped(process); });
        },
        // Once for each frame that was on its way already; more often only while nothing comes.
        [&] { return frames > 0 && ++asked > 1 + kAhead; });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled) << "before it took too long: " << error.what();
  }
  EXPECT_LE(frames, 1 + kAhead);
  EXPECT_EQ(decoder.stats().running, 0);
  EXPECT_EQ(decoder.stats().timed_out, 0);
}

TEST(Sandbox, WhoForksDecodersIsStartedAgain) {
  SandboxedDecoder decoder(options());
  decoder.check();
  kill_who_forks_decoders();
  expect_well(decoder);
  EXPECT_EQ(decoder.stats().restarts, 1);
  SandboxOptions wrong = options();
  wrong.command = {"/nonexistent/program"};
  EXPECT_THROW(SandboxedDecoder(wrong).check(), Error);
  wrong.command = {"/bin/true"};
  EXPECT_THROW(SandboxedDecoder(wrong).check(), Error);
}

// A clip that was being decoded is not to blame for it. Whoever forks has no part in the reading: the
// decoders are told of its death, and that takes the time that it takes.
TEST(Sandbox, WhatIsDecodedWhileItDiesIsCutOff) {
  const std::string clip = bytes_of_file("long_h264.mp4");
  for (const bool begun : {false, true}) {
    SandboxedDecoder decoder(options());
    const auto reader = decoder.open_clip({MediaSource::bytes(clip, "clip")}, {}, false, {});
    const std::vector<int64_t> all = all_frames(*reader);
    ASSERT_GT(all.size(), 1 + kAhead);
    const pid_t forks = who_forks_decoders(), process = only_decoder();
    ASSERT_NE(process, 0);
    const auto kill_it = [&] { signal_and_wait(forks, SIGKILL, [&] { return has_ended(process); }); };
    if (!begun) kill_it();
    size_t frames = 0;
    try {
      reader->read(all, [&](size_t, const Image&) {
        if (++frames == 1) kill_it();
      });
      ADD_FAILURE() << frames << " frames came";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.what();
    }
    EXPECT_LE(frames, begun ? 1 + kAhead : 0);
    EXPECT_EQ(decoder.stats().crashed, 0);
    expect_well(decoder);
    EXPECT_EQ(decoder.stats().restarts, 1);
  }
}

TEST(Sandbox, ManyAtOnceLeaveNothingBehind) {
  const size_t files = open_files(), processes = processes_below(::getpid());
  {
    SandboxOptions few = options();
    few.max_decoders = 4;
    SandboxedDecoder decoder(few);
    const std::string good = bytes_of_file("pictures/bmp_RGB.bmp"),
                      clip = bytes_of_file("../../../examples/media/moving.mp4");
    const Image expected = decode_image(std::as_bytes(std::span(good)), {}, "here");
    std::vector<std::thread> threads;
    std::atomic<int> right = 0;
    for (int i = 0; i < 100; ++i) {
      threads.emplace_back([&, i] {
        try {
          if (i % 10 == 7) {
            const auto reader = decoder.open_clip({MediaSource::bytes(clip, "clip")}, {}, false, {});
            size_t frames = 0;
            reader->read(std::vector<int64_t>{0, 1, 2}, [&](size_t, const Image&) { ++frames; });
            right += frames == 3;
            return;
          }
          Image image;
          decoder.decode_picture(picture(i % 10 == 3 ? "crash" : "picture"), {}, &image, nullptr);
          right += i % 10 != 3 && image.rgb == expected.rgb;
        } catch (const Error& error) {
          right += i % 10 == 3 && error.code() == ErrorCode::kFormat;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 100);
    EXPECT_EQ(decoder.stats().running, 0);
    EXPECT_EQ(processes_below(::getpid()), processes + 1);
  }
  EXPECT_EQ(open_files(), files);
  EXPECT_EQ(processes_below(::getpid()), processes);
}

TEST(Sandbox, ClipsThatWaitGiveTheirPlacesUp) {
  SandboxOptions few = options();
  few.max_decoders = 2;
  SandboxedDecoder decoder(few);
  const std::string bytes = bytes_of_file("../../../examples/media/moving.mp4");
  const auto here = VideoReader::open(MediaSource::bytes(bytes, "clip"));
  std::vector<std::unique_ptr<VideoReader>> clips;
  for (int i = 0; i < 6; ++i)
    clips.push_back(decoder.open_clip({MediaSource::bytes(bytes, "clip")}, {}, false, {}));
  EXPECT_LE(decoder.stats().running, 2);
  std::vector<Image> expected;
  here->read(std::vector<int64_t>{1, 3}, [&](size_t, const Image& frame) { expected.push_back(frame); });
  for (const auto& clip : clips) {
    for (int again = 0; again < 2; ++again)
      clip->read(std::vector<int64_t>{1, 3},
                 [&](size_t i, const Image& frame) { EXPECT_EQ(frame.rgb, expected[i].rgb); });
  }
}

}  // namespace
}  // namespace vl3::sandbox

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "decode-worker") == 0)
    return vl3::sandbox::wait_for_orders(vl3::sandbox::do_misdeed);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
