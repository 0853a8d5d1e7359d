#pragma once
// Folders that appear whole or not at all.

#include <filesystem>

namespace vl3 {

// A folder beside out that becomes out by commit(), or vanishes. Throws kIo.
class NewFolder {
 public:
  explicit NewFolder(const std::filesystem::path& out);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::filesystem::path& path() const { return partial_; }
  void commit();

 private:
  std::filesystem::path out_, partial_;
  bool committed_ = false;
};

}  // namespace vl3
