// FFmpeg's log belongs to the process: reading clips changes nothing of it. Good clips and such as are cut
// off write nothing; of damaged packets libavformat's own parsers speak, which nobody can reach.

#include "media/quiet.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

extern "C" {
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <cstring>
#include <functional>

#include "media/frame_converter.h"
#include "support/support.h"
#include "vl3/error.h"
#include "vl3/video.h"

namespace vl3 {
namespace {

std::filesystem::path example_clip() { return test::data_path("../../examples/media/moving.mp4"); }

// What is written to stderr while work runs, at FFmpeg's own level of messages.
std::string heard(const std::function<void()>& work) {
  const test::TemporaryFolder folder;
  const std::string path = (folder / "stderr").string();
  std::fflush(stderr);
  const int before = dup(STDERR_FILENO), file = open(path.c_str(), O_CREAT | O_RDWR, 0600);
  dup2(file, STDERR_FILENO);
  const int level = av_log_get_level();
  av_log_set_level(AV_LOG_INFO);
  work();
  EXPECT_EQ(av_log_get_level(), AV_LOG_INFO) << "the level is the process's";
  av_log_set_level(level);
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  close(file);
  return test::read_text(path);
}

void read_all(const std::filesystem::path& path) {
  try {
    const auto reader = VideoReader::open(path, {});
    std::vector<int64_t> all;
    for (int64_t i = 0; i < reader->info().total_frames; ++i) all.push_back(i);
    reader->read(all, [](size_t, const Image&) {}, {});
  } catch (const Error&) {  // what is wrong is told this way
  }
}

// The same file, as somebody opens it who does not care.
void open_plainly(const std::filesystem::path& path) {
  AVFormatContext* context = nullptr;
  if (avformat_open_input(&context, path.c_str(), nullptr, nullptr) >= 0)
    avformat_find_stream_info(context, nullptr);
  avformat_close_input(&context);
}

std::string cut(const std::string& bytes, double share) {
  return bytes.substr(0, static_cast<size_t>(share * static_cast<double>(bytes.size())));
}

TEST(Quiet, GoodClips) {
  EXPECT_EQ(heard([] { read_all(example_clip()); }), "");
}

TEST(Quiet, ClipsThatAreCutOffOrDamaged) {
  const test::TemporaryFolder folder;
  const std::string bytes = test::read_text(example_clip());
  int noisy = 0;
  for (const double share : {0.2, 0.5, 0.9, 0.99}) {
    test::write_text(folder / "clip.mp4", cut(bytes, share));
    EXPECT_EQ(heard([&] { read_all(folder / "clip.mp4"); }), "") << share << " of the file";
    noisy += heard([&] { open_plainly(folder / "clip.mp4"); }).empty() ? 0 : 1;
  }
  EXPECT_GT(noisy, 0) << "FFmpeg has something to say about one of them";
}

// Frames in formats of which the scaler complains.
TEST(Quiet, Scalers) {
  for (const AVPixelFormat format : {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUV410P}) {
    AVFrame* frame = av_frame_alloc();
    frame->format = format;
    frame->width = 60;
    frame->height = 44;
    ASSERT_GE(av_frame_get_buffer(frame, 0), 0);
    for (const AVBufferRef* buffer : frame->buf) {  // one for all planes, or one each
      if (buffer != nullptr) std::memset(buffer->data, 100, buffer->size);
    }
    Image image;
    EXPECT_EQ(heard([&] {
                FrameConverter converter;
                EXPECT_TRUE(converter(*frame, image));
              }),
              "")
        << av_get_pix_fmt_name(format);
    av_frame_free(&frame);
  }
}

// The objects keep silent, others of the same class do not.
TEST(Quiet, EachForItself) {
  const auto says = [](void* whom) {
    return heard([whom] { av_log(whom, AV_LOG_ERROR, "a message\n"); }).find("a message") !=
           std::string::npos;
  };
  AVFormatContext *loud = avformat_alloc_context(), *silent = avformat_alloc_context();
  keep_quiet(*silent);
  EXPECT_TRUE(says(loud));
  EXPECT_FALSE(says(silent));
  EXPECT_NE(av_opt_find(silent, "probesize", nullptr, 0, 0), nullptr) << "its options are still there";
  avformat_free_context(loud);
  avformat_free_context(silent);
  AVCodecContext *talks = avcodec_alloc_context3(nullptr), *listens = avcodec_alloc_context3(nullptr);
  keep_quiet(*listens);
  EXPECT_TRUE(says(talks));
  EXPECT_FALSE(says(listens));
  avcodec_free_context(&talks);
  avcodec_free_context(&listens);
  SwsContext *scales = sws_alloc_context(), *resizes = sws_alloc_context();
  keep_quiet(*resizes);
  EXPECT_TRUE(says(scales));
  EXPECT_FALSE(says(resizes));
  sws_freeContext(scales);
  sws_freeContext(resizes);
  EXPECT_FALSE(says(quiet_log_context()));
}

}  // namespace
}  // namespace vl3
