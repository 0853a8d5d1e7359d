#pragma once
// What the fuzz targets share. A parser of foreign bytes either reads them or throws vl3::Error; anything
// else (another exception, a crash, a sanitizer's report, more memory or time than scripts/fuzz allows) is a
// finding.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "vl3/error.h"
#include "vl3/media_limits.h"

namespace vl3::fuzz {

inline std::span<const std::byte> bytes_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}
inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Runs f, which may refuse what it is given. kInternal says that the library found a fault of its own.
template <class F>
void read_or_refuse(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal) std::abort();
  }
}

// Small enough for many tries a second.
inline MediaLimits small_limits() {
  MediaLimits limits;
  limits.max_pixels = 1 << 18;
  limits.max_file_bytes = 1 << 20;
  limits.max_allocation_bytes = 64 << 20;
  limits.max_frames = 64;
  limits.max_duration_s = 3600;
  limits.max_packet_bytes = 1 << 20;
  return limits;
}

// A folder of this process in memory where there is such a place, removed when the process ends.
class Folder {
 public:
  Folder() {
    const bool memory = std::filesystem::is_directory("/dev/shm");
    std::string name = (memory ? "/dev/shm/vl3-fuzz-XXXXXX" : "/tmp/vl3-fuzz-XXXXXX");
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream file(path_ / name, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace vl3::fuzz
