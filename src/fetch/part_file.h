#pragma once
// What has come of a medium so far.

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "download/download.h"

namespace vl3 {

// A file that grows. Throws DownloadError kNoSpace where it cannot.
class PartFile {
 public:
  // It has no name on the disk, so that nothing is left however the process ends.
  static PartFile unnamed(const std::filesystem::path& folder);  // empty: the system's for temporary files
  // It has one that begins with kPrefix, to be kept under another by keep_as(), and a lock (flock) as long as
  // it is open: whoever gets that lock may remove it, as its process is gone.
  static PartFile named(const std::filesystem::path& folder);
  static constexpr std::string_view kPrefix = ".part-";
  ~PartFile();
  PartFile(PartFile&& other) noexcept;
  PartFile(const PartFile&) = delete;

  uint64_t size() const noexcept { return size_; }
  void add(std::string_view bytes);
  void restart();  // from nothing
  // Gives it this name, in its own folder. Once.
  void keep_as(const std::filesystem::path& path);
  // A descriptor that cannot write, at the file's beginning. Once.
  download::OpenFile take_readable() { return std::move(readable_); }
  int descriptor() const noexcept { return writable_.get(); }

 private:
  PartFile() = default;
  static PartFile made(const std::filesystem::path& folder, std::string_view prefix);
  download::OpenFile writable_, readable_;
  std::filesystem::path path_;  // empty: it has no name, or another one by now
  uint64_t size_ = 0;
};

}  // namespace vl3
