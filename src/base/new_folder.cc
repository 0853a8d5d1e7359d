#include "base/new_folder.h"

#include <unistd.h>

#include <string>

#include "base/check.h"

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

}  // namespace vl3
