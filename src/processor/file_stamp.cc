#include "processor/file_stamp.h"

#include <sys/stat.h>

#include "media/picture_frames.h"

namespace vl3 {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

FileStamp stamp_of(const std::string& name, bool known, const struct stat& status) {
  if (!known) return {name};
  return {name,
          static_cast<uint64_t>(status.st_dev),
          static_cast<uint64_t>(status.st_ino),
          static_cast<int64_t>(status.st_size),
          static_cast<int64_t>(status.st_mtim.tv_sec) * kNanoseconds + status.st_mtim.tv_nsec,
          static_cast<int64_t>(status.st_ctim.tv_sec) * kNanoseconds + status.st_ctim.tv_nsec};
}

FileStamp stamp_of(const std::filesystem::path& path) {
  struct stat status {};
  const bool known = ::stat(path.c_str(), &status) == 0;
  return stamp_of(path.string(), known, status);
}

FileStamp stamp_of(const MediaSource& open_file) {
  struct stat status {};
  const bool known = ::fstat(open_file.descriptor(), &status) == 0;
  return stamp_of(open_file.name(), known, status);
}

}  // namespace

std::vector<FileStamp> stamps_of(const std::vector<MediaSource>& sources) {
  std::vector<FileStamp> stamps;
  for (const MediaSource& source : sources) {
    if (source.kind() == MediaSource::Kind::kOpenFile) stamps.push_back(stamp_of(source));
    if (source.kind() != MediaSource::Kind::kFile) continue;
    stamps.push_back(stamp_of(source.path()));
    std::error_code ignored;
    if (!std::filesystem::is_directory(source.path(), ignored)) continue;
    for (const MediaSource& picture : folder_pictures(source.path()).pictures)
      stamps.push_back(stamp_of(picture.path()));
  }
  return stamps;
}

}  // namespace vl3
