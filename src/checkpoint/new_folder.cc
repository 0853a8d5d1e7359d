#include "checkpoint/new_folder.h"

#include <unistd.h>

#include <string>

#include "base/check.h"
#include "base/file.h"

namespace vl3 {

namespace fs = std::filesystem;

NewFolder::NewFolder(const fs::path& out) : out_(out.lexically_normal()), partial_(out_) {
  if (out_.filename().empty()) partial_ = out_ = out_.parent_path();
  partial_ += ".partial-" + std::to_string(::getpid());
  std::error_code error;
  fs::create_directories(partial_, error);
  require(!error, ErrorCode::kIo, "[{}] cannot be created: {}", partial_.string(), error.message());
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(partial_, ignored);
}

void NewFolder::commit() {
  std::error_code error;
  fs::rename(partial_, out_, error);
  require(!error, ErrorCode::kIo, "[{}] cannot be made out of {}: {}", out_.string(), partial_.string(),
          error.message());
  committed_ = true;
}

void copy_other_files(const fs::path& source, const fs::path& target) {
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    const fs::path name = entry.path().filename();
    const std::string extension = name.extension().string();
    const bool weights = extension == ".safetensors" || extension == ".bin" || extension == ".pt" ||
                         extension == ".pth" || name.string().ends_with(".index.json");
    if (!entry.is_regular_file() || weights || name == "config.json") continue;
    std::error_code error;
    fs::copy_file(resolve_link_stub(entry.path()), target / name, error);
    require(!error, ErrorCode::kIo, "[{}] cannot be copied: {}", entry.path().string(), error.message());
  }
}

}  // namespace vl3
