#pragma once
// A name for what a picture or a clip comes to as patches: equal names, equal patches.

#include <optional>
#include <string>
#include <vector>

#include "processor/messages.h"
#include "vl3/open_media.h"

namespace vl3 {

// SHA-256, in hexadecimal, of the content of the item's sources in order, of every option and limit that
// patches or errors depend on, of the backend, and of the versions of decoders and of this processing. Nobody
// can make two contents of one such name, so that what is found by it need not be compared with pixels.
// held: the bytes of a picture's file, where they are there; else files are read. Throws kNotFound, kIo.
std::string content_key(const MediaItem& item, const std::shared_ptr<const std::string>& held,
                        ResizeBackend backend, const MediaLimits& limits);

}  // namespace vl3
