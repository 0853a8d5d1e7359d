#include "hub/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/check.h"

namespace vl3::hub {
namespace {

constexpr std::chrono::milliseconds kAskedEvery{50};

bool is_removed(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && status.st_nlink == 0;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, unsigned mode, const std::function<bool()>& cancelled,
                   const std::function<void()>& waiting) {
  bool told = false;
  for (;;) {
    file_ = download::OpenFile(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode));
    require(file_.get() >= 0, ErrorCode::kIo, "[{}] cannot open the lock: {}", path.string(),
            std::generic_category().message(errno));
    while (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return;  // no locks here
      require(!cancelled || !cancelled(), ErrorCode::kCancelled, "[hub] cancelled");
      if (waiting && !told) waiting();
      told = true;
      std::this_thread::sleep_for(kAskedEvery);
    }
    if (!is_removed(file_.get())) return;
  }
}

}  // namespace vl3::hub
