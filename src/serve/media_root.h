#pragma once
// Files that requests may name: those under one folder.

#include <filesystem>
#include <string>
#include <string_view>

#include "vl3/media_source.h"

namespace vl3::serve {

class MediaRoot {
 public:
  // Throws kNotFound or kIo where it is no folder that can be read.
  explicit MediaRoot(const std::filesystem::path& folder);
  ~MediaRoot();
  MediaRoot(const MediaRoot&) = delete;
  MediaRoot& operator=(const MediaRoot&) = delete;

  // file:///the/root/a.png, or file://a.png from the root on. Opened by the kernel beneath the root, so that
  // neither dots nor links lead out of it, whatever is moved meanwhile. Small files come as bytes, larger
  // ones as open files. Throws ApiError with param: 400 for what is no regular file or not there, 403 for
  // what lies elsewhere.
  MediaSource open(std::string_view url, const std::string& name, const std::string& param) const;

 private:
  std::string path_below(std::string_view url, const std::string& param) const;
  std::string as_given_, real_;  // without a slash at the end
  int descriptor_ = -1;
};

}  // namespace vl3::serve
