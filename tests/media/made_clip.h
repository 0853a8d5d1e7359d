#pragma once
// Clips of any container and codec that the FFmpeg libraries of this machine write.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "vl3/video.h"

namespace vl3::test {

struct ClipRecipe {
  const char* encoder;    // "mpeg4", "libx264", …
  const char* container;  // "mpegts", "avi", …
  int frames = 160, group = 40, b_frames = 0;
  std::vector<std::pair<const char*, const char*>> options = {};       // of the encoder
  std::vector<std::pair<const char*, const char*>> file_options = {};  // of the container
  std::vector<int64_t> times = {};  // of each frame, in 25ths of a second; empty: one behind the other
};

// A moving pattern of 64 x 48 pixels at 25 frames a second. False where this machine has no such encoder or
// container.
bool make_clip(const std::filesystem::path& path, const ClipRecipe& recipe);
// The packets of the video stream in another container, those with the given numbers joined with the ones
// behind them, and without the first `left_out`, the next of which is then shown at 0. False where it cannot
// hold them.
bool put_into(const std::filesystem::path& from, const std::filesystem::path& to, const char* container,
              const std::vector<int>& joined = {}, int left_out = 0);
// The same stream behind so many subtitles, each with a packet at 0. False where the container has none.
bool put_behind_subtitles(const std::filesystem::path& from, const std::filesystem::path& to,
                          const char* container, int subtitles);
// The same stream of an FLV file behind so many seconds of silence.
bool put_behind_silence(const std::filesystem::path& from, const std::filesystem::path& to,
                        const char* container, int seconds);
// The same stream with times of showing that are those of decoding, from 0 on. False where the container
// cannot hold it.
bool put_at_decoding_times(const std::filesystem::path& from, const std::filesystem::path& to,
                           const char* container);
// The same stream, whose packets from that number on are shown so many seconds later than they were.
bool put_late(const std::filesystem::path& from, const std::filesystem::path& to, const char* container,
              int number, int seconds);
// Of all frames of a clip.
std::vector<std::string> hashes_of(VideoReader& reader);
// How many frames FFmpeg's decoder gives for a whole file; -1 where it has none for it.
int64_t frames_decoded(const std::filesystem::path& path);

}  // namespace vl3::test
