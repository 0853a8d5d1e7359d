#include "serve/media_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"
#include "base/data_url.h"
#include "serve/api_error.h"

namespace vl3::serve {
namespace {

constexpr size_t kScheme = 7;                     // "file://"
constexpr int64_t kReadWhole = int64_t{1} << 20;  // bytes; larger files stay open instead

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

[[noreturn]] void refuse(int status, const char* code, const std::string& param, const std::string& words) {
  throw ApiError(status, code, param + " " + words, param);
}

}  // namespace

MediaRoot::MediaRoot(const std::filesystem::path& folder)
    : as_given_(without_slash(std::filesystem::absolute(folder).lexically_normal().string())) {
  descriptor_ = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int error = errno;
  require(descriptor_ >= 0, error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          "[media-root] {} cannot be opened: {}", folder.string(), std::generic_category().message(error));
  std::error_code ignored;
  real_ = without_slash(std::filesystem::canonical(folder, ignored).string());
}

MediaRoot::~MediaRoot() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string MediaRoot::path_below(std::string_view url, const std::string& param) const {
  const std::string path = percent_decoded(url.substr(kScheme));
  if (path.find('\0') != std::string::npos)
    refuse(400, "invalid_url", param, "names a file with a zero byte in its name");
  if (path.empty()) refuse(400, "invalid_url", param, "names no file");
  if (path.front() != '/') return path;
  for (const std::string& root : {as_given_, real_}) {
    if (without_slash(path) == root) return ".";
    if (root == "/") return path.substr(1);
    if (!root.empty() && path.starts_with(root + "/")) return path.substr(root.size() + 1);
  }
  refuse(403, "file_not_allowed", param, "names a file that is not under the folder that was allowed");
}

MediaSource MediaRoot::open(std::string_view url, const std::string& name, const std::string& param) const {
  const std::string path = path_below(url, param);
  open_how how{};
  // A pipe would wait for its other end.
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const auto descriptor =
      static_cast<int>(::syscall(SYS_openat2, descriptor_, path.c_str(), &how, sizeof how));
  const int error = errno;
  if (descriptor < 0) {
    if (error == EXDEV || error == ELOOP || error == EACCES || error == EPERM)
      refuse(403, "file_not_allowed", param, "names a file that is not under the folder that was allowed");
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ENXIO || error == ENODEV)
      refuse(400, "media_not_found", param, "names a file that is not there");
    // An old kernel, or no descriptors: nothing that the client could mend.
    fail(ErrorCode::kIo, "[media-root] a file cannot be opened: {}", std::generic_category().message(error));
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    refuse(400, "media_not_a_file", param,
           S_ISDIR(status.st_mode) ? "names a folder; its pictures are sent as a list of frames"
                                   : "names what is no regular file");
  }
  const MediaSource file = MediaSource::open_file(descriptor, name);
  if (status.st_size == 0) refuse(400, "media_empty", param, "names a file that is empty");
  if (status.st_size > kReadWhole) return file;
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  const ssize_t got = ::pread(descriptor, bytes.data(), bytes.size(), 0);
  require(got > 0, ErrorCode::kIo, "[media-root] a file cannot be read");
  bytes.resize(static_cast<size_t>(got));
  return MediaSource::bytes(std::move(bytes), name);
}

}  // namespace vl3::serve
