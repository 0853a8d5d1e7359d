#pragma once
// What tests share: where things are, and files that vanish afterwards.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace vl3::test {

// Sanitizers make what computes many times as long: there is less of it under them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// A file or folder of the project's own test data, tests/data/….
std::filesystem::path data_path(const std::string& name);

// A file of the shared material beside the checkout (../shared, or VL3_SHARED); empty where it is absent.
std::filesystem::path shared_path(const std::string& name);

// Skips a test, with the reason, where the shared material is absent.
#define VL3_NEED_SHARED(variable, name)                 \
  const auto variable = ::vl3::test::shared_path(name); \
  if (variable.empty()) GTEST_SKIP() << "no ../shared/" << (name) << " beside this checkout"

// A folder of its own, removed with everything in it at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

}  // namespace vl3::test
