#pragma once
// Whether files are still what they were.

#include <vector>

#include "vl3/open_media.h"

namespace vl3 {

// Of every file of the sources, and of the pictures of a folder; nothing for what lies in memory. A file that
// is not there has a stamp of zeros: whoever opens it says so.
std::vector<FileStamp> stamps_of(const std::vector<MediaSource>& sources);

}  // namespace vl3
