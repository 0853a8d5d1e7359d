#include "base/file.h"

#include <sys/stat.h>

#include <thread>
#include <vector>

#include "support/support.h"

namespace vl3 {
namespace {

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

TEST(AtomicFiles, HaveTheModeOfNewFilesWhoeverElseMakesSome) {
  const test::TemporaryFolder folder;
  for (const mode_t mask : {mode_t{027}, mode_t{0}, mode_t{022}}) {
    const mode_t before = ::umask(mask);
    const unsigned wanted = 0666 & ~mask;
    EXPECT_EQ(new_file_mode(), wanted);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const auto path = folder / (std::to_string(t) + "-" + std::to_string(i));
          AtomicFile file(path);
          file.write("x");
          file.commit();
          EXPECT_EQ(mode_of(path), wanted);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(::umask(before), mask) << "changed meanwhile";
  }
}

}  // namespace
}  // namespace vl3
