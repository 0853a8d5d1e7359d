// Decoders that crash, hang, take too much or try to get out end alone, and what they were asked is refused.

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
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

// Processes of this session's making: children and theirs.
size_t processes_below(pid_t parent) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat((std::istreambuf_iterator<char>(file)), {});
    const size_t end = stat.rfind(')');
    pid_t of = 0;
    if (end == std::string::npos || std::sscanf(stat.c_str() + end + 1, " %*c %d", &of) != 1 || of != parent)
      continue;
    count += 1 + processes_below(static_cast<pid_t>(std::atoi(name.c_str())));
  }
  return count;
}

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

TEST(Sandbox, TimeAndMemoryAreLimited) {
  SandboxOptions tight = options();
  tight.answer_timeout = 300ms;
  SandboxedDecoder slow(tight);
  auto [code, words] = refusal(slow, "hang");
  EXPECT_EQ(code, ErrorCode::kLimitExceeded);
  EXPECT_NE(words.find("300 ms"), std::string::npos) << words;
  EXPECT_EQ(slow.stats().timed_out, 1);
  expect_well(slow);

  tight = options();
  tight.cpu_s = 1;
  SandboxedDecoder busy(tight);
  EXPECT_EQ(refusal(busy, "spin").first, ErrorCode::kLimitExceeded);
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
  const auto reader = decoder.open_clip({MediaSource::bytes(bytes, "later")}, {}, false, {});
  std::vector<int64_t> all;
  for (int64_t i = 0; i < reader->info().total_frames; ++i) all.push_back(i);
  size_t frames = 0;
  try {
    reader->read(all, [&](size_t, const Image&) {
      ++frames;
      std::this_thread::sleep_for(5ms);
    });
    ADD_FAILURE() << frames << " frames came";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFormat) << error.what();
  }
  EXPECT_LT(frames, all.size());
  expect_well(decoder);
}

TEST(Sandbox, ReadingAClipIsCancelledWhileItsDecoderHangs) {
  SandboxedDecoder decoder(options());
  const auto reader =
      decoder.open_clip({MediaSource::bytes(bytes_of_file("long_h264.mp4"), "clip")}, {}, false, {});
  const int64_t last = reader->info().total_frames - 1;
  std::atomic<bool> cancelled = false;
  const auto begun = std::chrono::steady_clock::now();
  try {
    reader->read(
        std::vector<int64_t>{0, last}, [&](size_t, const Image&) { cancelled = true; },
        [&] { return cancelled.load(); });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  EXPECT_EQ(decoder.stats().running, 0);
}

void kill_who_forks_decoders() {
  std::ifstream file("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  pid_t child = 0;
  while (file >> child) ::kill(child, SIGKILL);
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

// A clip that was being decoded is not to blame for it.
TEST(Sandbox, WhatIsDecodedWhileItDiesIsCutOff) {
  SandboxedDecoder decoder(options());
  const std::string clip = bytes_of_file("../../../examples/media/moving.mp4");
  const auto reader = decoder.open_clip({MediaSource::bytes(clip, "clip")}, {}, false, {});
  kill_who_forks_decoders();
  try {
    reader->read(std::vector<int64_t>{0, 1, 2}, [](size_t, const Image&) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.what();
  }
  EXPECT_EQ(decoder.stats().crashed, 0);
  expect_well(decoder);
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
