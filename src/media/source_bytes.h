#pragma once
// The bytes of a source, whether they lie in a file or in memory.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "vl3/media_limits.h"
#include "vl3/media_source.h"

namespace vl3 {

inline constexpr double kLatest_s = 1e9;  // of frames that come with times

// So many of the bytes from offset on, fewer at the end; none where the file cannot be read, nor of frames.
std::string part_of(const MediaSource& source, uint64_t offset, size_t bytes);

// All of them from first to last, a mebibyte at a time where they lie in a file. Throws kNotFound and kIo.
void read_in_pieces(const MediaSource& source, const std::function<void(std::span<const std::byte>)>& piece);

// All of them, as long as somebody holds this.
struct SourceBytes {
  MediaSource source;                        // which holds them itself, or
  std::shared_ptr<const std::string> owned;  // what was read of it
  std::span<const std::byte> bytes;
};
// Throws kNotFound, kIo, and kLimitExceeded above max_file_bytes.
SourceBytes bytes_of(const MediaSource& source, const MediaLimits& limits);

}  // namespace vl3
