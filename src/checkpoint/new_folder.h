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

// Copies what a checkpoint folder holds besides weights and config.json: tokenizer, templates, processors.
void copy_other_files(const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace vl3
